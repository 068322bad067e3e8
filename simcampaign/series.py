"""A series: conditions × seeds, and the names of everything that belongs to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simcampaign.errors import Problem

SEED_DIGITS = 4
"""Seeds are padded to this many digits in run keys; larger seeds take as many as they need."""

ALL_GROUPS = "_"
"""The group of every condition that belongs to no other; it is left out of names."""

Condition = Mapping[str, Any]

_KEY = re.compile(r"[A-Za-z0-9._+=,@-]+\Z")
_FOLD_RUN = re.compile("__+")


def fold(key: str) -> str:
    """Fold ``__`` to ``_`` and ``_.`` to ``.``, so that an empty part of a name leaves no trace."""
    return _FOLD_RUN.sub("_", key).replace("_.", ".")


def run_stem(name: str, condition_key: str) -> str:
    """Return the part of a run's key in front of the seed, folded."""
    return fold(f"{name}_{condition_key}_")


def run_key(name: str, condition_key: str, seed: int) -> str:
    """Return the key of a run: ``NAME_CONDITIONKEY_SEED``, the seed padded to four digits or more."""
    return f"{run_stem(name, condition_key)}{seed:0{SEED_DIGITS}d}"


def group_key(name: str, group: str) -> str:
    """Return the file-set name of a group: ``NAME_GROUP``, or ``NAME`` alone for the group ``_``."""
    return name if group == ALL_GROUPS else fold(f"{name}_{group}")


def key_fault(key: object) -> str:
    """Say what is wrong with ``key`` as a part of file names and job names; an empty string if nothing is."""
    if not isinstance(key, str):
        return f"must be text, not {type(key).__name__}"
    if not key:
        return "must not be empty"
    if key.startswith((".", "/")) or ".." in key:
        return "must not start with '.' or '/', nor contain '..'"
    if not _KEY.match(key):
        bad = sorted({character for character in key if not _KEY.match(character)})
        shown = " ".join(repr(character) for character in bad[:5])
        return f"has characters that are not safe in file names and job names: {shown}"
    if len(key) > 120:
        return f"is {len(key)} characters long, more than 120"
    return ""


@dataclass(frozen=True, slots=True)
class Init:
    """Initial files that every run of a group shares per seed.

    The source is ``(name)/inits/inits.(MODEL)/(name)_(key).(extension)`` in the working location.
    """

    name: str
    key: str
    group: str
    seeds: tuple[int, ...]
    extensions: tuple[str, ...]


