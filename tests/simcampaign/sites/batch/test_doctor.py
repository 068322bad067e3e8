"""Arrays that wait for a machine: why they do, and what happens with a second queue."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from simcampaign.jobs import Cause, JobState
from simcampaign.sites.batch import BatchSite
from tests.simcampaign.sites.batch.conftest import NOW, Recorded, array_of, child, parent

LONG_AGO = NOW - 3_600_000
ARN = "arn:aws:batch:us-east-1:123456789012:"
NEEDS = {"resourceRequirements": [{"type": "VCPU", "value": "8"}]}


def waiting(job_id: str = "a", **said: Any) -> dict[str, Any]:
    return parent(job_id, RUNNABLE=10, **({"createdAt": LONG_AGO, "container": NEEDS} | said))


def machines(recorded: Recorded, state: str = "ENABLED", status: str = "VALID", most: int = 256, **said: Any) -> None:
    environment = {
        "computeEnvironmentName": "spot",
        "computeEnvironmentArn": f"{ARN}compute-environment/spot",
        "state": state,
        "status": status,
        "computeResources": {"type": "SPOT", "maxvCpus": most, "subnets": []},
        **said,
    }
    asked = {"computeEnvironments": [environment["computeEnvironmentArn"]]}
    recorded.batch.add_response("describe_compute_environments", {"computeEnvironments": [environment]}, asked)


def queue(recorded: Recorded, state: str = "ENABLED", **said: Any) -> None:
    shown = {
        "jobQueueName": "main",
        "jobQueueArn": f"{ARN}job-queue/main",
        "state": state,
        "status": "VALID",
        "priority": 1,
        "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": f"{ARN}compute-environment/spot"}],
        **said,
    }
    recorded.batch.add_response("describe_job_queues", {"jobQueues": [shown]}, {"jobQueues": ["main"]})


def snapshot(recorded: Recorded, *front: str) -> None:
    jobs = [{"jobArn": f"{ARN}job/{job_id}", "earliestTimeAtPosition": 1} for job_id in front]
    recorded.batch.add_response("get_job_queue_snapshot", {"frontOfQueue": {"jobs": jobs}}, {"jobQueue": "main"})


def warning(recorded: Recorded, caplog: pytest.LogCaptureFixture, site: BatchSite | None = None) -> str:
    with caplog.at_level(logging.WARNING, "simcampaign"):
        (site or recorded.site()).status({"a": ""})
    return caplog.text


def test_a_disabled_queue_is_said(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    recorded.describes(waiting())
    queue(recorded, "DISABLED")
    assert "queue main for more than 15 min: the queue is DISABLED" in warning(recorded, caplog)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"most": 4}, "compute environment spot has at most 4 vCPUs, a job needs 8"),
        ({"state": "DISABLED"}, "compute environment spot is DISABLED"),
        (
            {"status": "INVALID", "statusReason": "CLIENT_ERROR - no such role"},
            "spot is INVALID (CLIENT_ERROR - no such role)",
        ),
    ],
)
def test_machines_that_can_never_run_the_job_are_said(
    recorded: Recorded, caplog: pytest.LogCaptureFixture, environment: dict[str, Any], said: str
) -> None:
    recorded.describes(waiting())
    queue(recorded)
    machines(recorded, **environment)
    assert said in warning(recorded, caplog)


def test_a_job_at_the_front_of_the_queue_gets_no_machine(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    reason = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
    recorded.describes(waiting(statusReason=reason))
    queue(recorded)
    machines(recorded)
    snapshot(recorded, "a:0", "b")
    assert f"at the front of the queue, and no machine was started for it yet ({reason})" in warning(recorded, caplog)


def test_a_job_behind_others_waits_its_turn_and_stays(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    recorded.describes(waiting())
    queue(recorded)
    machines(recorded)
    snapshot(recorded, "x", "y:4", "a:0")
    assert "2 other jobs are ahead of it" in warning(recorded, caplog, recorded.site(fallback_queue="spare"))


def test_without_a_snapshot_nothing_is_given_up(recorded: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    recorded.describes(waiting())
    queue(recorded)
    machines(recorded)
    recorded.batch.add_client_error("get_job_queue_snapshot", "AccessDeniedException", "no", 403)
    text = warning(recorded, caplog, recorded.site(fallback_queue="spare"))
    assert "no machine was started for it yet" in text


@pytest.mark.parametrize(
    "jobs",
    [
        [waiting(createdAt=round(time.time() * 1000))],
        [parent(RUNNABLE=9, SUCCEEDED=1, createdAt=LONG_AGO)],
        [waiting(), parent("b", RUNNING=1, createdAt=LONG_AGO)],
    ],
    ids=["young", "begun", "another of ours runs"],
)
def test_nothing_is_asked_while_there_is_no_reason(recorded: Recorded, jobs: list[dict[str, Any]]) -> None:
    recorded.describes(*jobs)
    recorded.site().status({job["jobId"]: "" for job in jobs})


def test_the_same_queue_is_not_looked_into_at_every_look(recorded: Recorded) -> None:
    site = recorded.site()
    recorded.describes(waiting())
    queue(recorded, "DISABLED")
    site.status({"a": ""})
    recorded.describes(waiting())
    site.status({"a": ""})


def test_a_look_is_not_spoilt_by_a_service_that_does_not_say_why(recorded: Recorded) -> None:
    recorded.describes(waiting())
    recorded.batch.add_client_error("describe_job_queues", "AccessDeniedException", "no", 403)
    assert recorded.site().status({"a": ""})["a"].counts == {JobState.QUEUED: 10}


def test_a_stuck_array_is_ended_and_later_ones_go_to_the_second_queue(recorded: Recorded) -> None:
    site = recorded.site(fallback_queue="spare")
    recorded.describes(waiting(size=2))
    queue(recorded, "DISABLED", statusReason="JobQueue Healthy")
    reason = "stuck in RUNNABLE: ended by simcampaign: the queue is DISABLED, VALID (JobQueue Healthy)"
    recorded.batch.add_response("terminate_job", {}, {"jobId": "a", "reason": reason})
    before = site.status({"a": ""})["a"]

    recorded.describes(parent(size=2, status="FAILED", FAILED=2))
    failed = [child(index, statusReason=reason, isTerminated=True) for index in range(2)]
    recorded.lists(*failed, arrayJobId="a", jobStatus="FAILED")
    changes = site.status({"a": before.cursor})["a"].changes
    assert {(change.state, change.cause) for change in changes} == {(JobState.FAILED, Cause.INFRASTRUCTURE)}
    assert {change.message for change in changes} == {reason}

    arn = f"{ARN}job-definition/ada_colony_rich:1"
    recorded.batch.add_response("describe_job_definitions", {"jobDefinitions": []})
    recorded.batch.add_response(
        "register_job_definition",
        {"jobDefinitionName": "ada_colony_rich", "jobDefinitionArn": arn, "revision": 1},
    )
    recorded.batch.add_response("submit_job", {"jobId": "b", "jobName": "x"})
    for name in ("main", "spare"):
        filters = [{"name": "JOB_NAME", "values": ["ada_colony_rich_ab12_2"]}]
        recorded.lists(jobQueue=name, filters=filters)
    submitted: list[dict[str, Any]] = []
    recorded.batch.client.meta.events.register(
        "before-parameter-build.batch.SubmitJob", lambda params, **_: submitted.append(params)
    )
    assert site.submit(array_of(name="colony_rich_ab12_2")) == "b"
    assert submitted[0]["jobQueue"] == "spare"
