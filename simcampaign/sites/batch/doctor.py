"""Why jobs wait in RUNNABLE, and what is done about it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simcampaign.errors import NetworkError, SiteError
from simcampaign.sites.batch.causes import STUCK_REASON
from simcampaign.sites.batch.queues import describe_machines, describe_queue, fault_of_machines, fault_of_queue, said_of
from simcampaign.sites.batch.states import Tally, is_array

if TYPE_CHECKING:
    from simcampaign.sites.batch.service import Service

logger = logging.getLogger("simcampaign")

_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a job is not started."""

    reason: str
    stuck: bool
    """True if waiting longer is of no use; False if its turn has not come."""


class Doctor:
    """Looks into arrays that wait too long, and gives a queue up that starts nothing."""

    def __init__(
        self,
        service: Service,
        queue: str,
        fallback: str | None,
        limit_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Look into what waits longer than ``limit_seconds``; ``queue`` is where arrays go until it is given up."""
        self.queue = queue
        self._service = service
        self._fallback = fallback
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._next_look: dict[str, float] = {}

    def look(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Look at all jobs that a status round described; what goes wrong here leaves the round as it is."""
        for queue in {_queue_of(job) for job in jobs}:
            here = [job for job in jobs if _queue_of(job) == queue]
            waiting = [job for job in here if self._waits(job)]
            now = self._clock()
            if not waiting or any(map(_runs, here)) or now < self._next_look.get(queue, 0):
                continue
            self._next_look[queue] = now + self._limit_seconds
            try:
                self._treat(queue, waiting)
            except (SiteError, NetworkError) as error:
                logger.debug("Could not find out why queue %s starts nothing: %s", queue, error)

    def _treat(self, queue: str, waiting: Sequence[Mapping[str, Any]]) -> None:
        diagnosis = diagnose(self._service, queue, waiting[0])
        minutes = self._limit_seconds / 60
        logger.warning(
            "%d arrays wait in queue %s for more than %.0f min: %s", len(waiting), queue, minutes, diagnosis.reason
        )
        if not diagnosis.stuck or self._fallback is None or queue == self._fallback:
            return
        logger.warning("They are ended; queue %s is used from now on.", self._fallback)
        self.queue = self._fallback
        reason = f"{STUCK_REASON}: {diagnosis.reason}"[:_LONGEST_REASON]
        for job in waiting:
            self._service.batch("terminate_job", jobId=job["jobId"], reason=reason)

    def _waits(self, job: Mapping[str, Any]) -> bool:
        runnable = Tally.of(job).untouched if is_array(job) else job.get("status") == "RUNNABLE"
        return runnable and self._clock() - int(job.get("createdAt", 0)) / 1000 > self._limit_seconds


def diagnose(service: Service, queue: str, job: Mapping[str, Any]) -> Diagnosis:
    """Find out why a job is not started: what its queue and the machines behind it are, and who is ahead of it."""
    found = describe_queue(service, queue)
    if found is None:
        return Diagnosis("the queue does not exist any more", stuck=True)
    fault = fault_of_queue(found) or fault_of_machines(describe_machines(service, found), _vcpus(job))
    return Diagnosis(fault, stuck=True) if fault else _place_in_queue(service, queue, job)


def _place_in_queue(service: Service, queue: str, job: Mapping[str, Any]) -> Diagnosis:
    said = said_of("no machine was started for it yet", job)
    try:
        snapshot = service.batch("get_job_queue_snapshot", jobQueue=queue)
    except SiteError as error:
        logger.debug("No snapshot of queue %s: %s", queue, error)
        return Diagnosis(said, stuck=False)
    front = [str(each["jobArn"]) for each in (snapshot.get("frontOfQueue") or {}).get("jobs", ())]
    ahead = next((place for place, arn in enumerate(front) if _belongs(arn, job)), None)
    if ahead == 0:
        return Diagnosis(f"it is at the front of the queue, and {said}", stuck=True)
    place = f"at least {len(front)}" if ahead is None else str(ahead)
    return Diagnosis(f"{place} other jobs are ahead of it", stuck=False)


def _belongs(arn: str, job: Mapping[str, Any]) -> bool:
    return arn.rpartition("/")[2].partition(":")[0] == str(job["jobId"])


def _queue_of(job: Mapping[str, Any]) -> str:
    """Return the name of a job's queue, which the service gives as an ARN."""
    return str(job.get("jobQueue", "")).rpartition("/")[2]


def _runs(job: Mapping[str, Any]) -> bool:
    return bool(Tally.of(job).running) if is_array(job) else job.get("status") in {"STARTING", "RUNNING"}


def _vcpus(job: Mapping[str, Any]) -> float:
    requirements: Iterable[Mapping[str, str]] = (job.get("container") or {}).get("resourceRequirements") or ()
    return next((float(each["value"]) for each in requirements if each["type"] == "VCPU"), 0.0)
