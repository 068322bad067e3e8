"""Foresight: how many jobs a site may be handed beyond those that it runs, so that its slots wait for none.

A job that was handed over cannot be overtaken any more. So there is foresight only while jobs are short, as those
before it are soon over then; and what has waited at the site for too long is handed back to the queue.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from simcampaign.ledger.queuerows import Change, QueueState

AHEAD_SECONDS = 0.25
"""What is handed over beyond the slots should have started within this time."""

LATE_SECONDS = 1.0
"""What has not started within this time is handed back."""

MOST = 64
"""Jobs beyond the slots at most."""

REMEMBERED = 16
"""So many jobs, the last that ended, tell how long one takes."""


class Foresight:
    """Watches the jobs of one site on this host."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Watch a site that runs jobs on so many cores at a time."""
        self._slots = slots
        self._clock = clock
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)
        self._cores: dict[str, int] = {}
        self._early: dict[str, float] = {}

    @property
    def ahead(self) -> int:
        """How many jobs may be handed over beyond those that run."""
        if len(self._seconds) < REMEMBERED:
            return 0
        mean = sum(self._seconds) / REMEMBERED
        return MOST if mean <= 0 else int(min(MOST, AHEAD_SECONDS * self._slots / mean))

    @property
    def some_wait(self) -> bool:
        """True while the site has jobs for which it had no slot."""
        return bool(self._early)

    def added(self, job_id: str, cores: int) -> None:
        """Note that a job was handed over."""
        if sum(self._cores.values()) + cores > self._slots:
            self._early[job_id] = self._clock()
        self._cores[job_id] = cores

    def seen(self, changes: Sequence[Change]) -> None:
        """Note what the site said of jobs."""
        for change in changes:
            if change.state is not QueueState.SCHEDULED:
                self._early.pop(change.id, None)
            if change.state.over or change.state is QueueState.QUEUED:
                self._cores.pop(change.id, None)
            if change.state.over and change.started is not None and change.ended is not None:
                self._seconds.append(change.ended - change.started)

    def late(self) -> set[str]:
        """Return the jobs that should be handed back, once; then there is no foresight for a while."""
        if not self._early or self._clock() - next(iter(self._early.values())) < LATE_SECONDS:
            return set()
        late = set(self._early)
        self._early.clear()
        self._seconds.clear()
        return late
