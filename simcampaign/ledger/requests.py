"""Requests in the ledger: single jobs and job arrays that a person asked for, beside those of campaigns."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import sqlalchemy as sa

from simcampaign.errors import ConflictError
from simcampaign.jobs import Cause, JobState
from simcampaign.ledger.intents import NewArray, array_name, insert, insert_many, write_array
from simcampaign.ledger.ledger import Ledger
from simcampaign.ledger.requestrows import Filter, JobRow, NewPart, NewRequest, PartRow, RequestRow
from simcampaign.ledger.rows import ArrayRow, Intent
from simcampaign.ledger.schema import ArrayState, arrays, jobs, request_arrays, request_jobs, requests

ARCHIVE = "archive"
"""The group of requests that were deleted."""

CAMPAIGN = "requests"
"""Name of the campaign that holds a site's requests; its location is ``site:NAME``."""

MEMBER = re.compile(r"(?P<name>.+)_(?P<index>\d{4,})")
"""The name of a job of a job array: the array's, and the index."""


class Requests:
    """The record of requests, in the same database as campaigns."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        """Keep requests in the database of ``ledger``."""
        self.ledger = ledger
        self._database = ledger.database
        self._clock = clock

    def campaign(self, site: str) -> int:
        """Return the id of the campaign that the arrays of a site's requests belong to."""
        return self.ledger.campaign(CAMPAIGN, f"site:{site}")

    def create(self, new: NewRequest, parts: Sequence[NewPart], owner: str) -> tuple[RequestRow, list[PartRow]]:
        """Write a request down with its arrays as intents, all or nothing; returns both.

        If the very same request is there already, it is returned, without arrays: somebody submitted it before. Raises
        ``ConflictError`` if its name is another one's.
        """
        campaign_id = self.campaign(new.site)
        with self._database.write() as connection:
            self._lock(connection)
            same = (requests.c.name == new.name) & (requests.c.site == new.site) & (requests.c.buried == 0)
            row = connection.execute(sa.select(*_REQUEST).where(same)).mappings().one_or_none()
            if row is not None and row["digest"] == new.digest and row["many"] == new.many:
                return RequestRow(**row), []
            _check_name(connection, new, taken=row is not None)
            request_id = insert(
                connection,
                requests,
                {**asdict(new), "buried": 0, "created": self._clock()},
            )
            row = connection.execute(sa.select(*_REQUEST).where(requests.c.id == request_id)).mappings().one()
            request = RequestRow(**row)
            return request, [self._add(connection, campaign_id, request, part, owner) for part in parts]

    def try_again(
        self, request: RequestRow, parts: Sequence[NewPart], owner: str, instead_of: ArrayRow | None = None
    ) -> list[PartRow]:
        """Write down new arrays for jobs of a request, all or nothing; they are the newest tries of these jobs.

        ``instead_of`` is an intent of ours that never reached the site; it is abandoned. Raises ``ConflictError`` if
        one of the jobs is still active, or the intent is no longer ours: somebody else was quicker.
        """
        campaign_id = self.campaign(request.site)
        indices = [index for part in parts for index in part.jobs]
        with self._database.write() as connection:
            self._lock(connection)
            if instead_of is not None and not _abandon(connection, instead_of.id, owner):
                raise ConflictError(f"job {request.name} was taken over by another process")
            of_request = (request_jobs.c.request_id == request.id) & request_jobs.c.newest
            newest = {row["index"]: row for row in connection.execute(_TRIES.where(of_request)).mappings()}
            for index in indices:
                last = newest[index]
                if last["array_state"] != ArrayState.ABANDONED and JobState(last["state"]).active:
                    raise ConflictError(f"job {job_name(request, index)} is being tried again already", "wait for it")
                of_last = request_jobs.c.array_id == last["array_id"]
                this = of_last & (request_jobs.c.array_index == last["array_index"])
                connection.execute(sa.update(request_jobs).where(this).values(newest=False))
            return [self._add(connection, campaign_id, request, part, owner) for part in parts]

    def _add(
        self, connection: sa.Connection, campaign_id: int, request: RequestRow, part: NewPart, owner: str
    ) -> PartRow:
        of_request = request_arrays.c.request_id == request.id
        number = 1 + (connection.scalar(sa.select(sa.func.max(request_arrays.c.number)).where(of_request)) or 0)
        now = self._clock()
        name = array_name(request.name, request.token, number)
        intent = Intent(
            group=request.name,
            digest=request.token,
            site=request.site,
            date=datetime.fromtimestamp(now, UTC).date().isoformat(),
            model="",
            input_extension="",
            cpus=part.cores,
            price_per_hour=part.price_per_hour,
            inputs=[()] * len(part.jobs),
        )
        array_id = write_array(connection, campaign_id, NewArray(name, request.name, number, owner, now), intent)
        folder = f"{part.root}/{name}"
        values: dict[str, object] = {"request_id": request.id, "number": number, "resources": part.resources}
        connection.execute(sa.insert(request_arrays).values(array_id=array_id, folder=folder, **values))
        rows: list[dict[str, object]] = [
            {"array_id": array_id, "array_index": at, "request_id": request.id, "index": index, "newest": True}
            for at, index in enumerate(part.jobs)
        ]
        insert_many(connection, request_jobs, rows)
        return _parts(connection, request_arrays.c.array_id == array_id)[0]

    def withdraw(self, request_id: int) -> None:
        """Forget a request of which nothing reached its site."""
        with self._database.write() as connection:
            for table in (request_jobs, request_arrays):
                connection.execute(sa.delete(table).where(table.c.request_id == request_id))
            connection.execute(sa.delete(requests).where(requests.c.id == request_id))

    def give_up(self, array_id: int, owner: str, state: JobState, message: str) -> bool:
        """Write down that an intent of ours never reached its site, and what became of its jobs.

        Returns False if the intent is no longer ours.
        """
        cause = Cause.STAGING if state is JobState.LOST else None
        with self._database.write() as connection:
            if not _abandon(connection, array_id, owner):
                return False
            change = sa.update(jobs).where(jobs.c.array_id == array_id)
            connection.execute(change.values(state=state, cause=cause, message=message))
            return True

    def find(self, name: str, site: str | None = None) -> list[RequestRow]:
        """Return the requests of this name, those that were not deleted first, then newest first."""
        query = sa.select(*_REQUEST).where(requests.c.name == name)
        if site is not None:
            query = query.where(requests.c.site == site)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(requests.c.buried != 0, requests.c.id.desc())).mappings()
            return [RequestRow(**row) for row in rows]

    def get(self, request_id: int) -> RequestRow | None:
        """Return a request; None if it was withdrawn."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(*_REQUEST).where(requests.c.id == request_id)).mappings().one_or_none()
            return None if row is None else RequestRow(**row)

    def parts(self, request_ids: Iterable[int]) -> list[PartRow]:
        """Return all arrays of requests, also those of earlier tries, oldest first."""
        with self._database.read() as connection:
            return _parts(connection, request_arrays.c.request_id.in_(list(request_ids)))

    def jobs(self, request_ids: Iterable[int], index: int | None = None) -> list[JobRow]:
        """Return the newest try of each job of requests, or of the one with this index, in their order."""
        query = _JOBS.where(request_jobs.c.request_id.in_(list(request_ids)))
        if index is not None:
            query = query.where(request_jobs.c.index == index)
        with self._database.read() as connection:
            return _job_rows(connection, query.order_by(request_jobs.c.request_id, request_jobs.c.index))

    def states(self, request_ids: Iterable[int]) -> dict[tuple[int, int], JobState]:
        """Return the state of each job of requests, by request and index."""
        query = (
            sa.select(request_jobs.c.request_id, request_jobs.c.index, jobs.c.state)
            .join(jobs, _SAME_JOB)
            .where(request_jobs.c.newest, request_jobs.c.request_id.in_(list(request_ids)))
        )
        with self._database.read() as connection:
            return {(request_id, index): JobState(state) for request_id, index, state in connection.execute(query)}

    def list_jobs(self, which: Filter, limit: int, after: tuple[int, int] | None = None) -> list[JobRow]:
        """Return jobs, those of the newest request first, at most ``limit``.

        ``after`` is request and index of the last job of the page before.
        """
        query = _JOBS.where(*_conditions(which))
        if which.states is not None:
            query = query.where(jobs.c.state.in_(sorted(which.states)))
        if after is not None:
            later = (request_jobs.c.request_id == after[0]) & (request_jobs.c.index > after[1])
            query = query.where(sa.or_(request_jobs.c.request_id < after[0], later))
        query = query.order_by(request_jobs.c.request_id.desc(), request_jobs.c.index).limit(limit)
        with self._database.read() as connection:
            return _job_rows(connection, query)

    def list_requests(self, which: Filter, limit: int, after: int | None = None) -> list[RequestRow]:
        """Return requests, newest first, at most ``limit``; those with a job in one of the filter's states.

        ``after`` is the id of the last request of the page before.
        """
        query = sa.select(*_REQUEST).where(*_conditions(which)).order_by(requests.c.id.desc()).limit(limit)
        if after is not None:
            query = query.where(requests.c.id < after)
        if which.states is not None:
            in_state = (
                sa.select(request_jobs.c.request_id)
                .join(jobs, _SAME_JOB)
                .where(request_jobs.c.newest, jobs.c.state.in_(sorted(which.states)))
            )
            query = query.where(requests.c.id.in_(in_state))
        with self._database.read() as connection:
            return [RequestRow(**row) for row in connection.execute(query).mappings()]

    def costs(self, request_id: int) -> dict[int, float]:
        """Return what the ended tries of each job of a request cost together, by index."""
        cost = sa.func.sum((jobs.c.ended - jobs.c.started) * arrays.c.price_per_hour / 3600)
        query = (
            sa.select(request_jobs.c.index, sa.func.coalesce(cost, 0.0))
            .join(jobs, _SAME_JOB)
            .join(arrays, arrays.c.id == request_jobs.c.array_id)
            .where(request_jobs.c.request_id == request_id)
            .group_by(request_jobs.c.index)
        )
        with self._database.read() as connection:
            return {index: float(cost) for index, cost in connection.execute(query)}

    def regroup(self, request_id: int, group: str) -> None:
        """Move a request to another group."""
        with self._database.write() as connection:
            connection.execute(sa.update(requests).where(requests.c.id == request_id).values(group=group))

    def archive(self, request_id: int) -> None:
        """Move a request to the archive; its name is free again."""
        values = {"group": ARCHIVE, "buried": requests.c.id, "archived": self._clock()}
        with self._database.write() as connection:
            connection.execute(sa.update(requests).where(requests.c.id == request_id).values(values))

    def _lock(self, connection: sa.Connection) -> None:
        """Let one process at a time write requests; SQLite does so by itself."""
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7203592)"))


def job_name(request: RequestRow, index: int) -> str:
    """Return the name of a job of a request."""
    return f"{request.name}_{index:04d}" if request.many else request.name


_REQUEST = [requests.c[field] for field in RequestRow.__dataclass_fields__]
_SAME_JOB = (jobs.c.array_id == request_jobs.c.array_id) & (jobs.c.index == request_jobs.c.array_index)
_TRIES = (
    sa.select(
        request_jobs.c.index,
        request_jobs.c.array_id,
        request_jobs.c.array_index,
        jobs.c.state,
        arrays.c.state.label("array_state"),
    )
    .join(jobs, _SAME_JOB)
    .join(arrays, arrays.c.id == request_jobs.c.array_id)
)
_JOBS = (
    sa.select(
        request_jobs.c.request_id,
        request_jobs.c.index,
        request_jobs.c.array_id,
        request_jobs.c.array_index,
        request_arrays.c.number,
        request_arrays.c.folder,
        request_arrays.c.resources,
        arrays.c.name.label("array"),
        arrays.c.state.label("array_state"),
        arrays.c.remote_id,
        arrays.c.submitted,
        arrays.c.cpus.label("cores"),
        *(jobs.c[name] for name in ("state", "cause", "exit_code", "started", "ended")),
        *(jobs.c[name] for name in ("peak_memory_bytes", "cpu_seconds", "message")),
    )
    .join(jobs, _SAME_JOB)
    .join(arrays, arrays.c.id == request_jobs.c.array_id)
    .join(request_arrays, request_arrays.c.array_id == request_jobs.c.array_id)
    .join(requests, requests.c.id == request_jobs.c.request_id)
    .where(request_jobs.c.newest)
)


def _job_rows(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> list[JobRow]:
    found = []
    for row in connection.execute(query).mappings():
        kinds = {
            "state": JobState(row["state"]),
            "cause": Cause(row["cause"]) if row["cause"] else None,
            "array_state": ArrayState(row["array_state"]),
        }
        found.append(JobRow(**{**row, **kinds}))
    return found


def _parts(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[PartRow]:
    own = ("request_id", "number", "folder", "resources")
    fields = tuple(ArrayRow.__dataclass_fields__)
    columns = [*(request_arrays.c[name] for name in own), *(arrays.c[name] for name in fields)]
    query = sa.select(*columns).join(arrays, arrays.c.id == request_arrays.c.array_id).where(which)
    found = []
    for row in connection.execute(query.order_by(arrays.c.id)).mappings():
        array = ArrayRow(**{**{name: row[name] for name in fields}, "state": ArrayState(row["state"])})
        found.append(PartRow(**{name: row[name] for name in own}, array=array))
    return found


def _conditions(which: Filter) -> list[sa.ColumnElement[bool]]:
    found = [requests.c.group == which.group] if which.group is not None else [requests.c.buried == 0]
    if which.site is not None:
        found.append(requests.c.site == which.site)
    if which.since is not None:
        found.append(requests.c.created >= which.since)
    if which.many is not None:
        found.append(requests.c.many == which.many)
    return found


def _abandon(connection: sa.Connection, array_id: int, owner: str) -> bool:
    ours = (arrays.c.id == array_id) & (arrays.c.state == ArrayState.INTENT) & (arrays.c.owner == owner)
    change = sa.update(arrays).where(ours).values(state=ArrayState.ABANDONED)
    return connection.execute(change).rowcount == 1


def _check_name(connection: sa.Connection, new: NewRequest, taken: bool) -> None:
    """Raise ``ConflictError`` if the name, or that of a job of the new array, is taken already."""
    other = new.name if taken else None
    living = (requests.c.site == new.site) & (requests.c.buried == 0)
    if member := MEMBER.fullmatch(new.name):
        array = (
            living & (requests.c.name == member["name"]) & requests.c.many & (requests.c.size > int(member["index"]))
        )
        other = other or connection.scalar(sa.select(requests.c.name).where(array))
    if new.many:
        names = connection.scalars(sa.select(requests.c.name).where(living, requests.c.name.startswith(f"{new.name}_")))
        members = (MEMBER.fullmatch(name) for name in names)
        clash = (each[0] for each in members if each and each["name"] == new.name and int(each["index"]) < new.size)
        other = other or next(clash, None)
    if other is not None:
        hint = f"choose another job_name, or delete() {other} first"
        raise ConflictError(f"job_name {new.name}: there is another job {other} at site {new.site}", hint)
