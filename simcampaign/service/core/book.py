"""The book of one service: reads at once, writes in groups, and events told after they are on the disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import sqlalchemy as sa

from simcampaign.ledger import Ledger, queuearrays, queuebook
from simcampaign.ledger.groupwriter import GroupWriter
from simcampaign.ledger.queuerows import (
    ArrayRow,
    Change,
    Event,
    NewArray,
    NewJob,
    Place,
    QueueFilter,
    QueueRow,
    QueueState,
)

T = TypeVar("T")


class Book:
    """The queue in the ledger. Every write returns a future that is done once it is on the disk.

    ``listeners`` are called with the events of a write, in order and from one thread, before its future is done.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        """Open the book in ``ledger``."""
        self.ledger = ledger
        self.clock = clock
        self.listeners: list[Callable[[Sequence[Event]], None]] = []
        self._told = 0
        self._database = ledger.database
        self._writer = GroupWriter(ledger.database, self._tell)

    def close(self) -> None:
        """Write what is to be written, and end."""
        self._writer.close()

    def _tell(self, notes: Sequence[Any]) -> None:
        events = [event for note in notes for event in note]
        if events:
            self._told = events[-1].seq
            for listener in self.listeners:
                listener(events)

    # Writing

    def submit(self, job: NewJob, position: int) -> Future[tuple[QueueRow, bool]]:
        """Put a job into the queue at a position; returns its row, and whether it is new. See ``queuebook.submit``."""
        return self._writer.write_alike(self._submit_all, (job, position))

    def _submit_all(
        self, connection: sa.Connection, wanted: Sequence[tuple[NewJob, int]]
    ) -> list[tuple[tuple[QueueRow, bool], list[Event]]]:
        done = queuebook.submit_all(connection, wanted, self.clock())
        return [((row, bool(events)), events) for row, events in done]

    def submit_array(self, array: NewArray, jobs: Sequence[NewJob]) -> Future[tuple[ArrayRow, list[QueueRow]]]:
        """Put an array into the queue; returns it, and its jobs if it is new. See ``queuearrays.submit``."""
        return self.write(lambda connection: queuearrays.submit(connection, array, jobs, self.clock()))

    def cancel(self, job_id: str) -> Future[QueueRow]:
        """Cancel a job that waits, or note that its end is wanted; the row is that of before."""
        return self._writer.write(lambda connection: queuebook.cancel(connection, job_id, self.clock()))

    def reorder(self, job_id: str, *, priority: int | None = None, held: bool | None = None) -> Future[QueueRow]:
        """Move a job that waits."""
        return self._writer.write(
            lambda connection: queuebook.reorder(connection, job_id, self.clock(), priority=priority, held=held)
        )

    def set_place(self, ids: Sequence[str], place: str, first: int) -> Future[list[str]]:
        """Write down, before their site is told, that jobs are handed over; returns those that still waited."""
        return self._writer.write(lambda connection: (queuebook.set_place(connection, ids, place, first), []))

    def change(self, changes: Sequence[Change], place: Place | None = None) -> Future[None]:
        """Write down what became of jobs, and how far the journal of their place was read."""

        def write(connection: sa.Connection) -> tuple[None, list[Event]]:
            if place is not None:
                queuebook.save_place(connection, place)
            return None, queuebook.change(connection, changes, self.clock())

        return self._writer.write(write)

    def delete(self, job_id: str) -> Future[QueueRow]:
        """Forget a job that is over."""
        return self._writer.write(lambda connection: (queuebook.delete(connection, job_id), []))

    def save_place(self, place: Place) -> Future[None]:
        """Write down an open array."""
        return self._writer.write(_silent(lambda connection: queuebook.save_place(connection, place)))

    def remove_place(self, name: str) -> Future[None]:
        """Forget an open array."""
        return self._writer.write(_silent(lambda connection: queuebook.remove_place(connection, name)))

    def note(self, kind: str, payload: dict[str, Any], job_id: str = "") -> Future[None]:
        """Write an event down that is not about the state of a job."""
        return self._writer.write(
            lambda connection: (None, [queuebook.note(connection, self.clock(), kind, job_id, payload)])
        )

    def forget_events(self, keep: int) -> Future[None]:
        """Remove all but the newest ``keep`` events."""
        return self._writer.write(_silent(lambda connection: queuebook.forget_events(connection, keep)))

    def write(self, write: Callable[[sa.Connection], tuple[T, list[Event]]]) -> Future[T]:
        """Have ``write`` write with others in one transaction; it returns its result and the events to be told."""
        return self._writer.write(write)

    # Reading

    def read(self, read: Callable[[sa.Connection], T]) -> T:
        """Return what ``read`` finds."""
        return self._read(read)

    def get(self, job_id: str) -> QueueRow:
        """Return a job. Raises ``KeyError``."""
        return self._read(lambda connection: queuebook.get(connection, job_id))

    def get_all(self, ids: Iterable[str]) -> list[QueueRow]:
        """Return those of the jobs that are there, in the order asked for."""
        return self._read(lambda connection: queuebook.get_all(connection, ids))

    def listed(
        self,
        which: QueueFilter,
        *,
        limit: int | None = None,
        sort: str = "",
        descending: bool = False,
        after: QueueRow | None = None,
    ) -> list[QueueRow]:
        """Return jobs; see ``queuebook.listed``."""
        return self._read(
            lambda connection: queuebook.listed(
                connection, which, limit=limit, sort=sort, descending=descending, after=after
            )
        )

    def counts(self, which: QueueFilter | None = None) -> dict[QueueState, int]:
        """Return the number of jobs per state."""
        return self._read(lambda connection: queuebook.counts(connection, which))

    def names(self, most: int) -> dict[str, list[str]]:
        """Return the sites, groups, users and series that jobs have; see ``queuebook.names``."""
        return self._read(lambda connection: queuebook.names(connection, most))

    def not_over(self) -> list[QueueRow]:
        """Return all jobs that are not over."""
        return self._read(queuebook.not_over)

    def ended_well(self, ids: Iterable[str]) -> dict[str, bool]:
        """Return of those jobs that are over whether they finished well."""
        return self._read(lambda connection: queuebook.ended_well(connection, ids))

    def events_since(self, seq: int, limit: int = 1000, job_id: str | None = None) -> list[Event]:
        """Return events behind a sequence number."""
        return self._read(lambda connection: queuebook.events_since(connection, seq, limit, job_id))

    def last_event(self) -> int:
        """Return the sequence number of the newest event, also if it was deleted with its job since."""
        return max(self._told, self._read(queuebook.last_event))

    def places(self, site: str) -> list[Place]:
        """Return the open arrays of a site."""
        return self._read(lambda connection: queuebook.places(connection, site))

    def _read(self, read: Callable[[sa.Connection], T]) -> T:
        with self._database.read() as connection:
            return read(connection)


def _silent(write: Callable[[sa.Connection], None]) -> Callable[[sa.Connection], tuple[None, list[Event]]]:
    """Return a write that clients are not told of."""

    def silent(connection: sa.Connection) -> tuple[None, list[Event]]:
        write(connection)
        return None, []

    return silent
