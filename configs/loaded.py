"""A loaded config: validated, expanded once, and ready to be shown or sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from configs.conditions import anchor
from configs.documents import write_yaml
from configs.kinds import choose
from configs.references import escape_references, resolve_references
from configs.series import Expanding
from configs.sources import PARTS, compose
from simcampaign.errors import ConfigError, Problem
from simcampaign.fields import reader
from simcampaign.mistakes import did_you_mean, explain
from simcampaign.series import Series

C = TypeVar("C")
S = TypeVar("S", bound=Expanding)
P = TypeVar("P")


@dataclass(frozen=True)
class Loaded(Generic[C, S, P]):
    """The three parts of a config, and where they came from."""

    context: C
    series: S
    """The series as written: small, and what a flow is given."""
    parameters: P
    expanded: Series
    """The series with plain lists of seeds and conditions."""
    source: str
    """Where the config came from, for people."""
    base: Path
    """Directory of the config's file; the directory of the call if there is none."""

    @cached_property
    def text(self) -> str:
        """The whole config as YAML, defaults included; secrets are shown as references, and it loads as it is."""
        parts = {part: escape_references(_plain(getattr(self, part))) for part in PARTS}
        return write_yaml(parts)


def load(
    arguments: Sequence[str],
    context: type[C],
    series: type[S],
    parameters: type[P],
    *,
    directory: Path | None = None,
) -> Loaded[C, S, P]:
    """Return the config that the command-line ``arguments`` describe, read as the three given dataclasses.

    ``context`` may be a union of configs that their field ``kind`` tells apart. Names of files and parts are looked up
    from ``directory``, the current one if None. Nothing is created. Raises ConfigError with every mistake in files,
    overrides, references, the three parts and the expanded series.
    """
    composed = compose(arguments, (directory or Path.cwd()).absolute())
    problems = list(composed.problems)
    config, found = resolve_references(composed.config)
    problems += found
    problems += [
        Problem(str(name), value, "there is no such part", did_you_mean(str(name), PARTS))
        for name, value in config.items()
        if name not in PARTS
    ]
    parts, expanded, found = read_parts(config, (context, series, parameters), composed.base, composed.broken)
    problems += _without_repeats(found, problems)
    if problems or expanded is None:
        raise ConfigError(problems, "--help documents every field")
    return Loaded(parts["context"], parts["series"], parts["parameters"], expanded, composed.source, composed.base)


def read_parts(
    config: Mapping[str, Any],
    kinds: tuple[type[Any], type[Expanding], type[Any]],
    base: Path,
    broken: Collection[str] = (),
) -> tuple[dict[str, Any], Series | None, list[Problem]]:
    """Return context, series and parameters as the dataclasses of ``kinds``, the expanded series, and what is wrong.

    Files of conditions are found relative to ``base``; parts that are named in ``broken`` are left out.
    """
    parts: dict[str, Any] = {}
    expanded: Series | None = None
    problems: list[Problem] = []
    for part, kind in zip(PARTS, kinds, strict=True):
        if part in broken:
            continue
        if part == "series":
            parts[part], expanded, found = _read_series(config.get(part), kinds[1], base)
        else:
            parts[part], found = read_part(part, config.get(part), kind)
        problems += found
    return parts, expanded, problems


def read_part(part: str, data: Any, kind: type[Any]) -> tuple[Any, list[Problem]]:
    """Return a part as its dataclass, and what is wrong with it."""
    data = {} if data is None else data
    kind, problems = choose(kind, data, part)
    if problems:
        return None, problems
    try:
        return reader(kind).validate_python(data), []
    except ValidationError as error:
        return None, explain(error, part, kind, data)


def _read_series(data: Any, kind: type[S], base: Path) -> tuple[S | None, Series | None, list[Problem]]:
    if isinstance(data, Mapping) and "conditions" in data:
        data = {**data, "conditions": anchor(data["conditions"], base)}
    config, problems = read_part("series", data, kind)
    if config is not None:
        expanded, problems = config.examine(vars(config), base)
        return config, expanded, problems
    if isinstance(data, Mapping):
        faulty = {problem.path.partition(".")[2].partition(".")[0].partition("[")[0] for problem in problems}
        _, more = kind.examine(data, base, faulty)
        problems += more
    return None, None, problems


def _without_repeats(found: Sequence[Problem], earlier: Sequence[Problem]) -> list[Problem]:
    """Leave out what is said about a value whose reference could not be filled in: that has been reported."""
    seen = {problem.path for problem in earlier}
    return [problem for problem in found if problem.path not in seen]


def _plain(config: Any) -> dict[str, Any]:
    """Return a config as mappings and lists, without copying its conditions."""
    fields = {entry.name: getattr(config, entry.name) for entry in dataclasses.fields(config)}
    if "inits" in fields:
        fields["inits"] = [dataclasses.asdict(init) for init in fields["inits"]]
    return fields