@dataclass(frozen=True)
class Series:
    """A name, conditions, seeds and the file extensions that a complete run leaves.

    Conditions and seeds keep the order in which they were given; every plan follows it.
    """

    name: str
    conditions: Sequence[Condition]
    seeds: Sequence[int]
    extensions: Sequence[str]
    manifest_key: str = "manifest.csv"
    template_key: str = ""
    inits: Sequence[Init] = ()
    groups: Mapping[str, str | None] = field(default_factory=lambda: {ALL_GROUPS: ""})
    after: Sequence[str] = ()
    """Names of other series of the same location whose files inputs may take; see ``chains``."""

    forerunners: Sequence[Series] = ()
    """Other series of the same location that must be complete before any run of this one starts."""

    @property
    def size(self) -> int:
        """Number of runs: conditions × seeds."""
        return len(self.conditions) * len(self.seeds)

    def group_of(self, condition: Condition) -> str | None:
        """Return the group that runs ``condition``; None if its group is not among the series' or set to null.

        A condition whose ``group`` is listed belongs there; the group ``_`` takes all others.
        """
        own = str(condition.get("group", ALL_GROUPS))
        group = own if own in self.groups else ALL_GROUPS
        return group if self.groups.get(group) is not None else None

    def inits_of(self, group: str) -> list[Init]:
        """Return the inits of a group; one whose own group is not listed belongs to the group ``_``."""
        return [init for init in self.inits if (init.group if init.group in self.groups else ALL_GROUPS) == group]

    def problems(self) -> list[Problem]:
        """Return everything that is wrong with this series, in the order of its fields."""
        return [
            *_key_problem("series.name", self.name),
            *_seed_problems("series.seeds", self.seeds),
            *self._condition_problems(),
            *self._extension_problems(),
            *self._group_problems(),
            *self._init_problems(),
            *self._after_problems(),
        ]

    def _condition_problems(self) -> list[Problem]:
        if not self.conditions:
            return [Problem("series.conditions", [], "there is no condition", "give at least one, with a `key`")]
        found: list[Problem] = []
        first: dict[str, int] = {}
        for index, condition in enumerate(self.conditions):
            path = f"series.conditions[{index}].key"
            if "key" not in condition:
                found.append(Problem(path, dict(condition), "every condition needs a `key`", "add key: NAME"))
                continue
            key = condition["key"]
            fault = key_fault(key)
            if fault:
                found.append(Problem(path, key, fault, "use letters, digits and . _ + = , @ -"))
                continue
            earlier = first.setdefault(run_stem(str(self.name), key), index)
            if earlier != index:
                found.append(Problem(path, key, f"is also the key of series.conditions[{earlier}]", "keys must differ"))
        return found

    def _extension_problems(self) -> list[Problem]:
        if not self.extensions:
            return [Problem("series.extensions", [], "a complete run must leave at least one file", "e.g. [csv]")]
        return [
            Problem(f"series.extensions[{index}]", extension, fault, "e.g. csv, or tar.xz, without the leading dot")
            for index, extension in enumerate(self.extensions)
            if (fault := key_fault(extension))
        ]

    def _group_problems(self) -> list[Problem]:
        found = [
            problem
            for group in self.groups
            if group != ALL_GROUPS
            for problem in _key_problem(f"series.groups.{group}", group)
        ]
        used = {self.group_of(condition) for condition in self.conditions}
        for group, value in self.groups.items():
            if value is not None and group not in used:
                found.append(
                    Problem(
                        f"series.groups.{group}",
                        value,
                        "no condition belongs to this group",
                        f"give a condition `group: {group}`, or set the group to null to skip it",
                    )
                )
        return found

    def _init_problems(self) -> list[Problem]:
        found: list[Problem] = []
        for index, init in enumerate(self.inits):
            path = f"series.inits[{index}]"
            found += _key_problem(f"{path}.name", init.name) + _key_problem(f"{path}.key", init.key)
            found += _seed_problems(f"{path}.seeds", init.seeds)
            if init.group not in self.groups and ALL_GROUPS not in self.groups:
                known = ", ".join(self.groups)
                found.append(Problem(f"{path}.group", init.group, "is no group of the series", f"one of: {known}"))
        return found

    def _after_problems(self) -> list[Problem]:
        found = [
            Problem(f"series.after[{index}]", name, fault, "name another series of the same working location")
            for index, name in enumerate(self.after)
            if (fault := "is the series itself" if name == self.name else key_fault(name))
        ]
        return found + [
            Problem("series.after", other.name, "is the series itself", "name the config of another series")
            for other in self.forerunners
            if other.name == self.name
        ]


def _key_problem(path: str, key: object) -> list[Problem]:
    fault = key_fault(key)
    return [Problem(path, key, fault, "use letters, digits and . _ + = , @ -")] if fault else []


def _seed_problems(path: str, seeds: Sequence[int]) -> list[Problem]:
    if not seeds:
        return [Problem(path, [], "there is no seed", 'e.g. [0, 1, 2] or "0-9"')]
    found: list[Problem] = []
    first: dict[int, int] = {}
    for index, seed in enumerate(seeds):
        if isinstance(seed, bool) or not isinstance(seed, int):
            found.append(Problem(f"{path}[{index}]", seed, "a seed must be an integer"))
        elif seed < 0:
            found.append(Problem(f"{path}[{index}]", seed, "a seed must not be negative"))
        elif (earlier := first.setdefault(seed, index)) != index:
            found.append(
                Problem(f"{path}[{index}]", seed, f"is given already at {path}[{earlier}]", "name each seed once")
            )
    return found
