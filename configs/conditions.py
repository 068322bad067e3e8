"""Conditions as a person writes them: a list, a generator, or a list that mixes both."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.patterns import Pattern, PatternError, read_pattern
from configs.samples import draw_sample
from configs.tables import read_conditions
from configs.variables import MAX_VALUES, expand_values
from simcampaign.errors import Problem
from simcampaign.mistakes import did_you_mean

GENERATORS = ("product", "zip", "latin_hypercube", "sobol", "from_csv", "from_file")
"""The ways to make conditions; each comes with the optional fields of ``EXTRAS``."""

EXTRAS = ("key", "group", "constants")
"""``key`` and ``group`` are patterns, ``constants`` are variables with the same value in every condition."""

_FILES = ("from_csv", "from_file")
_KINDS = frozenset(GENERATORS)


@dataclass(frozen=True, slots=True)
class Expanded:
    """Plain conditions, and where each came from."""

    conditions: list[dict[str, Any]]
    problems: list[Problem]
    origins: Callable[[int], str]
    """The path, in the config, of the condition with this index."""


def expand_conditions(raw: object, path: str = "series.conditions", base: Path | None = None) -> Expanded:
    """Return the conditions that ``raw`` stands for, in order, with everything that is wrong with its generators.

    Files are found relative to ``base`` (the current directory if None). That keys are there, are safe and differ is
    checked by ``Series.problems``.
    """
    problems: list[Problem] = []
    base = base or Path.cwd()
    if isinstance(raw, Mapping):
        if not _is_generator(raw):
            problems.append(_no_generator(raw, path))
            return Expanded([], problems, lambda index: f"{path}[{index}]")
        return Expanded(_generate(raw, path, base, problems), problems, lambda index: f"{path}#{index}")
    if not isinstance(raw, (list, tuple)):
        problems.append(
            Problem(path, raw, "must be a list of conditions, or a generator", f"one of: {', '.join(GENERATORS)}")
        )
        return Expanded([], problems, lambda index: f"{path}[{index}]")
    conditions: list[dict[str, Any]] = []
    starts: list[tuple[int, str]] = []
    for position, element in enumerate(raw):
        if not isinstance(element, dict):
            problems.append(
                Problem(f"{path}[{position}]", element, "must be a mapping of variables", "e.g. {key: a, x: 1}")
            )
        elif not _KINDS.isdisjoint(element) and _is_generator(element):
            spot = f"{path}[{position}]"
            starts.append((len(conditions), f"{spot}#"))
            conditions += _generate(element, spot, base, problems)
            starts.append((len(conditions), f"{path}+{position + 1}"))
        else:
            conditions.append(element)
            if nameless := [name for name in element if type(name) is not str]:
                reason = "the name of a variable must be text"
                problems.append(Problem(f"{path}[{position}]", nameless[0], reason, "quotes make a number text"))
    return Expanded(conditions, problems, lambda index: _origin(index, path, starts))


def anchor(raw: Any, directory: Path) -> Any:
    """Return ``raw`` with the relative paths of its files made absolute from ``directory``.

    Addresses such as s3:// stay, and so does what begins with a reference, which is not known yet.
    """
    if isinstance(raw, Mapping):
        if not any(isinstance(raw.get(kind), str) for kind in _FILES):
            return raw
        return {name: absolute(value, directory) if name in _FILES else value for name, value in raw.items()}
    if isinstance(raw, list) and any(isinstance(item, Mapping) and not _KINDS.isdisjoint(item) for item in raw):
        return [anchor(item, directory) if isinstance(item, Mapping) else item for item in raw]
    return raw


def absolute(value: Any, directory: Path) -> Any:
    """Return a relative path made absolute; addresses such as s3:// and what begins with a reference stay."""
    if not isinstance(value, str) or "://" in value or value.startswith("${") or not value:
        return value
    return os.path.normpath(directory.absolute() / Path(value).expanduser())


def _is_generator(raw: Mapping[str, Any]) -> bool:
    """Say whether ``raw`` makes conditions, rather than being one with a variable of such a name."""
    return any(isinstance(raw.get(kind), str if kind in _FILES else Mapping) for kind in GENERATORS)


def _no_generator(raw: Mapping[str, Any], path: str) -> Problem:
    kind = next((kind for kind in GENERATORS if kind in raw), None)
    if kind:
        wanted = "the path of a file" if kind in _FILES else "a mapping"
        return Problem(f"{path}.{kind}", raw[kind], f"must be {wanted}")
    wrong = next((str(name) for name in raw if name not in EXTRAS), "")
    return Problem(path, dict(raw), "must be a list of conditions, or a generator", did_you_mean(wrong, GENERATORS))


