"""The series that a series builds upon, as a person names them: by name, or by the path of a config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.conditions import absolute, anchor
from configs.documents import read_yaml_file
from simcampaign.errors import ConfigError, Problem
from simcampaign.series import Series

SUFFIXES = (".yaml", ".yml")
"""How paths of configs end; other text is the name of a series."""

Examine = Callable[[Mapping[str, Any], Path], tuple[Series | None, list[Problem]]]
"""Makes a series of the fields of its config, whose files are relative to a folder."""


def anchor_after(raw: Any, directory: Path) -> Any:
    """Return ``series.after`` with the relative paths in it made absolute from ``directory``."""
    if not isinstance(raw, list):
        return raw
    return [absolute(item, directory) if _is_path(item) else item for item in raw]


def read_forerunners(
    raw: Sequence[str], base: Path | None, examine: Examine
) -> tuple[list[str], list[Series], list[Problem]]:
    """Return the names, the series of the configs, and everything that is wrong with them.

    A config may be a whole one or the part of a series alone; ``examine`` makes a series of it. Its own forerunners do
    not count here.
    """
    names: list[str] = []
    forerunners: list[Series] = []
    problems: list[Problem] = []
    for index, item in enumerate(raw):
        if not _is_path(item):
            names.append(item)
            continue
        path = Path(absolute(item, base or Path.cwd()))
        series, found = _read(path, f"series.after[{index}]", item, examine)
        problems += found
        if series is not None:
            forerunners.append(series)
            names.append(series.name)
    return names, forerunners, problems


def _read(path: Path, field: str, shown: str, examine: Examine) -> tuple[Series | None, list[Problem]]:
    if not path.is_file():
        return None, [Problem(field, shown, "there is no such file", "a series is named without an ending")]
    try:
        value, problems = read_yaml_file(path, shown)
    except ConfigError as error:
        return None, list(error.problems)
    fields = value.get("series", value) if isinstance(value, dict) else None
    if problems or not isinstance(fields, dict):
        return None, problems or [Problem(field, shown, "does not hold a series")]
    given = {**fields, "after": []}
    if "conditions" in given:
        given["conditions"] = anchor(given["conditions"], path.parent)
    series, problems = examine(given, path.parent)
    if problems:
        return None, [Problem(field, shown, f"is wrong: {problems[0]}", f"correct {shown}")]
    return series, []


def _is_path(item: object) -> bool:
    return isinstance(item, str) and item.endswith(SUFFIXES)
