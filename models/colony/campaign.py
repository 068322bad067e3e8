"""Reading a campaign input (XML) and the founder cells of a run (CSV)."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from models.colony.growth import Parameters, founder_sites


class InputError(Exception):
    """The input, or a founder file, is wrong; the message names the file, the place, the value and the reason."""


@dataclass(frozen=True, slots=True)
class ConditionRange:
    """One condition and its seeds, ``start_seed`` to ``end_seed``, both included."""

    key: str
    start_seed: int
    end_seed: int
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Campaign:
    """A series' name and what to simulate."""

    name: str
    conditions: tuple[ConditionRange, ...]


def read_campaign(path: Path) -> Campaign:
    """Read a campaign input.

    Raises ``InputError`` if the file cannot be read, is not XML, or has a condition or parameter that makes no sense.
    """
    try:
        # The input was rendered by whoever starts this program, with the same rights.
        root = ElementTree.parse(path).getroot()  # noqa: S314
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: is not XML: {error}") from error
    if root.tag != "campaign":
        raise InputError(f"{path}: starts with <{root.tag}>, not with <campaign>")
    name = _file_name(path, "campaign", root, "name")
    conditions = tuple(_condition(path, element) for element in root.iter("condition"))
    if not conditions:
        raise InputError(f"{path}: has no <condition>")
    return Campaign(name, conditions)


def _condition(path: Path, element: ElementTree.Element) -> ConditionRange:
    key = _file_name(path, "condition", element, "key")
    start, end = (_seed(path, key, element, attribute) for attribute in ("start_seed", "end_seed"))
    if end < start:
        raise InputError(f"{path}: condition {key}: end_seed = {end} is before start_seed = {start}")
    values: dict[str, Any] = {}
    for parameter in element.iter("parameter"):
        name = parameter.get("name", "")
        values[name] = _value(f"{path}: condition {key}", name, parameter.get("value", ""))
    return ConditionRange(key, start, end, Parameters(**values))


def _file_name(path: Path, tag: str, element: ElementTree.Element, attribute: str) -> str:
    value = element.get(attribute, "")
    if not value or Path(value).name != value:
        raise InputError(f"{path}: <{tag}>: {attribute} = {value!r} is no part of a file name")
    return value


def _seed(path: Path, key: str, element: ElementTree.Element, attribute: str) -> int:
    text = element.get(attribute, "")
    if not text.isdecimal():
        raise InputError(f"{path}: condition {key}: {attribute} = {text!r} is not a seed (0, 1, 2, …)")
    return int(text)


def _value(where: str, name: str, text: str) -> float | int:
    known = [field.name for field in fields(Parameters)]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {near[0]}?" if near else f"known are: {', '.join(known)}"
        raise InputError(f"{where}: there is no parameter {name!r}; {meant}")
    kind = int if name == "steps" else float
    try:
        value = kind(text)
    except ValueError:
        raise InputError(f"{where}: {name} = {text!r} is not {'an integer' if kind is int else 'a number'}") from None
    if not 0 <= value < float("inf"):
        raise InputError(f"{where}: {name} = {text} must be 0 or more, and finite")
    return value


def founder_file(name: str, seed: int, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the founder cells of a seed would be: in ``inits/`` of the job's dated location.

    Outside a job, where nothing is told, it is ``inits/`` of the current directory.
    """
    location = Path(environment.get("BATCH_WORKING_URL", "."))
    file_set = environment.get("FILE_SET_NAME", name)
    return location / "inits" / f"{file_set}_{seed:04d}.csv"


def read_founders(path: Path) -> NDArray[np.float64]:
    """Read founder cells: a CSV with the columns x_um, y_um, in micrometres from the middle of the dish.

    Raises ``InputError`` if the file is not such a table or its cells do not fit on the dish.
    """
    try:
        header, *rows = path.read_text(encoding="utf-8").split()
        if header != "x_um,y_um":
            raise ValueError(f"the first line is {header!r}, not 'x_um,y_um'")  # noqa: TRY301
        positions = np.array([row.split(",") for row in rows], dtype=float).reshape(-1, 2)
        founder_sites(positions)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be used as founder cells: {error}") from error
    return positions
