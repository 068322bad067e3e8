"""Reading what the service says of arrays and jobs; nothing is asked here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, overload

from simcampaign.errors import SiteError, shorten
from simcampaign.jobs import JobReport, JobState
from simcampaign.sites.batch.causes import Ending, classify

_QUEUED = ("SUBMITTED", "PENDING", "RUNNABLE")
_RUNNING = ("STARTING", "RUNNING")
_STATES = {
    **dict.fromkeys(_QUEUED, JobState.QUEUED),
    **dict.fromkeys(_RUNNING, JobState.RUNNING),
    "SUCCEEDED": JobState.FINISHED,
    "FAILED": JobState.FAILED,
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """What was seen of an array at the last look."""

    name: str = ""
    failed: int = 0
    """Failed children that were reported."""

    state: str = ""
    """State of a job that is no array."""

    over: bool = False
    missing: float | None = None
    """When the service was first found not to know the array, in seconds since the epoch."""

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Read a cursor; raises ``SiteError`` for a text that is none."""
        try:
            return cls(**json.loads(text)) if text else cls()
        except (ValueError, TypeError) as error:
            raise SiteError(f"cursor {shorten(text)!r}: is none of site batch") from error

    def __str__(self) -> str:
        default = Cursor()
        told = {key: value for key, value in asdict(self).items() if value != getattr(default, key)}
        return json.dumps(told, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Tally:
    """How many children of an array are where. The parent's own status is no progress: it stays PENDING."""

    size: int
    queued: int
    running: int
    succeeded: int
    failed: int
    runnable: int

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> Tally:
        """Count an array; children that it has not got yet are queued."""
        properties = job["arrayProperties"]
        size, summary = int(properties["size"]), properties.get("statusSummary") or {}
        running = sum(summary.get(state, 0) for state in _RUNNING)
        succeeded, failed = summary.get("SUCCEEDED", 0), summary.get("FAILED", 0)
        queued = max(0, size - running - succeeded - failed)
        return cls(size, queued, running, succeeded, failed, summary.get("RUNNABLE", 0))

    @property
    def ended(self) -> bool:
        """True if every child has ended."""
        return self.succeeded + self.failed == self.size

    @property
    def untouched(self) -> bool:
        """True if children wait for a machine and none has ever got one."""
        return bool(self.runnable) and not self.running + self.succeeded + self.failed

    @property
    def counts(self) -> dict[JobState, int]:
        """Jobs per state."""
        counts = {
            JobState.QUEUED: self.queued,
            JobState.RUNNING: self.running,
            JobState.FINISHED: self.succeeded,
            JobState.FAILED: self.failed,
        }
        return {state: count for state, count in counts.items() if count}


class Rest(Sequence[JobReport]):
    """Reports of an array that is over: those given, and that every other job finished; made when asked for."""

    def __init__(self, size: int, told: Sequence[JobReport]) -> None:
        """Report ``size`` jobs."""
        self._size = size
        self._told = told

    @cached_property
    def _by_index(self) -> dict[int, JobReport]:
        return {report.index: report for report in self._told}

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> JobReport: ...
    @overload
    def __getitem__(self, index: slice) -> list[JobReport]: ...
    def __getitem__(self, index: int | slice) -> JobReport | list[JobReport]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(self._size))]
        if not 0 <= index < self._size:
            raise IndexError(index)
        return self._by_index.get(index) or JobReport(index, JobState.FINISHED, exit_code=0)


def is_array(job: Mapping[str, Any]) -> bool:
    """Tell whether a described job is the parent of an array."""
    return "size" in (job.get("arrayProperties") or {})


def index_of(job: Mapping[str, Any]) -> int:
    """Return the index of a child; of a job that is no array 0."""
    properties = job.get("arrayProperties") or {}
    if "index" in properties:
        return int(properties["index"])
    tail = str(job["jobId"]).rpartition(":")[2] if ":" in job["jobId"] else "0"
    return int(tail)


def report_of(job: Mapping[str, Any]) -> JobReport:
    """Return what is known of a child or of a job that is no array, from its description or its summary.

    Of several attempts the last one counts. Raises ``SiteError`` for a status that the service does not document.
    """
    status = str(job.get("status"))
    if status not in _STATES:
        raise SiteError(f"job {job.get('jobId')}: status {status!r} is none that is known")
    state, started, ended = _STATES[status], _seconds(job.get("startedAt")), _seconds(job.get("stoppedAt"))
    if state is JobState.FINISHED:
        return JobReport(index_of(job), state, exit_code=0, started=started, ended=ended)
    if state is not JobState.FAILED:
        return JobReport(index_of(job), state, started=started if state is JobState.RUNNING else None)
    ending = ending_of(job)
    final, cause = classify(ending)
    return JobReport(
        index_of(job),
        final,
        cause,
        ending.exit_code,
        started=started,
        ended=ended,
        message=ending.message,
    )


def ending_of(job: Mapping[str, Any]) -> Ending:
    """Return what the service says of the last attempt of a job that did not succeed."""
    attempts = job.get("attempts") or ()
    last = attempts[-1] if attempts else {}
    container = last.get("container") or job.get("container") or {}
    return Ending(
        exit_code=container.get("exitCode"),
        # The job's own reason may be the one that was given to end it; that of the attempt says less then.
        status_reason=job.get("statusReason") or last.get("statusReason") or "",
        container_reason=container.get("reason") or "",
        stopped_by_request=bool(job.get("isTerminated") or job.get("isCancelled")),
        started=bool(job.get("startedAt") or last.get("startedAt")),
    )


def _seconds(milliseconds: int | None) -> float | None:
    """Return a time of the service in seconds since the epoch; the service says 0 for one that is not known."""
    return milliseconds / 1000 if milliseconds else None
