"""The job manager's book: jobs that wait, run and ended, and the events that clients are told.

Functions that write take a connection, so that several go into one transaction, and return the events that they wrote
down. A final state stays, and is told once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from simcampaign.errors import ConflictError
from simcampaign.ledger.parts import parts
from simcampaign.ledger.queuerows import OVER, Change, Event, NewJob, Place, QueueFilter, QueueRow, QueueState
from simcampaign.ledger.schema import queue_events, queue_jobs, queue_places

COLUMNS = [queue_jobs.c[name] for name in QueueRow.__dataclass_fields__]
SORTABLE = {name: queue_jobs.c[name] for name in ("created", "started", "ended", "priority", "id", "state", "user")}
SEARCHED = ("id", "user", "group", "series", "application", "message")
NAMED = ("site", "group", "user", "series")
FILTERED = (*NAMED, "array")
_IN_QUEUE = queue_jobs.c.state == QueueState.QUEUED
_NOT_OVER = queue_jobs.c.state.not_in(sorted(OVER))

# Statements of every submission and every change are made once: to make one takes longer than to execute it.
_NOTE = sa.insert(queue_events).returning(queue_events.c.seq, sort_by_parameter_order=True)
_SAME = sa.select(*COLUMNS).where(
    sa.or_(queue_jobs.c.id == sa.bindparam("id"), queue_jobs.c.idempotency_key == sa.bindparam("key", type_=sa.String))
)
_TAKEN = (
    sa.select(queue_jobs.c.id)
    .where(
        sa.or_(
            queue_jobs.c.id.in_(sa.bindparam("ids", expanding=True)),
            queue_jobs.c.idempotency_key.in_(sa.bindparam("keys", expanding=True)),
        )
    )
    .limit(1)
)
_NEW = sa.insert(queue_jobs).returning(queue_jobs.c.seq, sort_by_parameter_order=True)
_GET = sa.select(*COLUMNS).where(queue_jobs.c.id == sa.bindparam("id"))
_THESE = sa.select(*COLUMNS).where(queue_jobs.c.id.in_(sa.bindparam("ids", expanding=True)))
_STANDING = sa.select(queue_jobs.c.id, queue_jobs.c.state, queue_jobs.c.started, queue_jobs.c.cancelling).where(
    queue_jobs.c.id.in_(sa.bindparam("ids", expanding=True))
)


@functools.cache
def _set(names: tuple[str, ...]) -> sa.Update:
    """Return the statement that gives the job ``of`` new values of these columns, each called ``new_`` and its name."""
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in names}
    return sa.update(queue_jobs).where(queue_jobs.c.id == sa.bindparam("of")).values(values)


def _write_values(connection: sa.Connection, job_id: str, values: Mapping[str, Any]) -> None:
    _write_all(connection, {job_id: values})


def _write_all(connection: sa.Connection, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Give jobs new values, those with the same columns in one statement."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for job_id, new in values.items():
        row = {"of": job_id, **{f"new_{name}": value for name, value in new.items()}}
        alike.setdefault(tuple(new), []).append(row)
    for names, rows in alike.items():
        connection.execute(_set(names), rows)


def note(connection: sa.Connection, now: float, kind: str, job_id: str, payload: Mapping[str, Any]) -> Event:
    """Write an event down."""
    return note_all(connection, now, [(kind, job_id, payload)])[0]


def note_all(connection: sa.Connection, now: float, told: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[Event]:
    """Write events down, in their order; each is a kind, a job and what is told of it."""
    if not told:
        return []
    rows = [{"time": now, "kind": kind, "job_id": job, "payload": json.dumps(each)} for kind, job, each in told]
    numbers = connection.scalars(_NOTE, rows)
    return [Event(seq, now, *each) for seq, each in zip(numbers, told, strict=True)]


def submit(connection: sa.Connection, job: NewJob, position: int, now: float) -> tuple[QueueRow, list[Event]]:
    """Put a job into the queue at a position, as is told; the same job once more is returned as it is, without events.

    The same is what has the same idempotency key, or the same id, and the same content. Raises ``ConflictError`` if
    the content is another.
    """
    found = connection.execute(_SAME, {"id": job.id, "key": job.idempotency_key}).mappings().first()
    if found is None:
        return _add(connection, [(job, position)], now)[0]
    row = QueueRow.of(found)
    if row.request_digest == job.request_digest and row.user == job.user:
        return row, []
    what = f"job {job.id}" if row.id == job.id else f"idempotency key {job.idempotency_key!r}"
    raise ConflictError(f"{what} is there already, for another job", "take another one, or leave it out")


def submit_all(
    connection: sa.Connection, wanted: Sequence[tuple[NewJob, int]], now: float
) -> list[tuple[QueueRow, list[Event]]]:
    """Put jobs into the queue, each at a position; see ``submit``."""
    ids = [job.id for job, _ in wanted]
    keys = [job.idempotency_key for job, _ in wanted if job.idempotency_key is not None]
    differ = len(set(ids)) == len(ids) and len(set(keys)) == len(keys)
    if len(wanted) > 1 and differ and connection.scalar(_TAKEN, {"ids": ids, "keys": keys}) is None:
        return _add(connection, wanted, now)
    return [submit(connection, job, position, now) for job, position in wanted]


def _add(
    connection: sa.Connection, wanted: Sequence[tuple[NewJob, int]], now: float
) -> list[tuple[QueueRow, list[Event]]]:
    values = [new_row(job, now) for job, _ in wanted]
    numbers = connection.scalars(_NEW, values)
    rows = [
        QueueRow.of({name: each.get(name) for name in QueueRow.__dataclass_fields__} | {"seq": seq})
        for each, seq in zip(values, numbers, strict=True)
    ]
    return [(row, [event]) for row, event in zip(rows, note_queued(connection, wanted, now), strict=True)]


def note_queued(connection: sa.Connection, wanted: Sequence[tuple[NewJob, int]], now: float) -> list[Event]:
    """Write down that jobs were put into the queue, each at a position."""
    told = [
        ("job_queued", job.id, {"job_id": job.id, "priority": job.priority, "queue_position": position})
        for job, position in wanted
    ]
    return note_all(connection, now, told)


def new_row(job: NewJob, now: float) -> dict[str, Any]:
    """Return what a job that waits is written down as."""
    return {
        **{name: getattr(job, name) for name in NewJob.__dataclass_fields__},
        "after": json.dumps(job.after),
        "after_ok": json.dumps(job.after_ok),
        "state": QueueState.QUEUED,
        "created": now,
        "place": "",
        "place_index": 0,
        "cancelling": False,
        "message": "",
    }


def get(connection: sa.Connection, job_id: str) -> QueueRow:
    """Return a job. Raises ``KeyError`` if there is none of this id."""
    found = connection.execute(_GET, {"id": job_id}).mappings().first()
    if found is None:
        raise KeyError(job_id)
    return QueueRow.of(found)


def get_all(connection: sa.Connection, ids: Iterable[str]) -> list[QueueRow]:
    """Return those of the jobs that are there, in the order asked for."""
    wanted = list(ids)
    found: dict[str, QueueRow] = {}
    for some in parts(wanted):
        found |= {row["id"]: QueueRow.of(row) for row in connection.execute(_THESE, {"ids": some}).mappings()}
    return [found[job_id] for job_id in wanted if job_id in found]


def _standing(connection: sa.Connection, ids: Sequence[str]) -> dict[str, sa.Row[Any]]:
    return {row.id: row for some in parts(ids) for row in connection.execute(_STANDING, {"ids": some})}


def set_place(connection: sa.Connection, ids: Sequence[str], place: str, first: int) -> list[str]:
    """Write down, before their site is told, that jobs are handed over in ``place``, with indices from ``first`` on.

    Returns those that are: one that does not wait any more, because it was cancelled, is left out.
    """
    standing = _standing(connection, ids)
    placed = [each for each in ids if each in standing and standing[each].state == QueueState.QUEUED]
    there = {"place": place, "state": QueueState.SCHEDULED}
    _write_all(connection, {each: {**there, "place_index": first + at} for at, each in enumerate(placed)})
    return placed


def change(connection: sa.Connection, changes: Iterable[Change], now: float) -> list[Event]:
    """Write down what became of jobs; what is over stays as it is.

    One that its site hands back waits again, if nobody wants its end. It was never started, so nobody is told.
    """
    newest = {each.id: each for each in changes}
    standing = _standing(connection, list(newest))
    written: dict[str, Mapping[str, Any]] = {}
    told: list[tuple[str, str, Mapping[str, Any]]] = []
    for each in newest.values():
        found = standing.get(each.id)
        if found is None or QueueState(found.state).over or found.state == each.state:
            continue
        if each.state is QueueState.QUEUED and not found.cancelling:
            written[each.id] = {"state": QueueState.QUEUED, "place": "", "place_index": 0}
            continue
        if each.state is QueueState.QUEUED:  # its end was wanted meanwhile
            each = replace(each, state=QueueState.CANCELLED)  # noqa: PLW2901
        values = _values(each, now)
        written[each.id] = values
        full = replace(each, ended=values.get("ended"), started=each.started or found.started)
        began = QueueState(found.state) is not QueueState.RUNNING and full.started is not None
        if began and each.state.over and each.state is not QueueState.CANCELLED:
            told.append(("job_started", each.id, _started(full)))
        told.append(_told(full))
    _write_all(connection, written)
    return note_all(connection, now, told)


def _values(each: Change, now: float) -> dict[str, Any]:
    """Return what is written down of a change."""
    values: dict[str, Any] = {"state": each.state, "message": each.message}
    for name in ("started", "ended", "return_code", "cause", "cpu_seconds", "peak_memory_bytes"):
        if (value := getattr(each, name)) is not None:
            values[name] = value
    if each.state.over and each.ended is None:
        values["ended"] = now
    return values


def _started(each: Change) -> dict[str, Any]:
    return {"job_id": each.id, "start_time": each.started}


def _told(each: Change) -> tuple[str, str, dict[str, Any]]:
    if each.state is QueueState.RUNNING:
        return "job_started", each.id, _started(each)
    if each.state is QueueState.SCHEDULED:
        return "job_scheduled", each.id, {"job_id": each.id}
    payload = {
        "job_id": each.id,
        "status": str(each.state),
        "end_time": each.ended,
        "return_code": each.return_code,
        "cause": each.cause,
        "message": each.message,
    }
    kind = "job_cancelled" if each.state is QueueState.CANCELLED else "job_completed"
    return kind, each.id, payload


def cancel(connection: sa.Connection, job_id: str, now: float) -> tuple[QueueRow, list[Event]]:
    """Cancel a job that waits; of one that is handed over, write down that its end is wanted. Raises ``KeyError``.

    The row is that of before.
    """
    row = get(connection, job_id)
    if row.state is QueueState.QUEUED:
        return row, change(connection, [Change(job_id, QueueState.CANCELLED, message="cancelled while it waited")], now)
    if not row.state.over:
        _write_values(connection, job_id, {"cancelling": True})
    return row, []


def reorder(
    connection: sa.Connection, job_id: str, now: float, *, priority: int | None = None, held: bool | None = None
) -> tuple[QueueRow, list[Event]]:
    """Give a job that waits another priority, hold it or let it go. Raises ``KeyError``, or ``ConflictError``."""
    row = get(connection, job_id)
    if row.state is not QueueState.QUEUED:
        raise ConflictError(f"job {job_id} is {row.state}: only a job that waits can be moved")
    wanted = {"priority": priority, "held": held}
    values = {name: value for name, value in wanted.items() if value is not None}
    _write_values(connection, job_id, values)
    moved = get(connection, job_id)
    payload = {"job_id": job_id, "priority": moved.priority, "held": moved.held}
    return moved, [note(connection, now, "job_changed", job_id, payload)]


def delete(connection: sa.Connection, job_id: str) -> QueueRow:
    """Forget a job that is over, with its events. Raises ``KeyError``, or ``ConflictError`` if it is not over."""
    row = get(connection, job_id)
    if not row.state.over:
        raise ConflictError(f"job {job_id} is {row.state}, so it cannot be deleted", "cancel it first")
    connection.execute(sa.delete(queue_jobs).where(queue_jobs.c.id == job_id))
    connection.execute(sa.delete(queue_events).where(queue_events.c.job_id == job_id))
    return row


def listed(
    connection: sa.Connection,
    which: QueueFilter,
    *,
    limit: int | None = None,
    sort: str = "",
    descending: bool = False,
    after: QueueRow | None = None,
) -> list[QueueRow]:
    """Return jobs in the order of submission, or sorted by one of ``SORTABLE``.

    ``after`` is the last job of the page before.
    """
    conditions = _conditions(which)
    key = SORTABLE.get(sort, queue_jobs.c.seq)
    if after is not None:
        value = getattr(after, sort) if sort in SORTABLE else after.seq
        conditions.append(_behind(key, value, after, descending))
    order = (key.desc().nulls_last(), queue_jobs.c.seq.desc()) if descending else (key.nulls_last(), queue_jobs.c.seq)
    query = sa.select(*COLUMNS).where(*conditions).order_by(*order).limit(limit)
    if sort in SORTABLE and limit is not None:  # sorted without the texts of all jobs, which takes a third of the time
        page = sa.select(queue_jobs.c.seq).where(*conditions).order_by(*order).limit(limit)
        query = sa.select(*COLUMNS).where(queue_jobs.c.seq.in_(page)).order_by(*order)
    return [QueueRow.of(row) for row in connection.execute(query).mappings()]


def _behind(key: sa.Column[Any], value: Any, after: QueueRow, descending: bool) -> sa.ColumnElement[bool]:
    """Say of a row whether it comes behind ``after``; rows without a value come last."""
    later = queue_jobs.c.seq < after.seq if descending else queue_jobs.c.seq > after.seq
    if value is None:
        return key.is_(None) & later
    beyond = key < value if descending else key > value
    return sa.or_(beyond, (key == value) & later, key.is_(None))


def _conditions(which: QueueFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if which.states is not None:
        found.append(queue_jobs.c.state.in_(sorted(which.states)))
    wanted = {name: getattr(which, name) for name in FILTERED}
    found += [queue_jobs.c[name] == value for name, value in wanted.items() if value is not None]
    if which.since is not None:
        found.append(queue_jobs.c.created >= which.since)
    if which.text is not None:
        found.append(sa.or_(*(queue_jobs.c[name].icontains(which.text, autoescape=True) for name in SEARCHED)))
    if which.ids is not None:
        found.append(queue_jobs.c.id.in_(sorted(which.ids)))
    return found


def counts(connection: sa.Connection, which: QueueFilter | None = None) -> dict[QueueState, int]:
    """Return the number of jobs per state."""
    query = sa.select(queue_jobs.c.state, sa.func.count()).group_by(queue_jobs.c.state)
    query = query.where(*_conditions(which or QueueFilter()))
    return {QueueState(state): count for state, count in connection.execute(query)}


def names(connection: sa.Connection, most: int) -> dict[str, list[str]]:
    """Return the sites, groups, users and series that jobs have, sorted; of each at most ``most``."""
    found = {}
    for name in NAMED:
        column = queue_jobs.c[name]
        query = sa.select(column).where(column != "").distinct().order_by(column).limit(most)
        found[name] = list(connection.scalars(query))
    return found


def not_over(connection: sa.Connection) -> list[QueueRow]:
    """Return all jobs that are not over, in the order of submission."""
    query = sa.select(*COLUMNS).where(_NOT_OVER).order_by(queue_jobs.c.seq)
    return [QueueRow.of(row) for row in connection.execute(query).mappings()]


def ended_well(connection: sa.Connection, ids: Iterable[str]) -> dict[str, bool]:
    """Return of those jobs that are over whether they finished well."""
    query = sa.select(queue_jobs.c.id, queue_jobs.c.state).where(queue_jobs.c.id.in_(list(ids)))
    rows = [(job_id, QueueState(state)) for job_id, state in connection.execute(query)]
    return {job_id: state is QueueState.COMPLETED for job_id, state in rows if state.over}


def events_since(connection: sa.Connection, seq: int, limit: int = 1000, job_id: str | None = None) -> list[Event]:
    """Return events behind a sequence number, oldest first; of one job or of all."""
    query = sa.select(queue_events).where(queue_events.c.seq > seq).order_by(queue_events.c.seq).limit(limit)
    if job_id is not None:
        query = query.where(queue_events.c.job_id == job_id)
    rows = connection.execute(query).mappings()
    return [Event(row["seq"], row["time"], row["kind"], row["job_id"], json.loads(row["payload"])) for row in rows]


def last_event(connection: sa.Connection) -> int:
    """Return the sequence number of the newest event; 0 if there is none."""
    return int(connection.scalar(sa.select(sa.func.max(queue_events.c.seq))) or 0)


def forget_events(connection: sa.Connection, keep: int) -> None:
    """Remove all but the newest ``keep`` events."""
    connection.execute(sa.delete(queue_events).where(queue_events.c.seq <= last_event(connection) - keep))


def places(connection: sa.Connection, site: str) -> list[Place]:
    """Return the open arrays of a site that jobs were handed over in."""
    rows = connection.execute(sa.select(queue_places).where(queue_places.c.site == site)).mappings()
    return [Place(**row) for row in rows]


def save_place(connection: sa.Connection, place: Place) -> None:
    """Write down an open array, and how far its journal was read."""
    connection.execute(sa.delete(queue_places).where(queue_places.c.name == place.name))
    connection.execute(sa.insert(queue_places).values(asdict(place)))


def remove_place(connection: sa.Connection, name: str) -> None:
    """Forget an open array."""
    connection.execute(sa.delete(queue_places).where(queue_places.c.name == name))
