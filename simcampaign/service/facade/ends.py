"""The ends of jobs: futures that are done when a job is over, woken by what is written down."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from simcampaign.errors import ConflictError
from simcampaign.ledger.queuerows import Event, QueueState
from simcampaign.service.core.book import Book

LAST = frozenset({"job_completed", "job_cancelled"})


class Ends:
    """Hands out the end of each job; safe to use from many threads."""

    def __init__(self, book: Book) -> None:
        """Listen to ``book``."""
        self._book = book
        self._lock = threading.Lock()
        self._wanted: dict[str, Future[QueueState]] = {}
        self._closed = False
        book.listeners.append(self._heard)

    def of(self, job_id: str) -> Future[QueueState]:
        """Return the state in which a job ends, once it has. Raises ``KeyError`` if there is no such job."""
        if (state := self._book.get(job_id).state).over:
            return _done(state)
        with self._lock:
            if self._closed:
                raise _closed()
            future = self._wanted.setdefault(job_id, Future())
        # It may have ended between the look and the wish; what is written from now on is heard.
        if (state := self._book.get(job_id).state).over:
            self._settle(job_id, state)
            return _done(state)
        return future

    def close(self) -> None:
        """Let go of all who wait; they are told that the service was closed."""
        with self._lock:
            self._closed = True
            left, self._wanted = list(self._wanted.values()), {}
        for each in left:
            if each.set_running_or_notify_cancel():
                each.set_exception(_closed())

    def _heard(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.kind in LAST:
                self._settle(event.job_id, self._book.get(event.job_id).state)

    def _settle(self, job_id: str, state: QueueState) -> None:
        with self._lock:
            future = self._wanted.pop(job_id, None)
        if future is not None and future.set_running_or_notify_cancel():
            future.set_result(state)


def _done(state: QueueState) -> Future[QueueState]:
    future: Future[QueueState] = Future()
    future.set_result(state)
    return future


def _closed() -> ConflictError:
    return ConflictError("the job manager was closed; its jobs go on", "start it again: start_service()")
