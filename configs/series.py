"""What is simulated: a name, conditions, seeds, and what a complete run leaves."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import SkipValidation, TypeAdapter, ValidationError
from typing_extensions import Doc

from configs.conditions import Expanded, expand_conditions
from configs.forerunners import read_forerunners
from configs.names import Name, PathKey
from configs.seeds import expand_seeds, seed_places
from simcampaign.errors import ConfigError, Problem
from simcampaign.fields import STRICT, reader
from simcampaign.mistakes import did_you_mean, explain
from simcampaign.series import ALL_GROUPS, Init, Series

# Seeds and conditions are checked by expand(), which knows where in a generator a mistake is; checking 10^5 conditions
# twice would also cost seconds.
Seeds = Annotated[list[int | str] | str | int | dict[str, int], SkipValidation(), Doc("list, text or range")]
"""Seeds as written: a list, text such as ``"0-99,200"``, or ``{start, stop}``."""

Conditions = Annotated[list[dict[str, Any]] | dict[str, Any], SkipValidation(), Doc("list or generator")]
"""Conditions as written: a list, a generator, or a list of both."""

_INDEXED = re.compile(r"series\.(conditions|seeds)\[([0-9]+)\]")
_STAND_INS: dict[str, Any] = {
    "name": "name",
    "seeds": [0],
    "conditions": [{"key": "key"}],
    "extensions": ["csv"],
    "inits": [],
    "groups": {ALL_GROUPS: ""},
    "after": [],
}
"""What takes the place of a faulty field, so that the other fields can be checked all the same."""

_PASSED_ON = ("name", "manifest_key", "template_key")


class Expanding:
    """A config of a series that can be expanded; a dataclass inherits it."""

    def expand(self, base: Path | None = None) -> Series:
        """Return the series with plain lists of seeds and conditions.

        Files of conditions are found relative to ``base`` (the current directory if None). Raises ConfigError with
        everything that is wrong with the series.
        """
        series, problems = self.examine(vars(self), base)
        if problems:
            raise ConfigError(problems)
        return series

    @classmethod
    def examine(
        cls, fields: Mapping[str, Any], base: Path | None = None, faulty: Collection[str] = ()
    ) -> tuple[Series, list[Problem]]:
        """Return the series that ``fields`` describe and everything that is wrong with it.

        The fields named in ``faulty`` are known to be wrong: nothing is said about them, and harmless values take
        their place.
        """
        return _examine({**_defaults(cls), **fields}, base, faulty)


@dataclass
class InitConfig:
    """Initial files that every run of a group shares per seed."""

    __pydantic_config__ = STRICT

    name: Name
    """Name in front of the files' key; the files lie in NAME/inits/inits.MODEL/ of the working location."""

    key: Name
    """Key in the files' names: NAME_KEY.EXTENSION."""

    seeds: Seeds
    """Seeds that have initial files."""

    extensions: list[Name]
    """Extensions of the initial files, without the leading dot."""

    group: str = ALL_GROUPS
    """Group of conditions that uses them; _ is every condition that is in no other group."""


@dataclass
class SeriesConfig(Expanding):
    """What is simulated: every condition with every seed, once."""

    __pydantic_config__ = STRICT

    name: Name
    """Name of the series, the first part of every file's name."""

    template_key: PathKey
    """File of the template in the template location."""

    seeds: Seeds
    """Random seeds: a list, text such as "0-99,200" (both ends included), or {start: 0, stop: 100} (stop not included,
    as in Python's range; step is optional)."""

    conditions: Conditions
    """Conditions: a list of mappings, each with a unique key, optionally a group, and the template's variables; or a
    generator: product, zip, latin_hypercube, sobol, from_csv or from_file, with a key pattern such as
    "T{temperature:.1f}_{drug}", and optionally constants and a group pattern. {index} counts from 0. Values of a
    variable are a list, {linspace: [start, stop, n]}, {logspace: [start, stop, n]} with exponents of 10, or
    {range: [start, stop, step]} without stop. Samples are {variables: {x: [low, high]}, n: 20, seed: 1}. Files are CSV,
    Parquet, YAML or JSON, relative to the file that names them. A list may hold generators, too."""

    extensions: list[str]
    """Extensions of the files that a complete run leaves, without the leading dot."""

    manifest_key: PathKey = "manifest.csv"
    """File of the manifest in the manifest location; CSV, or Parquet by its ending."""

    inits: list[InitConfig] = field(default_factory=list)
    """Initial files: a list of {name, key, seeds, extensions, group}."""

    groups: dict[str, str | None] = field(default_factory=lambda: {ALL_GROUPS: ""})
    """Groups of conditions that are simulated; _ takes every condition that is in no other, and a group set to null is
    skipped."""

    after: list[str] = field(default_factory=list)
    """Series of the same working location that this one builds upon. By name: each run waits for the files of it that
    its input takes, {{ output("NAME", key, seed, "EXTENSION") }} in the template or in a condition's text. By the path
    of its config, ending in .yaml, relative to the file that names it: all runs wait until that series is complete."""


