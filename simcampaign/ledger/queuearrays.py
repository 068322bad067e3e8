"""Arrays of the job manager: many jobs that were submitted in one request.

As in ``queuebook``, functions take a connection, and those that write return the events that they wrote down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import sqlalchemy as sa

from simcampaign.errors import ConflictError
from simcampaign.ledger.queuebook import COLUMNS, new_row, note_queued
from simcampaign.ledger.queuerows import ArrayRow, Event, NewArray, NewJob, QueueRow, QueueState
from simcampaign.ledger.schema import queue_arrays, queue_jobs

_COLUMNS = [queue_arrays.c[name] for name in ArrayRow.__dataclass_fields__]


def submit(
    connection: sa.Connection, array: NewArray, jobs: Sequence[NewJob], now: float
) -> tuple[tuple[ArrayRow, list[QueueRow]], list[Event]]:
    """Put an array into the queue; returns it with its new jobs.

    The same array once more, by its id or its idempotency key, is returned as it is, without jobs and events. Raises
    ``ConflictError`` if there is another one of this id or key, or a job that has the id of one of its jobs.
    """
    same = queue_arrays.c.id == array.id
    if array.idempotency_key is not None:
        same = sa.or_(same, queue_arrays.c.idempotency_key == array.idempotency_key)
    found = connection.execute(sa.select(*_COLUMNS).where(same)).mappings().first()
    if found is not None:
        row = ArrayRow(**found)
        if row.request_digest == array.request_digest and row.user == array.user:
            return (row, []), []
        what = f"array {array.id}" if row.id == array.id else f"idempotency key {array.idempotency_key!r}"
        raise ConflictError(f"{what} is there already, for another array", "take another one, or leave it out")
    ids = [job.id for job in jobs]
    if taken := connection.scalar(sa.select(queue_jobs.c.id).where(queue_jobs.c.id.in_(ids)).limit(1)):
        raise ConflictError(f"job {taken} is there already", "take another id for the array, or leave it out")
    written = sa.insert(queue_arrays).values(**asdict(array), created=now).returning(*_COLUMNS)
    row = ArrayRow(**connection.execute(written).mappings().one())
    waiting = sa.select(sa.func.count()).where(queue_jobs.c.state == QueueState.QUEUED)
    ahead = connection.scalar(waiting) or 0
    added = sa.insert(queue_jobs).returning(*COLUMNS, sort_by_parameter_order=True)
    found_rows = connection.execute(added, [new_row(job, now) for job in jobs]).mappings()
    events = note_queued(connection, [(job, ahead + place) for place, job in enumerate(jobs, 1)], now)
    return (row, [QueueRow.of(each) for each in found_rows]), events


def get(connection: sa.Connection, array_id: str) -> ArrayRow:
    """Return an array. Raises ``KeyError`` if there is none of this id."""
    found = connection.execute(sa.select(*_COLUMNS).where(queue_arrays.c.id == array_id)).mappings().first()
    if found is None:
        raise KeyError(array_id)
    return ArrayRow(**found)


def listed(
    connection: sa.Connection, *, user: str | None = None, limit: int, after: ArrayRow | None = None
) -> list[ArrayRow]:
    """Return arrays in the order of submission, behind ``after``."""
    query = sa.select(*_COLUMNS).order_by(queue_arrays.c.seq).limit(limit)
    if user is not None:
        query = query.where(queue_arrays.c.user == user)
    if after is not None:
        query = query.where(queue_arrays.c.seq > after.seq)
    return [ArrayRow(**each) for each in connection.execute(query).mappings()]


def counts(connection: sa.Connection, ids: Iterable[str]) -> dict[str, dict[QueueState, int]]:
    """Return the number of jobs per state of each array."""
    found: dict[str, dict[QueueState, int]] = {each: {} for each in ids}
    query = sa.select(queue_jobs.c.array, queue_jobs.c.state, sa.func.count())
    query = query.where(queue_jobs.c.array.in_(list(found))).group_by(queue_jobs.c.array, queue_jobs.c.state)
    for array_id, state, count in connection.execute(query):
        found[array_id][QueueState(state)] = count
    return found
