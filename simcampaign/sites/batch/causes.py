"""Why a job did not finish, from what the service says of its last attempt."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simcampaign.jobs import Cause, JobState

CANCELLED_REASON = "cancelled by simcampaign"
"""What we give as the reason when we end an array that somebody cancelled."""

TWIN_REASON = "submitted twice: ended by simcampaign"
"""What we give as the reason when we end the second of two arrays of one name."""

STUCK_REASON = "stuck in RUNNABLE: ended by simcampaign"
"""How the reason begins when we end an array that its queue could not start."""

_KILLED = 137
"""Exit code of a process that was killed; in a container with a memory limit by the kernel's out-of-memory killer."""

_TIMEOUT = re.compile(r"attempt duration exceeded timeout", re.IGNORECASE)
_MEMORY = re.compile(r"OutOfMemory")
_PREEMPTED = re.compile(r"Host EC2 .*terminated|Spot Task was interrupted|Spot interruption", re.IGNORECASE)
_INFRASTRUCTURE = re.compile(
    r"Cannot\w+Error|CannotPull|DockerTimeoutError|ResourceInitializationError|Task failed to start"
    r"|Internal ?(?:Server ?)?Error|ServerException|Service ?Unavailable|(?:HTTP|status(?: code)?)[^0-9]{0,12}5\d\d\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Ending:
    """What the service says of a job that did not succeed."""

    exit_code: int | None = None
    status_reason: str = ""
    container_reason: str = ""
    stopped_by_request: bool = False
    started: bool = True

    @property
    def message(self) -> str:
        """What the service said, for people."""
        return "; ".join(part for part in (self.status_reason, self.container_reason) if part)


def classify(ending: Ending) -> tuple[JobState, Cause | None]:
    """Return the final state of a job that the service calls FAILED, and why it failed.

    ===========================================================  ====================
    what the service says                                        cause
    ===========================================================  ====================
    the reason that we gave when we cancelled it, or another's   (cancelled)
    the reason that we gave when its queue could not start it    infrastructure
    attempt duration exceeded timeout                            timeout
    OutOfMemoryError in the container's reason                   out_of_memory
    Host EC2 … terminated, Spot Task was interrupted             preempted
    CannotPullContainerError and its like, HTTP 5xx              infrastructure
    exit code 137                                                out_of_memory
    any other exit code                                          application
    a reason but no exit code, or never started                  infrastructure
    nothing                                                      application
    ===========================================================  ====================
    """
    reasons = ending.message
    if ending.status_reason.startswith(STUCK_REASON):
        return JobState.FAILED, Cause.INFRASTRUCTURE
    if _TIMEOUT.search(reasons):
        return JobState.FAILED, Cause.TIMEOUT
    if ending.stopped_by_request or ending.status_reason.startswith((CANCELLED_REASON, TWIN_REASON)):
        return JobState.CANCELLED, None
    for pattern, cause in (
        (_MEMORY, Cause.OUT_OF_MEMORY),
        (_PREEMPTED, Cause.PREEMPTED),
        (_INFRASTRUCTURE, Cause.INFRASTRUCTURE),
    ):
        if pattern.search(reasons):
            return JobState.FAILED, cause
    if ending.exit_code is not None:
        return JobState.FAILED, Cause.OUT_OF_MEMORY if ending.exit_code == _KILLED else Cause.APPLICATION
    return JobState.FAILED, Cause.INFRASTRUCTURE if reasons or not ending.started else Cause.APPLICATION
