"""The plan of a batch: what its tasks are called, and which files its results and its record become."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from simcampaign.errors import ConfigError, Problem
from simcampaign.web import record
from simcampaign.web.record import Record
from simcampaign.web.shapes import file_name, leaves

Where = str | os.PathLike[str]

SUFFIX = ".batch"
"""Of the names of records."""


class Plan:
    """Simulations in a shape, and where everything of them goes."""

    def __init__(
        self, simulation: Any, task_name: str, path: Where | None, folder: str, callback_url: str, file: Where | None
    ) -> None:
        """Look at all of them. Raises ``ConfigError`` for what is no simulation."""
        self.shape = simulation
        items = list(leaves(simulation))
        self.single = len(items) == 1 and not items[0][0]
        self.names = ["/".join((task_name, *place)) for place, _ in items]
        for name, (_, each) in zip(self.names, items, strict=True):
            check(each, name)
        self.targets = targets(task_name, path, [place for place, _ in items])
        folder_of_all = self.targets[0].parent if self.targets else Path.cwd()
        stem = self.targets[0].stem if self.single else file_name(task_name, ())
        self.file = Path(file) if file is not None else folder_of_all / f"{stem}{SUFFIX}"
        self._folder, self._callback_url = folder, callback_url

    def write(self, endpoint: str) -> Record:
        """Write the record for the solver of this name, and return it."""
        about = record.new(endpoint, self._folder, self.shape, self._callback_url)
        return record.write(self.file, self.shape, self.names, self.targets, about)


def targets(task_name: str, path: Where | None, places: list[tuple[str, ...]]) -> list[Path]:
    """Return the files of the results at places of a shape, below ``path``, by default the working directory."""
    if path is not None and places == [()]:
        return [Path(path)]
    base = Path.cwd() if path is None else Path(path)
    found: list[Path] = []
    taken: set[str] = set()
    for place in places:
        name = stem = file_name(task_name, place)
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}~{number}"
        taken.add(name)
        found.append(base / f"{name}.hdf5")
    return found


def check(simulation: Any, name: str) -> None:
    """Raise ``ConfigError`` for what is no simulation."""
    if not hasattr(simulation, "to_file"):
        reason = "is no simulation, and no dict, list or tuple of simulations"
        raise ConfigError([Problem(name, type(simulation).__name__, reason)], "see docs/web.md")
