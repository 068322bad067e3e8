"""What the doctor finds at AWS Batch, which queues there are, and what an array or single jobs of it end by."""

from __future__ import annotations

from typing import Any

import pytest

from simcampaign.sites.base import Finding, Queue
from simcampaign.sites.batch import BatchOptions, BatchSite
from simcampaign.sites.batch.causes import CANCELLED_REASON
from tests.simcampaign.sites.batch.conftest import PLACE, Recorded, parent, single, site_of

ARN = "arn:aws:batch:us-east-1:123456789012:"
LOGS = {"logGroupName": "/aws/batch/job", "logStreamName": "none", "limit": 1}


def machines(name: str = "spot", kind: str = "SPOT", **said: Any) -> dict[str, Any]:
    return {
        "computeEnvironmentName": name,
        "computeEnvironmentArn": f"{ARN}compute-environment/{name}",
        "state": "ENABLED",
        "status": "VALID",
        "computeResources": {"type": kind, "maxvCpus": 64, "desiredvCpus": 16, "subnets": [], **said},
    }


def queue(*names: str, name: str = "main", **said: Any) -> dict[str, Any]:
    order = [{"order": i, "computeEnvironment": f"{ARN}compute-environment/{each}"} for i, each in enumerate(names)]
    shown = {"jobQueueName": name, "jobQueueArn": f"{ARN}job-queue/{name}", "state": "ENABLED", "status": "VALID"}
    return {**shown, "priority": 1, "computeEnvironmentOrder": order, **said}


def caller(recorded: Recorded, account: str = "123456789012") -> None:
    answer = {"Account": account, "Arn": f"arn:aws:iam::{account}:user/ada", "UserId": "A" * 20}
    recorded.sts.add_response("get_caller_identity", answer, {})


def rest(recorded: Recorded) -> None:
    """What is asked after the queue, all well."""
    recorded.lists(jobQueue="main", filters=[{"name": "JOB_NAME", "values": ["none"]}], maxResults=1)
    recorded.logs.add_client_error(
        "get_log_events", "ResourceNotFoundException", "no such stream", 400, expected_params=LOGS
    )
    role = {"Path": "/", "RoleName": "BatchJobRole", "RoleId": "A" * 20, "CreateDate": 0}
    recorded.iam.add_response("get_role", {"Role": role | {"Arn": "arn:aws:iam::123456789012:role/BatchJobRole"}})


def found(site: BatchSite) -> dict[str, Finding]:
    return {finding.subject: finding for finding in site.doctor()}


def test_all_is_fine_where_credentials_queue_permissions_and_role_are(recorded: Recorded) -> None:
    caller(recorded)
    recorded.batch.add_response("describe_job_queues", {"jobQueues": [queue("spot")]}, {"jobQueues": ["main"]})
    recorded.batch.add_response("describe_compute_environments", {"computeEnvironments": [machines()]})
    rest(recorded)
    findings = found(recorded.site())
    assert list(findings) == ["credentials", "queue main", "listing jobs", "logs", "role"]
    assert all(finding.fine for finding in findings.values()), findings


def test_credentials_of_another_account_end_the_look(recorded: Recorded) -> None:
    caller(recorded, "999999999999")
    findings = found(recorded.site())
    assert list(findings) == ["credentials"]
    assert findings["credentials"].fine is False
    assert "of account 999999999999, not 123456789012" in findings["credentials"].detail


def test_credentials_that_are_not_taken_are_a_finding_and_no_error(recorded: Recorded) -> None:
    recorded.sts.add_client_error("get_caller_identity", "ExpiredToken", "the token has expired", 403)
    (finding,) = recorded.site().doctor()
    assert finding.fine is False
    assert "aws sts get-caller-identity" in finding.detail


@pytest.mark.parametrize(
    ("shown", "behind", "said"),
    [
        ([], None, "there is none in us-east-1"),
        ([queue("spot", state="DISABLED")], None, "DISABLED"),
        ([queue()], None, "no compute environment"),
        ([queue("spot")], [machines() | {"state": "DISABLED"}], "compute environment spot is DISABLED"),
        ([queue("spot")], [machines(kind="FARGATE")], "not EC2; set platform"),
    ],
)
def test_a_queue_that_can_start_nothing_is_found_and_the_look_goes_on(
    recorded: Recorded, shown: list[Any], behind: list[Any] | None, said: str
) -> None:
    caller(recorded)
    recorded.batch.add_response("describe_job_queues", {"jobQueues": shown}, {"jobQueues": ["main"]})
    if behind is not None:
        recorded.batch.add_response("describe_compute_environments", {"computeEnvironments": behind})
    rest(recorded)
    findings = found(recorded.site())
    assert findings["queue main"].fine is False
    assert said in findings["queue main"].detail
    assert findings["role"].fine


