"""Why jobs fail: recorded answers of the service for each row of the table in ``causes``."""

from __future__ import annotations

from typing import Any

import pytest

from simcampaign.jobs import Cause, JobReport, JobState
from tests.simcampaign.sites.batch.conftest import Recorded, child, parent, single

EXITED = "Essential container in task exited"


def said(status_reason: str, exit_code: int | None = None, reason: str = "") -> dict[str, Any]:
    container = ({} if exit_code is None else {"exitCode": exit_code}) | ({"reason": reason} if reason else {})
    return {"statusReason": status_reason} | ({"container": container} if container else {})


TABLE = [
    (said(EXITED, 1), JobState.FAILED, Cause.APPLICATION),
    (said(EXITED, 143), JobState.FAILED, Cause.APPLICATION),
    (said(EXITED, 137), JobState.FAILED, Cause.OUT_OF_MEMORY),
    (
        said(EXITED, 137, "OutOfMemoryError: Container killed due to memory usage"),
        JobState.FAILED,
        Cause.OUT_OF_MEMORY,
    ),
    (said(EXITED, 1, "OutOfMemoryError: Container killed due to memory usage"), JobState.FAILED, Cause.OUT_OF_MEMORY),
    (said("Host EC2 (instance i-0d7c41a2f0b1a3c5e) terminated."), JobState.FAILED, Cause.PREEMPTED),
    (said("Host EC2 (instance i-0d7c41a2f0b1a3c5e) terminated.", 137), JobState.FAILED, Cause.PREEMPTED),
    (said("Your Spot Task was interrupted."), JobState.FAILED, Cause.PREEMPTED),
    (
        said(
            "Task failed to start",
            None,
            "CannotPullContainerError: Error response from daemon: manifest for ada/colony:1.0 not found",
        ),
        JobState.FAILED,
        Cause.INFRASTRUCTURE,
    ),
    (
        said("Task failed to start", None, "CannotStartContainerError: Error response from daemon"),
        JobState.FAILED,
        Cause.INFRASTRUCTURE,
    ),
    (
        said("Task failed to start", None, "DockerTimeoutError: Could not transition to started; timed out"),
        JobState.FAILED,
        Cause.INFRASTRUCTURE,
    ),
    (
        said("ResourceInitializationError: unable to pull secrets or registry auth"),
        JobState.FAILED,
        Cause.INFRASTRUCTURE,
    ),
    (said(EXITED, 1, "received unexpected HTTP status: 503 Slow Down"), JobState.FAILED, Cause.INFRASTRUCTURE),
    (said("Internal Server Error"), JobState.FAILED, Cause.INFRASTRUCTURE),
    (said("ECS was unable to assume the role that was provided"), JobState.FAILED, Cause.INFRASTRUCTURE),
    (said("Job attempt duration exceeded timeout", 137), JobState.FAILED, Cause.TIMEOUT),
    (
        said("Job attempt duration exceeded timeout", 143) | {"isTerminated": True},
        JobState.FAILED,
        Cause.TIMEOUT,
    ),
    (said("cancelled by simcampaign", 137), JobState.CANCELLED, None),
    (said("I changed my mind", 143) | {"isTerminated": True}, JobState.CANCELLED, None),
    (said("not needed") | {"isCancelled": True}, JobState.CANCELLED, None),
    (said("submitted twice: ended by simcampaign"), JobState.CANCELLED, None),
    (
        said("stuck in RUNNABLE: ended by simcampaign: the queue is DISABLED") | {"isTerminated": True},
        JobState.FAILED,
        Cause.INFRASTRUCTURE,
    ),
    ({}, JobState.FAILED, Cause.APPLICATION),
    ({"startedAt": 0}, JobState.FAILED, Cause.INFRASTRUCTURE),
]


@pytest.mark.parametrize(("answer", "state", "cause"), TABLE)
def test_children_of_an_array(recorded: Recorded, answer: dict[str, Any], state: JobState, cause: Cause | None) -> None:
    recorded.describes(parent(RUNNING=9, FAILED=1))
    recorded.lists(child(4, **answer), arrayJobId="a", jobStatus="FAILED")
    (report,) = recorded.site().status({"a": ""})["a"].changes
    assert (report.index, report.state, report.cause) == (4, state, cause)
    assert report.exit_code == answer.get("container", {}).get("exitCode")
    assert answer.get("statusReason", "") in report.message
    assert answer.get("container", {}).get("reason", "") in report.message


@pytest.mark.parametrize(("answer", "state", "cause"), TABLE)
def test_jobs_that_are_no_array(
    recorded: Recorded, answer: dict[str, Any], state: JobState, cause: Cause | None
) -> None:
    recorded.describes(single("FAILED", **({"startedAt": 1000} | answer)))
    (report,) = recorded.site().status({"s": ""})["s"].changes
    assert (report.index, report.state, report.cause) == (0, state, cause)


def test_the_last_attempt_counts_not_the_first(recorded: Recorded) -> None:
    attempts = [
        {"statusReason": "Host EC2 (instance i-1) terminated.", "startedAt": 1, "stoppedAt": 2, "container": {}},
        {"statusReason": EXITED, "startedAt": 3, "stoppedAt": 4, "container": {"exitCode": 9, "reason": "the last"}},
    ]
    recorded.describes(single("FAILED", attempts=attempts, statusReason=EXITED, startedAt=3000, stoppedAt=4000))
    (report,) = recorded.site().status({"s": ""})["s"].changes
    assert report == JobReport(
        0, JobState.FAILED, Cause.APPLICATION, 9, started=3.0, ended=4.0, message=f"{EXITED}; the last"
    )
