"""Figures of the queue since the service started: how many jobs came and ended, how long they waited and ran."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

from simcampaign.ledger.queuerows import Event, QueueRow

WAIT_BOUNDS = (0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0, 21600.0, 86400.0)
RUN_BOUNDS = (0.01, 0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 7200.0, 28800.0, 86400.0, 604800.0)
"""Upper bounds of the histograms' buckets, in seconds."""


class Histogram:
    """How many values fell below each bound, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Make one without values; ``bounds`` ascend, and one without an end comes behind them."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def take(self, value: float) -> None:
        """Count a value; clocks of two hosts may differ, and no time is below zero."""
        value = max(0.0, value)
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str) -> list[str]:
        """Return it in Prometheus' text format."""
        found, so_far = [], 0
        for bound, count in zip((*(f"{each:g}" for each in self.bounds), "+Inf"), self.counts, strict=True):
            so_far += count
            found.append(f'{name}_bucket{{le="{bound}"}} {so_far}')
        return [*found, f"{name}_sum {self.total}", f"{name}_count {so_far}"]


class Figures:
    """Counts what the book tells; it keeps two times of each job that is not over, and nothing of those that are."""

    def __init__(self) -> None:
        """Start from zero, as Prometheus expects of a process."""
        self._lock = threading.Lock()
        self._queued: dict[str, float] = {}
        self._started: dict[str, float] = {}
        self._submitted = 0
        self._ended: Counter[str] = Counter(dict.fromkeys(("completed", "failed", "cancelled", "lost"), 0))
        self._waits = Histogram(WAIT_BOUNDS)
        self._runs = Histogram(RUN_BOUNDS)

    def take_up(self, rows: Iterable[QueueRow]) -> None:
        """Note when jobs came that an earlier service left."""
        with self._lock:
            for row in rows:
                if row.started is None:
                    self._queued[row.id] = row.created
                else:
                    self._started[row.id] = row.started

    def hear(self, events: Sequence[Event]) -> None:
        """Count events of the book."""
        with self._lock:
            for event in events:
                self._hear(event)

    def _hear(self, event: Event) -> None:
        if event.kind == "job_queued":
            self._submitted += 1
            self._queued[event.job_id] = event.time
        elif event.kind == "job_started":
            started = event.payload["start_time"] or event.time
            self._started[event.job_id] = started
            if (queued := self._queued.pop(event.job_id, None)) is not None:
                self._waits.take(started - queued)
        elif event.kind in {"job_completed", "job_cancelled"}:
            self._ended[event.payload["status"]] += 1
            self._queued.pop(event.job_id, None)
            if (started := self._started.pop(event.job_id, None)) is not None:
                self._runs.take((event.payload["end_time"] or event.time) - started)

    def lines(self) -> list[str]:
        """Return them in Prometheus' text format."""
        with self._lock:
            ends = [
                f'simcampaign_jobs_ended_total{{status="{status}"}} {count}' for status, count in self._ended.items()
            ]
            submitted = [f"simcampaign_jobs_submitted_total {self._submitted}"]
            waits = self._waits.lines("simcampaign_job_wait_seconds")
            runs = self._runs.lines("simcampaign_job_run_seconds")
        return [
            *_headed("simcampaign_jobs_submitted_total", "counter", "Jobs that were queued since the start", submitted),
            *_headed("simcampaign_jobs_ended_total", "counter", "Jobs that ended since the start", ends),
            *_headed("simcampaign_job_wait_seconds", "histogram", "From being queued to being started", waits),
            *_headed("simcampaign_job_run_seconds", "histogram", "From being started to being over", runs),
        ]


def _headed(name: str, kind: str, text: str, lines: Sequence[str]) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines]


def gauge(name: str, text: str, samples: Sequence[tuple[str, float]]) -> list[str]:
    """Return a gauge in Prometheus' text format; each sample is its labels, in braces or empty, and its value."""
    return _headed(name, "gauge", text, [f"{name}{labels} {value}" for labels, value in samples])
