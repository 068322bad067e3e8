"""Finding jobs again, in any process that shares the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from simcampaign.api.array import JobArray
from simcampaign.api.job import Job
from simcampaign.api.places import open_requests
from simcampaign.api.record import Record
from simcampaign.errors import ConfigError, ConflictError, Problem
from simcampaign.jobs import JobState
from simcampaign.ledger import MEMBER, Filter, RequestRow, Requests, default_url, job_name
from simcampaign.mistakes import did_you_mean

Status = str | JobState | Iterable[str | JobState]


def get_job(job_name: str, site_name: str | None = None) -> Job:
    """Return a job by its name, also a deleted one, or one of an array (``NAME_0003``); the site is not asked.

    Raises ``ConfigError`` if there is none, ``ConflictError`` if there is one at several sites and none is named.
    """
    url = default_url()
    requests = open_requests(url)
    singles = [row for row in requests.find(job_name, site_name) if not row.many]
    if singles:
        return Job(Record.of(_only(singles, job_name), url))
    if member := MEMBER.fullmatch(job_name):
        index = int(member["index"])
        arrays = [row for row in requests.find(member["name"], site_name) if row.many and index < row.size]
        if arrays and member["index"] == f"{index:04d}":
            return Job(Record.of(_only(arrays, job_name), url), index)
    arrays = [row for row in requests.find(job_name, site_name) if row.many]
    if arrays:
        raise ConfigError([Problem("job_name", job_name, "is a job array", "get_job_array() returns it")])
    raise _missing(requests, job_name, site_name, many=False)


def get_job_array(job_name: str, site_name: str | None = None) -> JobArray:
    """Return a job array by its name, also a deleted one; the site is not asked.

    Raises as ``get_job``.
    """
    url = default_url()
    requests = open_requests(url)
    named = requests.find(job_name, site_name)
    found = [row for row in named if row.many]
    if named and not found:
        raise ConfigError([Problem("job_name", job_name, "is a single job", "get_job() returns it")])
    if not found:
        raise _missing(requests, job_name, site_name, many=True)
    return JobArray(Record.of(_only(found, job_name), url))


def get_jobs(
    site_name: str | None = None,
    status: Status | None = None,
    group: str | None = None,
    since: datetime | float | None = None,
    limit: int = 100,
    after: Job | None = None,
) -> list[Job]:
    """Return jobs, single ones and those of arrays, newest first, at most ``limit``; no site is asked.

    Parameters
    ----------
    status
        A state such as ``"failed"``, or several.
    group
        The group that they belong to; ``archive`` holds what was deleted, which is left out otherwise.
    since
        Only what was submitted since then; a time without a zone is local, a number is seconds since the epoch.
    after
        The last job of the page before.
    """
    which = _filter(site_name, status, group, since, limit)
    url = default_url()
    requests = open_requests(url)
    start = None if after is None else after.position
    rows = requests.list_jobs(which, limit, start)
    records = {row_id: Record.of(row, url) for row_id, row in _rows(requests, {row.request_id for row in rows}).items()}
    return [Job(records[row.request_id], row.index) for row in rows if row.request_id in records]


def get_job_arrays(
    site_name: str | None = None,
    status: Status | None = None,
    group: str | None = None,
    since: datetime | float | None = None,
    limit: int = 100,
    after: JobArray | None = None,
) -> list[JobArray]:
    """Return job arrays, newest first, as ``get_jobs`` does jobs; ``status`` asks for those with such a job."""
    which = _filter(site_name, status, group, since, limit, many=True)
    url = default_url()
    start = None if after is None else after.position
    return [JobArray(Record.of(row, url)) for row in open_requests(url).list_requests(which, limit, start)]


def _rows(requests: Requests, ids: Iterable[int]) -> dict[int, RequestRow]:
    found = ((row_id, requests.get(row_id)) for row_id in ids)
    return {row_id: row for row_id, row in found if row is not None}


def _filter(
    site_name: str | None,
    status: Status | None,
    group: str | None,
    since: datetime | float | None,
    limit: int,
    many: bool | None = None,
) -> Filter:
    states = None if status is None else {status} if isinstance(status, str) else set(status)
    problems = [
        Problem("status", state, "there is no such state", did_you_mean(state, JobState))
        for state in sorted(states or ())
        if state not in list(JobState)
    ]
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        problems.append(Problem("limit", limit, "must be an integer, 1 or more"))
    if since is not None and (isinstance(since, bool) or not isinstance(since, (datetime, int, float))):
        remedy = "give a datetime, or seconds since the epoch"
        problems.append(Problem("since", since, f"is no time: {type(since).__name__}", remedy))
    if problems:
        raise ConfigError(problems)
    seconds = since.timestamp() if isinstance(since, datetime) else since
    return Filter(site_name, None if states is None else {JobState(state) for state in states}, group, seconds, many)


def _only(rows: list[RequestRow], name: str) -> RequestRow:
    """Return the first row; raises ``ConflictError`` if another site has one of this name, too."""
    living = [row for row in rows if row.archived is None] or rows
    sites = sorted({row.site for row in living})
    if len(sites) > 1:
        raise ConflictError(f"there is a job {name} at several sites: {', '.join(sites)}", "give site_name, too")
    return living[0]


def _missing(requests: Requests, name: str, site_name: str | None, many: bool) -> ConfigError:
    rows = requests.list_requests(Filter(site=site_name, many=many or None), 100)
    known = [row.name if many else job_name(row, 0) for row in rows]
    where = "" if site_name is None else f" at site {site_name}"
    word = "job array" if many else "job"
    reason = f"the ledger has no such {word}{where}"
    return ConfigError(
        [Problem("job_name", name, reason, did_you_mean(name, known) if known else "")], "api.get_jobs()"
    )