def _origin(index: int, path: str, starts: list[tuple[int, str]]) -> str:
    """Return where condition ``index`` of a mixed list came from; ``#i`` counts inside a generator, from 0."""
    start, place = 0, f"{path}+0"
    for first, text in starts:
        if first > index:
            break
        start, place = first, text
    if place.endswith("#"):
        return f"{place}{index - start}"
    return f"{path}[{index - start + int(place.rpartition('+')[2])}]"


def _generate(raw: Mapping[str, Any], path: str, base: Path, problems: list[Problem]) -> list[dict[str, Any]]:
    before = len(problems)
    kinds = [kind for kind in GENERATORS if kind in raw]
    if len(kinds) > 1:
        problems.append(
            Problem(path, dict(raw), f"holds {' and '.join(kinds)} at once", "write them as two elements of a list")
        )
    known = (*kinds, *EXTRAS)
    problems += [
        Problem(f"{path}.{name}", raw[name], "there is no such field", did_you_mean(str(name), known))
        for name in raw
        if name not in known
    ]
    patterns = {name: _pattern(raw[name], f"{path}.{name}", problems) for name in ("key", "group") if name in raw}
    constants = raw.get("constants") or {}
    if not isinstance(constants, Mapping):
        problems.append(Problem(f"{path}.constants", constants, "must be a mapping of variables", "e.g. {x: 1}"))
        constants = {}
    rows = _rows(kinds[0], raw[kinds[0]], f"{path}.{kinds[0]}", base, problems)
    if len(problems) > before:
        return []
    return _finish(rows, constants, patterns, path, problems)


def _pattern(raw: object, path: str, problems: list[Problem]) -> Pattern:
    try:
        return read_pattern(raw)
    except PatternError as error:
        problems.append(Problem(path, raw, str(error), error.remedy))
        return Pattern(())


def _rows(kind: str, raw: Any, path: str, base: Path, problems: list[Problem]) -> list[dict[str, Any]]:
    """Return the variables of each condition, before constants and key."""
    if kind in _FILES:
        return read_conditions(str(absolute(raw, base)), kind, path, problems)
    if kind in {"latin_hypercube", "sobol"}:
        columns = draw_sample(kind, raw, path, problems)
    else:
        before = len(problems)
        columns = {str(name): expand_values(values, f"{path}.{name}", problems) for name, values in raw.items()}
        if not columns:
            problems.append(Problem(path, raw, "there is no variable", f"e.g. {kind}: {{x: [1, 2]}}"))
        _check_size(kind, columns, path, problems)
        if len(problems) > before:
            return []
    values = itertools.product(*columns.values()) if kind == "product" else zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]


def _check_size(kind: str, columns: dict[str, list[Any]], path: str, problems: list[Problem]) -> None:
    sizes = {name: len(values) for name, values in columns.items()}
    if kind == "zip" and len(set(sizes.values())) > 1:
        problems.append(Problem(path, sizes, "the variables must have the same number of values", "or use product"))
    if kind == "product" and math.prod(sizes.values()) > MAX_VALUES:
        problems.append(Problem(path, sizes, f"makes {math.prod(sizes.values())} conditions, more than {MAX_VALUES}"))


def _finish(
    rows: list[dict[str, Any]],
    constants: Mapping[str, Any],
    patterns: dict[str, Pattern],
    path: str,
    problems: list[Problem],
) -> list[dict[str, Any]]:
    """Add constants, key and group to each row; the first that does not fit is reported, the others are like it."""
    shadowed = [name for name in constants if any(name in row for row in rows)]
    if shadowed:
        problems += [Problem(f"{path}.constants.{name}", constants[name], "is a variable, too") for name in shadowed]
        return []
    if "key" not in patterns and "key" not in constants and any("key" not in row for row in rows):
        variables = [str(name) for name in rows[0]]
        example = "_".join(f"{name}{{{name}}}" for name in variables[:3])
        problems.append(Problem(f"{path}.key", dict(rows[0]), "every condition needs a key", f'add key: "{example}"'))
        return []
    return list(_conditions(rows, constants, patterns, path, problems))


def _conditions(
    rows: list[dict[str, Any]],
    constants: Mapping[str, Any],
    patterns: dict[str, Pattern],
    path: str,
    problems: list[Problem],
) -> Iterator[dict[str, Any]]:
    for index, row in enumerate(rows):
        variables = {"index": index, **row, **constants}
        made: dict[str, str] = {}
        for name, pattern in patterns.items():
            try:
                made[name] = pattern.fill(variables)
            except PatternError as error:
                problems.append(Problem(f"{path}.{name}", row, str(error), error.remedy))
                return
        condition: dict[str, Any] = (
            {"key": "", **row, **constants, **made} if "key" in made else {**row, **constants, **made}
        )
        yield condition
