"""The ledger: what was meant to run, what was submitted, and how it ended."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain, count, groupby
from pathlib import Path
from statistics import median
from typing import cast

import sqlalchemy as sa

from simcampaign.errors import ConflictError
from simcampaign.jobs import ACTIVE, ArrayReport, Cause, JobReport, JobState, RunRange
from simcampaign.ledger import jobcosts
from simcampaign.ledger.intents import LEASE_SECONDS, NewArray, array_name, insert, write_array
from simcampaign.ledger.rows import ArrayRow, Claimed, Failure, Intent, RunRow, Usage
from simcampaign.ledger.schema import OPEN, ArrayState, Database, arrays, campaigns, jobs, ranges
from simcampaign.places import data_folder
from simcampaign.series import group_key

_ACTIVE = sorted(ACTIVE)
_ENDED = sorted(set(JobState) - ACTIVE)
_JOB_FIELDS = [field for field in JobReport.__dataclass_fields__ if field not in {"index", "cost"}]


def default_url() -> str:
    """Return ``SIMCAMPAIGN_LEDGER_URL``, or SQLite in the user's data folder."""
    return os.environ.get("SIMCAMPAIGN_LEDGER_URL") or f"sqlite:///{data_folder() / 'ledger.sqlite'}"


def ledger_exists(url: str) -> bool:
    """Tell whether there may be a ledger at ``url``; False only if it is a SQLite file that is not there."""
    path = url.removeprefix("sqlite:///")
    return path == url or Path(path).exists()