def _defaults(cls: Any) -> dict[str, Any]:
    entries = dataclasses.fields(cls)
    made = {entry.name: entry.default_factory() for entry in entries if callable(entry.default_factory)}
    return {**{entry.name: entry.default for entry in entries if entry.default is not dataclasses.MISSING}, **made}


def _examine(fields: Mapping[str, Any], base: Path | None, faulty: Collection[str]) -> tuple[Series, list[Problem]]:
    known = {**_STAND_INS, **{name: value for name, value in fields.items() if name not in faulty}}
    wrong = set(faulty)
    seeds, problems = expand_seeds(known["seeds"])
    names, forerunners, after_problems = read_forerunners(known["after"], base, _examine_other)
    if after_problems:
        wrong.add("after")
        problems += after_problems
    if problems and not seeds:
        wrong.add("seeds")
    expanded = expand_conditions(known["conditions"], base=base)
    if expanded.problems:
        wrong.add("conditions")
        problems += expanded.problems
    inits, init_problems = _expand_inits(known["inits"])
    if init_problems:
        wrong.add("inits")
        problems += init_problems
    series = Series(
        conditions=expanded.conditions,
        seeds=seeds,
        extensions=list(known["extensions"]),
        inits=inits,
        groups=dict(known["groups"]),
        after=names,
        forerunners=forerunners,
        **{name: known[name] for name in _PASSED_ON if name in known},
    )
    if not series.groups:
        problems.append(Problem("series.groups", {}, "there is no group", 'leave the field out, or write {_: ""}'))
        wrong.update(("groups", "inits"))
    if "conditions" in wrong or not expanded.conditions:
        wrong.add("groups")
    found = [problem for problem in series.problems() if _field_of(problem) not in wrong]
    found += _stray_conditions(series) if "groups" not in wrong else []
    places = seed_places(known["seeds"]) if found else []
    return series, [*problems, *(_relocate(problem, expanded, places) for problem in found)]


def _examine_other(fields: Mapping[str, Any], base: Path) -> tuple[Series | None, list[Problem]]:
    try:
        config = reader(SeriesConfig).validate_python(fields)
    except ValidationError as error:
        return None, explain(error, "series", SeriesConfig, fields)
    return _examine(vars(config), base, ())


def _expand_inits(raw: Any) -> tuple[list[Init], list[Problem]]:
    inits: list[Init] = []
    problems: list[Problem] = []
    for index, item in enumerate(raw):
        config = item if isinstance(item, InitConfig) else TypeAdapter(InitConfig).validate_python(item)
        seeds, found = expand_seeds(config.seeds, f"series.inits[{index}].seeds")
        problems += found
        if not config.extensions:
            problems.append(Problem(f"series.inits[{index}].extensions", [], "there is no extension", "e.g. [csv]"))
        inits.append(Init(config.name, config.key, config.group, tuple(seeds), tuple(config.extensions)))
    return inits, problems


def _stray_conditions(series: Series) -> list[Problem]:
    """Return the conditions that belong to no group: without a word, they would never be simulated."""
    if ALL_GROUPS in series.groups:
        return []
    return [
        Problem(
            f"series.conditions[{index}].group",
            condition.get("group"),
            "is no group of the series, so the condition would never be simulated",
            did_you_mean(str(condition.get("group", "")), series.groups),
        )
        for index, condition in enumerate(series.conditions)
        if str(condition.get("group", ALL_GROUPS)) not in series.groups
    ]


def _field_of(problem: Problem) -> str:
    return re.split(r"[.\[]", problem.path.removeprefix("series."), maxsplit=1)[0]


def _relocate(problem: Problem, expanded: Expanded, places: Sequence[int]) -> Problem:
    """Say where a condition or seed was written rather than where it stands in the expanded list."""

    def origin(match: re.Match[str]) -> str:
        index = int(match[2])
        if match[1] == "seeds":
            return f"series.seeds[{places[index]}]" if places else match[0]
        return expanded.origins(index)

    return dataclasses.replace(
        problem, path=_INDEXED.sub(origin, problem.path), reason=_INDEXED.sub(origin, problem.reason)
    )
