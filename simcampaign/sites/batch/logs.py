"""Logs of jobs, from CloudWatch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from simcampaign.errors import SiteError
from simcampaign.sites.batch.answers import code_of
from simcampaign.sites.batch.states import ending_of, index_of
from simcampaign.sites.batch.status import DESCRIBED, describe

if TYPE_CHECKING:
    from simcampaign.sites.batch.service import Service

_THREADS = 16
GROUP = "/aws/batch/job"
"""Where the service writes logs unless the job definition says otherwise."""


def read_logs(
    service: Service, name_of: Callable[[int], str], indices: Sequence[int], pattern: str
) -> Iterator[tuple[int, bytes]]:
    """Yield the logs of jobs; ``name_of`` tells the id of the job with an index.

    With a pattern only lines that match it are fetched. A job without a log has one line that says why.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="batch-logs") as threads:
        for first in range(0, len(indices), DESCRIBED):
            wanted = {name_of(index): index for index in indices[first : first + DESCRIBED]}
            jobs = {job["jobId"]: job for job in describe(service, list(wanted))}
            texts = threads.map(lambda job_id: _log(service, jobs.get(job_id), pattern), wanted)  # noqa: B023 - used up
            yield from zip(wanted.values(), texts, strict=True)


def _log(service: Service, job: dict[str, Any] | None, pattern: str) -> bytes:
    if job is None:
        return b"(no log: AWS Batch does not know the job any more)\n"
    stream = _stream(job)
    if not stream:
        return f"(no log: {_why_none(job)})\n".encode()
    events = _filtered if pattern else _all
    try:
        lines = [f"{event['message']}\n" for event in events(service, _group(job), stream, pattern)]
    except SiteError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        return f"(no log: stream {stream} does not exist; {_why_none(job)})\n".encode()
    return "".join(lines).encode()


def _stream(job: dict[str, Any]) -> str:
    """Return the log stream of the last attempt; it is read, as its name ends in the id of a task."""
    attempts = job.get("attempts") or ()
    container = job.get("container") or {}
    return container.get("logStreamName") or next(
        (name for each in reversed(attempts) if (name := each.get("container", {}).get("logStreamName"))), ""
    )


def _group(job: dict[str, Any]) -> str:
    options = ((job.get("container") or {}).get("logConfiguration") or {}).get("options") or {}
    return str(options.get("awslogs-group", GROUP))


def _why_none(job: dict[str, Any]) -> str:
    reason = ending_of(job).message
    status = f"job {index_of(job)} is {job['status']}"
    return f"{status}: {reason}" if reason else f"{status} and printed nothing"


def _all(service: Service, group: str, stream: str, _: str) -> Iterator[dict[str, Any]]:
    """Yield all events; a page may be empty before the end, which is where the token repeats."""
    place = {"logGroupName": group, "logStreamName": stream, "startFromHead": True}
    token: dict[str, str] = {}
    while True:
        page = service.logs("get_log_events", **place, **token)
        yield from page["events"]
        following = page.get("nextForwardToken")
        if not following or following == token.get("nextToken"):
            return
        token = {"nextToken": following}


def _filtered(service: Service, group: str, stream: str, pattern: str) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    while True:
        page = service.logs(
            "filter_log_events", logGroupName=group, logStreamNames=[stream], filterPattern=pattern, **token
        )
        yield from page["events"]
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}
