"""What other packages add: the entry points of a group, imported when they are asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

Plugin = TypeVar("Plugin")


SOLVER_TYPES = "simcampaign.solver_types"
"""Entry-point group of the types of simulations that can be solved."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Something that is installed but cannot be used."""

    reason: str


class Plugins(Mapping[str, "Plugin | Broken"], Generic[Plugin]):
    """What is installed in a group, by name; one is imported when it is asked for, and harms no other if it is broken.

    ``accept`` is given what an entry point loads and the entry point; it returns the plug-in, or why it is none.
    """

    def __init__(self, group: str, accept: Callable[[object, EntryPoint], Plugin | Broken]) -> None:
        """Look which are installed; none is imported."""
        found: dict[str, dict[str, EntryPoint]] = defaultdict(dict)
        for entry in entry_points(group=group):
            found[entry.name].setdefault(entry.value, entry)
        self._found = {name: list(found[name].values()) for name in sorted(found)}
        self._accept = accept

    def __getitem__(self, name: str) -> Plugin | Broken:
        entries = self._found[name]
        if len(entries) > 1:
            return Broken(f"several packages offer it: {', '.join(sorted(entry.value for entry in entries))}")
        (entry,) = entries
        try:
            loaded = entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever another package does while it is imported
            return Broken(f"{entry.value}: {type(error).__name__}: {error}")
        return self._accept(loaded, entry)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: object) -> bool:
        return name in self._found


def packages(group: str) -> str:
    """Return the packages that offer something in a group, with their versions; none of it is imported."""
    found = {entry.dist.name: entry.dist.version for entry in entry_points(group=group) if entry.dist is not None}
    return ", ".join(f"{name} {found[name]}" for name in sorted(found))