def test_a_permission_that_is_lacking_is_named_and_a_missing_role_too(recorded: Recorded) -> None:
    caller(recorded)
    recorded.batch.add_response("describe_job_queues", {"jobQueues": [queue("spot")]}, {"jobQueues": ["main"]})
    recorded.batch.add_response("describe_compute_environments", {"computeEnvironments": [machines()]})
    recorded.batch.add_client_error("list_jobs", "AccessDeniedException", "no", 403)
    recorded.logs.add_client_error("get_log_events", "AccessDeniedException", "no", 403)
    recorded.iam.add_client_error("get_role", "NoSuchEntity", "no", 404)
    findings = found(recorded.site())
    assert "permission for ListJobs" in findings["listing jobs"].detail
    assert "permission for GetLogEvents" in findings["logs"].detail
    assert "there is no BatchJobRole in account 123456789012" in findings["role"].detail
    assert [each.subject for each in findings.values() if each.fine is False] == ["listing jobs", "logs", "role"]


def test_a_role_that_one_may_not_look_at_is_only_worth_knowing(recorded: Recorded) -> None:
    caller(recorded)
    recorded.batch.add_response("describe_job_queues", {"jobQueues": [queue("spot")]}, {"jobQueues": ["main"]})
    recorded.batch.add_response("describe_compute_environments", {"computeEnvironments": [machines()]})
    recorded.lists(jobQueue="main", filters=[{"name": "JOB_NAME", "values": ["none"]}], maxResults=1)
    recorded.logs.add_client_error("get_log_events", "ResourceNotFoundException", "no", 400)
    recorded.iam.add_client_error("get_role", "AccessDenied", "no", 403)
    assert found(recorded.site())["role"].fine is None


def test_queues_show_the_vcpus_behind_them_from_all_pages(recorded: Recorded) -> None:
    pages = ([machines()], [machines("two", desiredvCpus=4), machines("far", "FARGATE")])
    far = pages[1][1]
    del far["computeResources"]["desiredvCpus"]
    recorded.batch.add_response(
        "describe_compute_environments", {"computeEnvironments": pages[0], "nextToken": "t"}, {}
    )
    recorded.batch.add_response("describe_compute_environments", {"computeEnvironments": pages[1]}, {"nextToken": "t"})
    queues = [queue("spot", "two"), queue("far", name="serverless", state="DISABLED", status="INVALID")]
    recorded.batch.add_response("describe_job_queues", {"jobQueues": queues}, {})
    assert recorded.site().queues() == [
        Queue("main", "ENABLED", cores=128, cores_used=20, default=True),
        Queue("serverless", "DISABLED, INVALID", cores=64, cores_used=None),
    ]


def test_single_jobs_of_an_array_are_ended_by_their_own_ids(recorded: Recorded) -> None:
    recorded.describes(parent(size=5), asked=["a"])
    for index in (1, 3):
        recorded.batch.add_response("terminate_job", {}, {"jobId": f"a:{index}", "reason": CANCELLED_REASON})
    recorded.site().cancel("a", [1, 3])


def test_the_only_job_of_an_array_that_is_none_is_ended_itself(recorded: Recorded) -> None:
    recorded.describes(single("RUNNING"), asked=["s"])
    recorded.batch.add_response("terminate_job", {}, {"jobId": "s", "reason": CANCELLED_REASON})
    recorded.site().cancel("s", [0])


def test_ending_no_jobs_asks_nothing(recorded: Recorded) -> None:
    recorded.site().cancel("a", [])


def test_a_configured_site_has_its_name_and_no_host() -> None:
    site = BatchSite.configure("cloud", BatchOptions(**PLACE))
    assert (site.name, site.host, site.queue) == ("cloud", None, "main")
    assert site.capabilities == site_of(**PLACE).capabilities
