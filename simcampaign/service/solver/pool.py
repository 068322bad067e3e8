"""A pool of examiners: a file that takes long to read keeps no other one waiting."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable
from pathlib import Path

from simcampaign.service.solver.examiner import Examiner, Finding

LARGEST = 4
"""Most processes that read files at the same time."""


class Pool:
    """As many examiners as are needed at once, at most a few. Safe to share."""

    def __init__(self, make: Callable[[], Examiner], size: int | None = None) -> None:
        """Make examiners by ``make``: ``size``, or by default one more than cores and no more than ``LARGEST``."""
        self._all = [make() for _ in range(size or min(LARGEST, (os.cpu_count() or 1) + 1))]
        self._free: queue.LifoQueue[Examiner] = queue.LifoQueue()
        for each in reversed(self._all):
            self._free.put(each)

    def start(self) -> None:
        """Begin with one, so that whoever asks first does not wait for it."""
        self._all[0].start()

    def examine(self, path: Path) -> Finding:
        """Return what is in a file; waits until an examiner is free."""
        examiner = self._free.get()
        try:
            return examiner.examine(path)
        finally:
            self._free.put(examiner)

    def stop(self) -> None:
        """End the processes."""
        for each in self._all:
            each.stop()
