"""Engines: what reads, quotes and solves the simulations of one file format."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from simcampaign.errors import ConflictError
from simcampaign.service.solver.examiner import Examiner, Finding
from simcampaign.service.solver.pool import Pool
from simcampaign.service.solver.settings import SolverConfig
from simcampaign.service.tidy3d import ASKER, WORKER
from simcampaign.service.tidy3d.asker import WARM

TIDY3D = "tidy3d."
"""What the names of tidy3d's types begin with here."""

WAITING = 16
"""Threads that examine files, or wait for an examiner."""

T = TypeVar("T")

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Engine:
    """The programs for one format."""

    examiner: tuple[str, ...]
    """Command on the service's host that reads paths, one a line, and answers each with a ``Finding`` in JSON."""

    solver: tuple[str, ...]
    """Command at the site; the names of the simulation's file and of the result's follow it."""

    paths: Mapping[str, str] = field(default_factory=dict)
    """Files that it needs beside it at the site: name → path on the service's host."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that it needs at the site."""


class Engines:
    """The engines of one service, each with its examiner. Safe to share."""

    def __init__(self, config: SolverConfig, folder: Path) -> None:
        """Take our own, and tidy3d's if there is an environment for it; its processes meet in ``folder``."""
        own = (sys.executable, "-m", "simcampaign.service.solver.examiner")
        self._own = Engine(own, (config.python, "-m", "simcampaign.solver"))
        self._tidy3d = _tidy3d(config, folder) if config.tidy3d.python else None
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(max(1, int(config.cores))))
        kept = [each for each in (self._own, self._tidy3d) if each is not None]
        # The processes of tidy3d's meet in one place, so there is one; each of ours stands alone.
        self._examiners = {
            each.examiner: Pool(partial(Examiner, each.examiner, threads), None if each is self._own else 1)
            for each in kept
        }
        self._threads = ThreadPoolExecutor(WAITING, "examining")

    def start(self) -> None:
        """Start the examiner that takes seconds until it can read, so that no client waits for that."""
        if self._tidy3d is not None:
            self._examiners[self._tidy3d.examiner].start()

    def stop(self) -> None:
        """End the examiners."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for each in self._examiners.values():
            each.stop()

    def examine(self, path: Path) -> Finding:
        """Return what is in a file. What is compressed as a whole is tidy3d's; files of our own never are."""
        with path.open("rb") as file:
            is_tidy3d = file.read(len(_GZIP)) == _GZIP
        engine = self._tidy3d if is_tidy3d else self._own
        if engine is None:
            return Finding("it is compressed as tidy3d's are, and this service's owner named no environment of tidy3d")
        return self._examiners[engine.examiner].examine(path)

    def soon(self, work: Callable[[], T]) -> Future[T]:
        """Have ``work``, which examines a file, done in a thread kept for that: whoever waits takes no other thread."""
        return self._threads.submit(work)

    def of_type(self, name: str) -> Engine:
        """Return the engine for a type of simulation. Raises ``ConflictError`` if its environment is gone."""
        if not name.startswith(TIDY3D):
            return self._own
        if self._tidy3d is None:
            raise ConflictError(
                f"{name} needs an environment of tidy3d", "set python in [solver.tidy3d] of service.toml"
            )
        return self._tidy3d


def _tidy3d(config: SolverConfig, folder: Path) -> Engine:
    python = config.tidy3d.python
    # A process that is forked from another is none of its job's, whose memory a site watches.
    socket = str(folder / "tidy3d.socket")
    warm = {} if config.memory_mb else {WARM: socket}
    return Engine(
        examiner=(python, str(WORKER), "examine", socket),
        solver=(python, "-S", ASKER.name),
        paths={each.name: str(each) for each in (ASKER, WORKER)},
        environment=warm,
    )
