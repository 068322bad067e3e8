"""Waiting for jobs: what single jobs and job arrays have in common."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from simcampaign.api.record import Record
from simcampaign.engine.poller import Waiter, look_at
from simcampaign.errors import ConfigError, Problem
from simcampaign.jobs import JobState
from simcampaign.ledger import RequestRow

FOLLOW_SECONDS = (0.3, 5.0)
"""Shortest and longest time between two looks at a log that is followed."""


class Waited:
    """Something that is submitted and ends: a job, or all jobs of an array."""

    def __init__(self, record: Record, index: int | None) -> None:
        """Stand for the job with this index of a request, or for all of it."""
        self._record = record
        self._index = index

    @property
    def site_name(self) -> str:
        """The site that it runs at."""
        return self._record.site

    @property
    def group(self) -> str:
        """The group that it belongs to; ``archive`` once it was deleted."""
        return self._record.row().group

    def _row(self) -> RequestRow:
        return self._record.row()

    def _states(self) -> list[JobState]:
        return [row.state for row in self._record.jobs(self._index)]

    def _call(self) -> str:
        """Return what finds it again."""
        raise NotImplementedError

    def _update(self) -> None:
        """Ask the site, if there is something that may have changed."""
        if any(state.active for state in self._states()):
            look_at(self._record.place.workplace, [self._record.id])

    def done(self) -> bool:
        """Tell whether it has ended, well or not; the site is asked, but not more often than ``wait`` would."""
        if any(state.active for state in self._states()):
            self._record.place.poller.glance(self._row())
        return not any(state.active for state in self._states())

    def watch(self, interval: float | None) -> Waiter | None:
        """Start to wait for the end, with this many seconds between looks; None if it has come."""
        if interval is not None and not interval > 0:
            raise ConfigError([Problem("poll_interval_in_seconds", interval, "must be greater than 0")])
        if not any(state.active for state in self._states()):
            return None
        return self._record.place.poller.wait(self._row(), self._index, interval)

    def unwatch(self, waiter: Waiter) -> None:
        """Wait no longer."""
        self._record.place.poller.forget(waiter)

    @contextmanager
    def awaited(self, interval: float | None) -> Iterator[Future[None]]:
        """Give what is done when it has ended."""
        waiter = self.watch(interval)
        if waiter is None:
            ended: Future[None] = Future()
            ended.set_result(None)
            yield ended
            return
        try:
            yield waiter.ended
        finally:
            self.unwatch(waiter)

    def _wait(self, interval: float | None, timeout: float | None) -> None:
        try:
            with self.awaited(interval) as ended:
                ended.result(timeout)
        except TimeoutError:
            raise self.late(timeout) from None
        except KeyboardInterrupt:
            self._say_where()
            raise

    def late(self, timeout: float | None) -> TimeoutError:
        """Return what is raised when it was waited for long enough, in seconds."""
        return TimeoutError(f"{self._call()} did not end within {timeout:g} s; it goes on")

    def _say_where(self) -> None:
        """Tell a person who gives up waiting how to come back."""
        sys.stderr.write(f"\nThe job goes on at site {self.site_name}. To get it again:\n  {self._call()}\n")


class Follow:
    """Reads what is new in a text that grows, in whole lines."""

    def __init__(self) -> None:
        """Begin at the start."""
        self._seen = 0
        self._pause = FOLLOW_SECONDS[0]

    def lines(self, data: bytes, ended: bool) -> list[str]:
        """Return the lines that came since the last call; an unfinished one only at the end."""
        whole = len(data) if ended else data.rfind(b"\n") + 1
        new = data[self._seen : whole].decode(errors="replace").splitlines()
        self._seen = max(self._seen, whole)
        self._pause = FOLLOW_SECONDS[0] if new else min(self._pause * 1.5, FOLLOW_SECONDS[1])
        return new

    def seconds(self) -> float:
        """Return how long the next pause is."""
        return self._pause

    def pause(self, ended: Future[None]) -> None:
        """Wait a moment, shorter while there is much to read, or until the job has ended."""
        end = time.monotonic() + self._pause
        while not ended.done() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