class Ledger:
    """The record of campaigns. Safe to share between processes, and with PostgreSQL between machines."""

    def __init__(self, url: str | None = None, clock: Callable[[], float] = time.time) -> None:
        """Open the ledger at ``url``, by default that of this user."""
        self.database = Database(url or default_url())
        self._clock = clock

    def campaign(self, name: str, location: str) -> int:
        """Return the id of the campaign of this series in this location, written down if it is new."""
        key = (campaigns.c.name == name) & (campaigns.c.location == location)
        with self.database.read() as connection:
            found = connection.scalar(sa.select(campaigns.c.id).where(key))
        if found is None:
            with self.database.write() as connection:
                found = connection.scalar(sa.select(campaigns.c.id).where(key))
                if found is None:
                    row = {"name": name, "location": location, "version": 0, "tries_since": 0}
                    found = insert(connection, campaigns, row)
        return int(found)

    def find_campaign(self, name: str, location: str) -> int | None:
        """Return the id of the campaign, or None if the ledger has never seen it; writes nothing."""
        key = (campaigns.c.name == name) & (campaigns.c.location == location)
        with self.database.read() as connection:
            return connection.scalar(sa.select(campaigns.c.id).where(key))

    def version(self, campaign_id: int) -> int:
        """Return the campaign's version: it grows with each claim."""
        with self.database.read() as connection:
            return int(connection.scalars(sa.select(campaigns.c.version).where(campaigns.c.id == campaign_id)).one())

    def tries_since(self, campaign_id: int) -> int:
        """Return the array, by its id, after which tries of the campaign's runs count."""
        with self.database.read() as connection:
            found = sa.select(campaigns.c.tries_since).where(campaigns.c.id == campaign_id)
            return int(connection.scalars(found).one())

    def last_array(self, campaign_id: int) -> int:
        """Return the id of the campaign's newest array; 0 if it has none."""
        with self.database.read() as connection:
            newest = sa.select(sa.func.max(arrays.c.id)).where(arrays.c.campaign_id == campaign_id)
            return int(connection.scalar(newest) or 0)

    def forgive(self, campaign_id: int) -> None:
        """Let no try count that was made so far: a person wants what failed to be tried again."""
        newest = sa.select(sa.func.coalesce(sa.func.max(arrays.c.id), 0)).where(arrays.c.campaign_id == campaign_id)
        with self.database.write() as connection:
            change = sa.update(campaigns).where(campaigns.c.id == campaign_id)
            connection.execute(change.values(tries_since=newest.scalar_subquery()))

    def claim(self, campaign_id: int, version: int, owner: str, intents: Sequence[Intent]) -> list[Claimed]:
        """Write intents down, all or none, before any site is called.

        Raises ``ConflictError`` if the campaign has another version than the plan was made from: somebody else
        claimed runs meanwhile, and the plan must be made again.
        """
        with self.database.write() as connection:
            moved = sa.update(campaigns).where(campaigns.c.id == campaign_id, campaigns.c.version == version)
            if connection.execute(moved.values(version=version + 1)).rowcount != 1:
                raise ConflictError(
                    "another campaign run claimed jobs of this series meanwhile",
                    "plan again; its runs are in flight now",
                )
            series = str(connection.scalars(sa.select(campaigns.c.name).where(campaigns.c.id == campaign_id)).one())
            return [self._write_intent(connection, campaign_id, series, owner, intent) for intent in intents]

    def _write_intent(
        self, connection: sa.Connection, campaign_id: int, series: str, owner: str, intent: Intent
    ) -> Claimed:
        same = (arrays.c.campaign_id == campaign_id) & (arrays.c.digest == intent.digest)
        attempt = 1 + (connection.scalar(sa.select(sa.func.max(arrays.c.attempt)).where(same)) or 0)
        of_the_day = (arrays.c.campaign_id == campaign_id) & (arrays.c.date == intent.date)
        taken = set(connection.scalars(sa.select(arrays.c.file_set).where(of_the_day)))
        file_set = _unused(group_key(series, intent.group), taken)
        name = array_name(group_key(series, intent.group), intent.digest, attempt)
        named = NewArray(name, file_set, attempt, owner, self._clock())
        return Claimed(write_array(connection, campaign_id, named, intent), name, file_set)

    def renew(self, array_ids: Sequence[int], owner: str) -> None:
        """Keep intents for another lease; raises ``ConflictError`` if one of them was taken over."""
        mine = arrays.c.id.in_(array_ids) & (arrays.c.owner == owner) & (arrays.c.state == ArrayState.INTENT)
        with self.database.write() as connection:
            change = sa.update(arrays).where(mine).values(lease_until=self._clock() + LEASE_SECONDS)
            if connection.execute(change).rowcount != len(array_ids):
                raise ConflictError("an array that was being submitted was taken over by another campaign run")

    def take_over(self, array: ArrayRow, owner: str) -> bool:
        """Make an orphaned intent ours; False if somebody else was quicker."""
        same = (arrays.c.id == array.id) & (arrays.c.owner == array.owner) & (arrays.c.lease_until == array.lease_until)
        with self.database.write() as connection:
            change = sa.update(arrays).where(same).values(owner=owner, lease_until=self._clock() + LEASE_SECONDS)
            return connection.execute(change).rowcount == 1

    def submitted(self, array_id: int, remote_id: str) -> None:
        """Write down that the site has the array."""
        now = self._clock()
        with self.database.write() as connection:
            values = {"state": ArrayState.SUBMITTED, "remote_id": remote_id, "submitted": now, "last_seen": now}
            connection.execute(sa.update(arrays).where(arrays.c.id == array_id).values(values))

    def abandon(self, array_id: int) -> None:
        """Write down that an intent never reached the site; its runs are free again."""
        with self.database.write() as connection:
            change = sa.update(arrays).where(arrays.c.id == array_id, arrays.c.state == ArrayState.INTENT)
            connection.execute(change.values(state=ArrayState.ABANDONED))

    def record(self, array: ArrayRow, report: ArrayReport) -> bool:
        """Write down what the site says since ``array.cursor``; active jobs of an array it does not know are lost.

        Returns False, and changes nothing, if somebody else wrote down a later look meanwhile. A final state stays.
        """
        with self.database.write() as connection:
            unmoved = (arrays.c.id == array.id) & (arrays.c.cursor == array.cursor)
            counts = "" if report.counts is None else json.dumps(report.counts)
            seen = sa.update(arrays).where(unmoved)
            seen = seen.values(cursor=report.cursor, counts=counts, last_seen=self._clock())
            if connection.execute(seen).rowcount != 1:
                return False
            changes = [_job_values(array.id, change) for change in report.changes]
            if changes:
                connection.execute(_JOB_UPDATE, changes)
                jobcosts.record(connection, array.id, report.changes)
            active = (jobs.c.array_id == array.id) & jobs.c.state.in_(_ACTIVE)
            if not report.known:
                lost = {"state": JobState.LOST, "cause": Cause.LOST, "message": "the site does not know the array"}
                connection.execute(sa.update(jobs).where(active).values(lost))
            if connection.scalar(sa.select(sa.func.count()).where(active)) == 0:
                connection.execute(sa.update(arrays).where(arrays.c.id == array.id).values(state=ArrayState.OVER))
            return True

    def complete(self, array_id: int, details: Sequence[JobReport]) -> None:
        """Fill in the times of jobs that ended, where they are not known yet."""
        untimed = (jobs.c.array_id == array_id) & (jobs.c.index == sa.bindparam("of_job")) & jobs.c.ended.is_(None)
        change = sa.update(jobs).where(untimed).values(started=sa.bindparam("begun"), ended=sa.bindparam("done"))
        rows = [{"of_job": each.index, "begun": each.started, "done": _ended(each)} for each in details]
        if rows:
            with self.database.write() as connection:
                connection.execute(change, rows)

    def collected(self, array_id: int) -> None:
        """Write down that logs of an array that is over were saved and its files cleaned."""
        with self.database.write() as connection:
            connection.execute(sa.update(arrays).where(arrays.c.id == array_id).values(collected=True))

    def arrays(
        self,
        campaign_id: int,
        *,
        open_only: bool = False,
        uncollected: bool = False,
        ids: Collection[int] | None = None,
    ) -> list[ArrayRow]:
        """Return the campaign's arrays, oldest first; of ``ids`` alone if they are given."""
        query = sa.select(*(arrays.c[field] for field in ArrayRow.__dataclass_fields__)).order_by(arrays.c.id)
        query = query.where(arrays.c.campaign_id == campaign_id)
        if ids is not None:
            query = query.where(arrays.c.id.in_(ids))
        if open_only:
            query = query.where(arrays.c.state.in_(OPEN))
        if uncollected:
            query = query.where(~arrays.c.collected, arrays.c.state != ArrayState.ABANDONED)
        with self.database.read() as connection:
            return [
                ArrayRow(**{**row, "state": ArrayState(row["state"])}) for row in connection.execute(query).mappings()
            ]

    def job_counts(self, array_ids: Iterable[int]) -> dict[int, dict[JobState, int]]:
        """Return the number of jobs per state of each array."""
        query = sa.select(jobs.c.array_id, jobs.c.state, sa.func.count()).group_by(jobs.c.array_id, jobs.c.state)
        found: dict[int, dict[JobState, int]] = {array_id: {} for array_id in array_ids}
        with self.database.read() as connection:
            for array_id, state, count in connection.execute(query.where(jobs.c.array_id.in_(list(found)))):
                found[array_id][JobState(state)] = count
            told = sa.select(arrays.c.id, arrays.c.counts).where(arrays.c.id.in_(list(found)), arrays.c.counts != "")
            for array_id, counts in connection.execute(told.where(arrays.c.state.in_(OPEN))):
                found[array_id] = {JobState(state): count for state, count in json.loads(counts).items()}
        return found

    def runs(self, campaign_id: int, *, active_only: bool = False) -> list[RunRow]:
        """Return every range that was ever submitted, oldest first; ranges of abandoned arrays are left out.

        With ``active_only`` those of jobs that have not ended.
        Of rows that share a run the last one tells its state.
        """
        query = (
            sa.select(
                ranges.c.condition,
                ranges.c.start_seed,
                ranges.c.end_seed,
                jobs.c.state,
                ranges.c.fingerprint,
                ranges.c.rendering,
                ranges.c.array_id,
                jobs.c.cause,
            )
            .join(arrays, arrays.c.id == ranges.c.array_id)
            .join(jobs, (jobs.c.array_id == ranges.c.array_id) & (jobs.c.index == ranges.c.index))
            .where(arrays.c.campaign_id == campaign_id, arrays.c.state != ArrayState.ABANDONED)
            .order_by(ranges.c.array_id, ranges.c.row)
        )
        if active_only:
            query = query.where(jobs.c.state.in_(_ACTIVE), arrays.c.state.in_(OPEN))
        with self.database.read() as connection:
            return cast("list[RunRow]", list(connection.execute(query)))

    def job_states(self, array_id: int) -> dict[int, JobState]:
        """Return the state of each job of an array."""
        query = sa.select(jobs.c.index, jobs.c.state).where(jobs.c.array_id == array_id).order_by(jobs.c.index)
        with self.database.read() as connection:
            return {index: JobState(state) for index, state in connection.execute(query)}

    def job_ranges(self, array_id: int) -> dict[int, list[RunRange]]:
        """Return the runs of each job of an array."""
        columns = (ranges.c.index, ranges.c.condition, ranges.c.start_seed, ranges.c.end_seed)
        query = sa.select(*columns).where(ranges.c.array_id == array_id).order_by(ranges.c.row)
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return {index: [RunRange(*row[1:]) for row in rows] for index, rows in groupby(rows, key=lambda row: row[0])}

    def failures(
        self, campaign_id: int, array_ids: Sequence[int] | None = None, limit: int | None = 100
    ) -> list[Failure]:
        """Return jobs that failed, were lost or cancelled, newest array first, at most ``limit`` (None: all)."""
        ended_badly = (JobState.FAILED, JobState.LOST, JobState.CANCELLED)
        columns = (arrays.c.id, arrays.c.name, arrays.c.group, arrays.c.date)
        details = (jobs.c.index, jobs.c.state, jobs.c.cause, jobs.c.exit_code, jobs.c.message)
        query = (
            sa.select(*columns, *details)
            .join(jobs, jobs.c.array_id == arrays.c.id)
            .where(arrays.c.campaign_id == campaign_id, jobs.c.state.in_(ended_badly))
            .where(arrays.c.state != ArrayState.ABANDONED)
            .order_by(arrays.c.id.desc(), jobs.c.index)
            .limit(limit)
        )
        if array_ids is not None:
            query = query.where(arrays.c.id.in_(array_ids))
        with self.database.read() as connection:
            rows = connection.execute(query).mappings().all()
        runs = {array_id: self.job_ranges(array_id) for array_id in {row["id"] for row in rows}}
        return [
            Failure(
                array_id=row["id"],
                array=row["name"],
                group=row["group"],
                index=row["index"],
                state=JobState(row["state"]),
                cause=Cause(row["cause"]) if row["cause"] else None,
                exit_code=row["exit_code"],
                message=row["message"],
                date=row["date"],
                ranges=tuple(runs[row["id"]].get(row["index"], ())),
            )
            for row in rows
        ]

    def seconds_per_run(self, model: str) -> float | None:
        """Return the median wall seconds per run of the model's last thousand finished jobs; None if none."""
        seconds = self._seconds(arrays.c.model == model, 1000)
        return median(seconds) if seconds else None

    def run_seconds(self, campaign_id: int, limit: int = 100_000) -> list[float]:
        """Return the wall seconds per run of the campaign's finished jobs, at most ``limit`` of the newest."""
        return self._seconds(arrays.c.campaign_id == campaign_id, limit)

    def _seconds(self, which: sa.ColumnElement[bool], limit: int) -> list[float]:
        newest = (
            sa.select(jobs.c.array_id, jobs.c.index, (jobs.c.ended - jobs.c.started).label("seconds"))
            .join(arrays, arrays.c.id == jobs.c.array_id)
            .where(which, jobs.c.state == JobState.FINISHED, jobs.c.started.is_not(None))
            .order_by(jobs.c.array_id.desc(), jobs.c.index.desc())
            .limit(limit)
            .cte("newest")
        )
        # Ranges have no index by job: they are added up once, not looked through for each job.
        sizes = (
            sa.select(ranges.c.array_id, ranges.c.index, sa.func.sum(ranges.c.end_seed - ranges.c.start_seed + 1))
            .where(ranges.c.array_id.in_(sa.select(newest.c.array_id)))
            .group_by(ranges.c.array_id, ranges.c.index)
            .cte("sizes")
        )
        array_id, index, size = sizes.columns
        query = sa.select(newest.c.seconds / size).join(
            sizes, (array_id == newest.c.array_id) & (index == newest.c.index)
        )
        with self.database.read() as connection:
            return [float(each) for each in connection.scalars(query)]

    def usage(self, campaign_id: int) -> Usage:
        """Return what the ended jobs of a campaign took: wall and core seconds, and money."""
        wall = jobs.c.ended - jobs.c.started
        query = (
            sa.select(
                sa.func.count(),
                sa.func.coalesce(sa.func.sum(wall), 0.0),
                sa.func.coalesce(sa.func.sum(wall * arrays.c.cpus), 0.0),
                sa.func.coalesce(sa.func.sum(wall * arrays.c.price_per_hour / 3600), 0.0),
            )
            .join(arrays, arrays.c.id == jobs.c.array_id)
            .where(arrays.c.campaign_id == campaign_id, jobs.c.ended.is_not(None), jobs.c.started.is_not(None))
        )
        with self.database.read() as connection:
            count, wall_seconds, core_seconds, cost = connection.execute(query).one()
            told = jobcosts.total(connection, campaign_id, states=_ENDED)
        return Usage(int(count), float(wall_seconds), float(core_seconds), float(cost) + told)

    def committed(self, campaign_id: int) -> float:
        """Return what the active jobs of a campaign may cost, as far as their site tells it."""
        with self.database.read() as connection:
            return jobcosts.total(connection, campaign_id, states=_ACTIVE)


def _unused(wanted: str, taken: Collection[str]) -> str:
    """Return ``wanted``, or with the first number from 2 on that makes it differ from those taken."""
    numbered = (f"{wanted}-{number}" for number in count(2))
    return next(each for each in chain([wanted], numbered) if each not in taken)


_JOB_UPDATE = (
    sa.update(jobs)
    .where(jobs.c.array_id == sa.bindparam("of_array"), jobs.c.index == sa.bindparam("of_job"))
    .where(sa.or_(*(jobs.c.state == state for state in _ACTIVE)))  # an executemany takes no IN
    .values({field: sa.bindparam(f"new_{field}") for field in _JOB_FIELDS})
)


def _job_values(array_id: int, report: JobReport) -> dict[str, object]:
    fields = {f"new_{field}": getattr(report, field) for field in _JOB_FIELDS}
    return {"of_array": array_id, "of_job": report.index, **fields, "new_ended": _ended(report)}


def _ended(report: JobReport) -> float | None:
    """Return when a job ended, not before it started: a clock that was set back makes no negative times and costs."""
    if report.started is None or report.ended is None:
        return report.ended
    return max(report.started, report.ended)
