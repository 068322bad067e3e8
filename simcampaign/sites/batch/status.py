"""Watching: one call for a hundred arrays, and children only where failures grew."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simcampaign.jobs import ArrayReport, Cause, JobReport, JobState
from simcampaign.sites.batch.answers import part
from simcampaign.sites.batch.causes import classify
from simcampaign.sites.batch.states import Cursor, Rest, Tally, ending_of, is_array, report_of

if TYPE_CHECKING:
    from simcampaign.sites.batch.service import Service

DESCRIBED = 100
"""Jobs that one call of DescribeJobs describes."""

_ORPHAN_SECONDS = 60.0
"""Time after the end of an array in which its last children may still appear."""


def describe(service: Service, job_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the descriptions of the jobs that the service knows, a hundred a call."""
    for first in range(0, len(job_ids), DESCRIBED):
        answer = service.batch("describe_jobs", jobs=list(job_ids[first : first + DESCRIBED]))
        yield from part(answer, "jobs", "DescribeJobs")


def children(service: Service, array_id: str, status: str) -> list[JobReport]:
    """Return the reports of an array's children with this status of the service, from all pages."""
    return [report_of(child) for child in service.list_jobs(arrayJobId=array_id, jobStatus=status)]


class Watcher:
    """Tells what changed in arrays."""

    def __init__(
        self,
        service: Service,
        knows: Callable[[str, str], bool],
        settle_seconds: float,
        seen: Callable[[Sequence[Mapping[str, Any]]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``knows(name, job id)`` asks for a job in another way than by its id; ``seen`` is shown all descriptions."""
        self._service = service
        self._knows = knows
        self._settle_seconds = settle_seconds
        self._seen = seen
        self._clock = clock

    def status(self, cursors: Mapping[str, str]) -> dict[str, ArrayReport]:
        """Return what changed in the jobs of these ids since the cursor of each."""
        jobs = {job["jobId"]: job for job in describe(self._service, list(cursors))}
        self._seen(list(jobs.values()))
        reports = {}
        for job_id, text in cursors.items():
            cursor = Cursor.read(text)
            if job_id in jobs:
                reports[job_id] = self._known(jobs[job_id], replace(cursor, missing=None))
            else:
                reports[job_id] = self._missing(job_id, cursor)
        return reports

    def _known(self, job: Mapping[str, Any], cursor: Cursor) -> ArrayReport:
        cursor = replace(cursor, name=job["jobName"])
        if is_array(job):
            return self._array(job, cursor)
        report = report_of(job)
        changes = [] if report.state == cursor.state else [report]
        return ArrayReport(str(replace(cursor, state=report.state.value)), changes)

    def _array(self, job: Mapping[str, Any], cursor: Cursor) -> ArrayReport:
        tally = Tally.of(job)
        if cursor.over:
            return ArrayReport(str(cursor), counts=tally.counts)
        if self._orphaned(job, tally):
            return self._close(job, tally, cursor)
        failed: list[JobReport] = []
        if tally.failed > cursor.failed or (tally.ended and tally.failed):
            failed = children(self._service, job["jobId"], "FAILED")
            cursor = replace(cursor, failed=len(failed))
        # A listing may lag behind the numbers: nothing is called finished before both agree.
        if tally.ended and len(failed) == tally.failed:
            return ArrayReport(str(replace(cursor, over=True)), Rest(tally.size, failed), counts=tally.counts)
        # Numbers without an active job would end the watch before the listing has caught up.
        return ArrayReport(str(cursor), failed, counts=None if tally.ended else tally.counts)

    def _orphaned(self, job: Mapping[str, Any], tally: Tally) -> bool:
        """Tell whether an array ended without ever getting all of its children, as one does that was ended early."""
        if job["status"] != "FAILED" or tally.ended or tally.running or tally.runnable:
            return False
        stopped = int(job.get("stoppedAt", 0)) / 1000
        return self._clock() - stopped > _ORPHAN_SECONDS

    def _close(self, job: Mapping[str, Any], tally: Tally, cursor: Cursor) -> ArrayReport:
        told = [
            report for status in ("SUCCEEDED", "FAILED") for report in children(self._service, job["jobId"], status)
        ]
        ending = ending_of(job)
        state, cause = classify(ending)
        cause = None if state is JobState.CANCELLED else cause or Cause.INFRASTRUCTURE
        indices = set(range(tally.size)) - {report.index for report in told}
        never = [JobReport(index, state, cause, message=ending.message) for index in sorted(indices)]
        return ArrayReport(str(replace(cursor, over=True)), [*told, *never])

    def _missing(self, job_id: str, cursor: Cursor) -> ArrayReport:
        """Report a job that is not described: gone only if it is not listed either, and that for a while."""
        now = self._clock()
        if cursor.name and self._knows(cursor.name, job_id):
            return ArrayReport(str(replace(cursor, missing=None)))
        if cursor.missing is None:
            return ArrayReport(str(replace(cursor, missing=now)))
        return ArrayReport(str(cursor), known=now - cursor.missing < self._settle_seconds)
