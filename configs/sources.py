"""Where a config comes from: one file, parts by name, the command line, or all of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configs.conditions import anchor
from configs.documents import read_yaml_file
from configs.forerunners import anchor_after
from configs.overrides import apply_override
from simcampaign.errors import ConfigError, Problem

PARTS = ("context", "series", "parameters")
"""The three parts of a config."""

_PART = re.compile(rf"({'|'.join(PARTS)})=([^{{].*)\Z", re.DOTALL)
_OVERRIDE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*([.\[][^=]*)?=", re.DOTALL)
_SUFFIXES = (".yaml", ".yml")
_WAYS = "give a file, parts (context=NAME series=NAME parameters=NAME), or values after `::`"


@dataclass(slots=True)
class Composed:
    """A config as composed, before references are filled in."""

    config: dict[str, Any]
    base: Path
    """Directory that relative paths of files of conditions start from."""
    source: str
    """Where it came from, for people."""
    problems: list[Problem]
    broken: set[str]
    """Parts that could not be read, about which nothing more can be said."""


@dataclass(slots=True)
class _Request:
    """The arguments, sorted."""

    files: list[str] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    inline: bool = False
    empty: bool = False
    problems: list[Problem] = field(default_factory=list)


def compose(arguments: Sequence[str], directory: Path) -> Composed:
    """Return the config that ``arguments`` describe; what is wrong with them is among its problems.

    A file gives all parts; ``series=NAME`` takes one part from ``configs/series/NAME.yaml`` of ``directory``, else of
    the installed package, or from a path that ends in .yaml; ``a.b=c``, also as ``--set a.b=c``, sets single values;
    ``::`` says that there may be no file. Later ones win.
    """
    request = _sort(arguments, directory)
    composed = Composed({}, directory, _describe(request), request.problems, set(PARTS if request.empty else ()))
    for name in request.files[:1]:
        path = _against(directory, name)
        value = _read(path, name, PARTS, composed)
        composed.base = path.parent
        composed.config.update(value)
        _anchor(composed.config, path.parent)
    for part, name in request.parts.items():
        found = _find(part, name, directory, composed)
        if found is None:
            continue
        composed.config[part] = _read(found, name if name.endswith(_SUFFIXES) else str(found), (part,), composed)
        if part == "series":
            composed.base = found.parent
            _anchor(composed.config, found.parent)
    for override in request.overrides:
        try:
            composed.config = apply_override(composed.config, override)
        except ConfigError as error:
            composed.problems += error.problems
    _anchor(composed.config, directory)
    return composed


def _sort(arguments: Sequence[str], directory: Path) -> _Request:
    request = _Request()
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "::":
            request.inline = True
        elif argument == "--set" or argument.startswith("--set="):
            _sort_override(argument, remaining, request)
        elif (part := _PART.match(argument)) and not _is_file(_against(directory, argument)):
            if part[1] in request.parts:
                request.problems.append(Problem(argument, part[2], f"{part[1]} is given twice", "give each part once"))
            request.parts[part[1]] = part[2]
        elif _OVERRIDE.match(argument) and not _is_file(_against(directory, argument)):
            request.overrides.append(argument)
        elif argument.startswith("-"):
            request.problems.append(Problem(argument, argument, "there is no such option", _WAYS))
        else:
            request.files.append(argument)
    if len(request.files) > 1:
        request.problems.append(Problem("arguments", request.files, "there is more than one file", _WAYS))
    if not (request.files or request.parts or request.overrides or request.inline):
        request.empty = True
        request.problems.append(Problem("arguments", list(arguments), "no configuration is given", _WAYS))
    return request


def _sort_override(argument: str, remaining: Iterator[str], request: _Request) -> None:
    override = argument.removeprefix("--set=") if argument != "--set" else next(remaining, "")
    if _OVERRIDE.match(override):
        request.overrides.append(override)
    else:
        request.problems.append(Problem("--set", override, "is not PATH=VALUE", "e.g. --set series.seeds=0-9"))


def _describe(request: _Request) -> str:
    pieces = [*request.files[:1], *(f"{part}={name}" for part, name in request.parts.items())]
    return " ".join([*(pieces or ["command line"]), *request.overrides])


def _read(path: Path, shown: str, parts: Sequence[str], composed: Composed) -> dict[str, Any]:
    """Return the mapping in the file at ``path``; if there is none, the parts it should give are broken."""
    if not path.is_file():
        near = difflib.get_close_matches(path.name, _names(path.parent), n=3, cutoff=0.5)
        remedy = f"did you mean {' or '.join(near)}?" if near else _WAYS
        reason = "is a directory" if path.is_dir() else "there is no such file"
        composed.problems.append(Problem("file", shown, reason, remedy))
    else:
        try:
            value, problems = read_yaml_file(path, shown)
        except ConfigError as error:
            composed.problems += error.problems
        else:
            composed.problems += problems
            if value is None or isinstance(value, dict):
                return value or {}
            composed.problems.append(Problem(shown, value, "must hold a mapping", f"with {', '.join(PARTS)}"))
    composed.broken.update(parts)
    return {}


def _find(part: str, name: str, directory: Path, composed: Composed) -> Path | None:
    """Return the file of a part; None, with a problem, if there is none of that name."""
    if name.endswith(_SUFFIXES):
        return _against(directory, name)
    folders = [directory / "configs" / part, Path(__file__).parent / part]
    for folder in folders:
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    known = sorted({stem.removesuffix(".yaml") for folder in folders for stem in _names(folder)})
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known
    remedy = f"did you mean {' or '.join(near)}?" if near else f"write {folders[0] / name}.yaml"
    composed.problems.append(Problem(part, name, f"there is no {part}/{name}.yaml in {folders[0].parent}", remedy))
    composed.broken.add(part)
    return None


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.suffix in _SUFFIXES) if folder.is_dir() else []


def _against(directory: Path, name: str) -> Path:
    return directory / Path(name).expanduser()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # an override may be longer than a name of a file
        return False


def _anchor(config: dict[str, Any], directory: Path) -> None:
    series = config.get("series")
    if isinstance(series, dict):
        kept = {"conditions": anchor, "after": anchor_after}
        config["series"] = {
            **series,
            **{name: rule(series[name], directory) for name, rule in kept.items() if name in series},
        }
