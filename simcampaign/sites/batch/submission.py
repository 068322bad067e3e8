"""Submitting once: SubmitJob has no token against repetition, so in doubt the array is looked for by its name."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import stamina

from simcampaign.errors import NetworkError, SiteError
from simcampaign.sites.batch.answers import Trouble
from simcampaign.sites.batch.causes import TWIN_REASON

if TYPE_CHECKING:
    from simcampaign.sites.batch.service import Service

logger = logging.getLogger("simcampaign")

_TRIES = 12
_LONGEST_WAIT_SECONDS = 20.0
_ENDED = frozenset({"SUCCEEDED", "FAILED"})


class _AgainError(NetworkError):
    """The request may be sent again, after a look for what became of it if need be."""


class Submitter:
    """Submits jobs to queues in which each name appears once."""

    def __init__(self, service: Service, queues: Sequence[str], settle_seconds: float) -> None:
        """Look for names in ``queues``; a listing shows what was submitted ``settle_seconds`` ago."""
        self._service = service
        self._queues = queues
        self._settle_seconds = settle_seconds

    def submit(self, request: dict[str, Any]) -> str:
        """Submit a job and return its id.

        A busy service is asked again after a random, growing while; after a reply that was lost the job is looked for
        before it is submitted again. Raises ``SiteError`` if the service refuses, ``NetworkError`` if it stays busy or
        cannot be reached, at once if it cannot be looked for.
        """
        name, in_doubt = request["jobName"], False
        for attempt in stamina.retry_context(
            on=_AgainError, attempts=_TRIES, timeout=None, wait_initial=0.2, wait_max=_LONGEST_WAIT_SECONDS
        ):
            with attempt:
                if in_doubt and (found := self.find(name)):
                    return found
                answer = self._service.submit(**request)
                if isinstance(answer, Trouble):
                    in_doubt = answer.lost
                    raise _AgainError(f"job {name} cannot be submitted: {answer.reason}", "run again in a while")
                return self._only(name, answer)
        raise AssertionError("unreachable")

    def find(self, name: str) -> str | None:
        """Return the id of the job with this name, or None if it is not there, even after it had time to appear."""
        deadline = time.monotonic() + self._settle_seconds
        while True:
            found = self._settled(name, self.listed(name))
            if found or time.monotonic() >= deadline:
                return found
            time.sleep(self._settle_seconds / 5)

    def listed(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the summaries of jobs with exactly this name by id; children of arrays are left out."""
        filters = [{"name": "JOB_NAME", "values": [name]}]
        return {
            job["jobId"]: job
            for queue in self._queues
            for job in self._service.list_jobs(jobQueue=queue, filters=filters)
            if job["jobName"] == name and ":" not in job["jobId"]
        }

    def _only(self, name: str, job_id: str) -> str:
        """Return the id of the job that stays if a request was delivered twice on its way."""
        try:
            listed = {job_id: {"createdAt": float("inf")}, **self.listed(name)}
            return self._settled(name, listed) or job_id
        except (SiteError, NetworkError) as error:
            logger.debug("Could not look for a second job %s: %s", name, error)
            return job_id

    def _settled(self, name: str, jobs: dict[str, dict[str, Any]]) -> str | None:
        """Return the oldest of the jobs that are active, after ending the others; else the newest that ended."""
        by_age = sorted(jobs, key=lambda job_id: (jobs[job_id].get("createdAt", 0), job_id))
        active = [job_id for job_id in by_age if jobs[job_id].get("status") not in _ENDED]
        for twin in active[1:]:
            logger.warning("Job %s was delivered twice; %s is ended, %s stays.", name, twin, active[0])
            self._service.batch("terminate_job", jobId=twin, reason=TWIN_REASON)
        return active[0] if active else next(reversed(by_age), None)
