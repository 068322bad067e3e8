"""How far tasks are, read from the ends of their logs, and not more often than a log is worth it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from simcampaign.errors import SimcampaignError
from simcampaign.ledger.queuerows import QueueRow, QueueState
from simcampaign.service.core.lane import Lane
from simcampaign.service.solver.task import Task

END_BYTES = 4096
"""The last line about progress is looked for in so much of a log."""

REMEMBERED = 10_000

_LINE = re.compile(rb"^progress ([0-9]{1,3}(?:\.[0-9]+)?) (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is."""

    percent: float | None = None
    """None for one that has not begun, or did not end well."""

    field_decay: float | None = None
    """Which part of the largest field energy is left; None where nothing was told."""


class ProgressBoard:
    """Remembers for some time what a log said. Safe to share."""

    def __init__(self, lane: Callable[[str], Lane]) -> None:
        """Read logs at the sites' lanes."""
        self._lane = lane
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, Progress]] = {}

    def of(self, task: Task) -> Progress:
        """Return how far a task is."""
        if task.status in {"completed", "saving"}:
            return Progress(100.0)
        if task.job is None or task.job.state is not QueueState.RUNNING:
            return Progress()
        return self._running(task.job)

    def _running(self, job: QueueRow) -> Progress:
        now = time.monotonic()
        with self._lock:
            due, known = self._seen.get(job.id, (0.0, Progress(0.0)))
            if now < due:
                return known
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            try:
                lane = self._lane(job.site)
            except SimcampaignError:
                return known
            self._seen[job.id] = (now + lane.log_seconds, known)  # others need not look meanwhile
        try:
            found = _LINE.findall(lane.tail(job, END_BYTES))
        except (SimcampaignError, OSError):
            return known
        progress = Progress(float(found[-1][0]), _number(found[-1][1])) if found else known
        with self._lock:
            self._seen[job.id] = (now + lane.log_seconds, progress)
        return progress


def _number(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
