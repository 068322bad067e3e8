"""Job definitions: used again if they say the same, else a new revision; names that the service takes."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.jobs import ArraySpec, Resources
from simcampaign.sites.batch.definition import Account, overrides, same, wanted_definition
from simcampaign.sites.batch.names import definition_name, job_name
from tests.simcampaign.sites.batch.conftest import array_of

ARN = "arn:aws:batch:us-east-1:123456789012:job-definition/ada_colony_rich"


def account(**changes: Any) -> Account:
    values: dict[str, Any] = {
        "account": "123456789012",
        "region": "us-east-1",
        "user": "ada",
        "job_role": "BatchJobRole",
        "registry": None,
        "platform": "EC2",
        "attempts": 3,
        "tags": {"project": "colonies"},
    }
    return Account(**(values | changes))


def existing(wanted: dict[str, Any]) -> dict[str, Any]:
    """The definition as DescribeJobDefinitions shows it, with what the service adds."""
    shown = copy.deepcopy(wanted)
    shown |= {"jobDefinitionArn": f"{ARN}:7", "revision": 7, "status": "ACTIVE", "parameters": {}}
    shown["containerOrchestrationType"] = "ECS"
    container = shown["containerProperties"]
    container |= {"command": [], "volumes": [], "mountPoints": [], "ulimits": [], "secrets": []}
    container["resourceRequirements"].reverse()
    container["environment"].reverse()
    for rule in shown["retryStrategy"]["evaluateOnExit"]:
        rule["action"] = rule["action"].lower()
    return shown


def test_a_definition_says_what_the_array_needs() -> None:
    wanted = wanted_definition(account(), array_of(environment={"THREADS": "2"}))
    assert wanted["jobDefinitionName"] == "ada_colony_rich"
    assert wanted["timeout"] == {"attemptDurationSeconds": 3600}
    assert wanted["retryStrategy"]["attempts"] == 3
    assert wanted["retryStrategy"]["evaluateOnExit"][0] == {"onStatusReason": "Host EC2*", "action": "RETRY"}
    assert wanted["retryStrategy"]["evaluateOnExit"][-1] == {"onReason": "*", "action": "EXIT"}
    assert wanted["platformCapabilities"] == ["EC2"]
    assert wanted["tags"] == {"project": "colonies"}
    assert wanted["containerProperties"] == {
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/ada/colony:1.0",
        "jobRoleArn": "arn:aws:iam::123456789012:role/BatchJobRole",
        "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}],
        "environment": [
            {"name": "THREADS", "value": "2"},
            {"name": "SIMULATION_TYPE", "value": "AWS"},
            {"name": "AWS_REGION", "value": "us-east-1"},
        ],
    }


@pytest.mark.parametrize(
    ("registry", "image"),
    [("", "ada/colony:1.0"), ("ghcr.io/lab", "ghcr.io/lab/ada/colony:1.0")],
)
def test_images_come_from_the_registry_that_was_given(registry: str, image: str) -> None:
    wanted = wanted_definition(account(registry=registry), array_of())
    assert wanted["containerProperties"]["image"] == image


def test_other_partitions_have_other_names() -> None:
    china = account(region="cn-north-1")
    assert china.role_arn == "arn:aws-cn:iam::123456789012:role/BatchJobRole"
    assert china.image("m") == "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/ada/m"
    own = "arn:aws:iam::999999999999:role/path/Own"
    assert account(job_role=own).role_arn == own


def test_fargate_gets_what_it_cannot_do_without() -> None:
    wanted = wanted_definition(account(platform="FARGATE"), array_of(resources=Resources(0.5, 1024)))
    container = wanted["containerProperties"]
    assert wanted["platformCapabilities"] == ["FARGATE"]
    assert container["resourceRequirements"][0] == {"type": "VCPU", "value": "0.5"}
    assert container["executionRoleArn"] == container["jobRoleArn"]
    assert "timeout" not in wanted


@pytest.mark.parametrize("file_set", ["colony_rich-2", "colony_rich-17"])
def test_the_day_and_the_number_of_the_array_make_no_difference(file_set: str) -> None:
    first = wanted_definition(account(), array_of())
    url = "s3://bucket/colony/2026-02-01/"
    assert wanted_definition(account(), array_of(file_set=file_set, working_url=url, output=f"{url}outputs/")) == first


def test_what_the_service_adds_and_reorders_makes_no_difference() -> None:
    wanted = wanted_definition(account(), array_of(environment={"THREADS": "2"}))
    assert same(wanted, existing(wanted))


def changed(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(definition: dict[str, Any]) -> None:
        *way, last = path.split("/")
        for step in way:
            definition = definition[step]
        if value is None:
            del definition[last]
        else:
            definition[last] = value

    return change


CONTAINER = "containerProperties/"
REGION = {"name": "AWS_REGION", "value": "us-east-1"}
DIFFERENCES = {
    "image": changed(f"{CONTAINER}image", "ada/other:1.0"),
    "role": changed(f"{CONTAINER}jobRoleArn", "arn:aws:iam::123456789012:role/Other"),
    "no role": changed(f"{CONTAINER}jobRoleArn", None),
    "no environment": changed(f"{CONTAINER}environment", []),
    "another value": changed(
        f"{CONTAINER}environment",
        [{"name": "SIMULATION_TYPE", "value": "AWS"}, {"name": "THREADS", "value": "4"}, REGION],
    ),
    "a variable more": changed(
        f"{CONTAINER}environment",
        [
            *(
                {"name": name, "value": value}
                for name, value in (("SIMULATION_TYPE", "AWS"), ("THREADS", "2"), ("X", ""))
            ),
            REGION,
        ],
    ),
    "memory": changed(
        f"{CONTAINER}resourceRequirements",
        [{"type": "MEMORY", "value": "2048"}, {"type": "VCPU", "value": "2"}],
    ),
    "a GPU": changed(
        f"{CONTAINER}resourceRequirements",
        [{"type": "GPU", "value": "1"}, {"type": "MEMORY", "value": "4096"}, {"type": "VCPU", "value": "2"}],
    ),
    "timeout": changed("timeout/attemptDurationSeconds", 60),
    "no timeout": changed("timeout", None),
    "attempts": changed("retryStrategy/attempts", 1),
    "no rules": changed("retryStrategy/evaluateOnExit", []),
    "platform": changed("platformCapabilities", ["FARGATE"]),
    "tags": changed("tags", {"project": "colonies", "cost": "b"}),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_anything_that_we_set_makes_a_difference(difference: str) -> None:
    wanted = wanted_definition(account(), array_of(environment={"THREADS": "2"}))
    other = existing(wanted)
    DIFFERENCES[difference](other)
    assert not same(wanted, other)


@given(st.dictionaries(st.text("ABC_", min_size=1), st.text(max_size=3), min_size=1), st.randoms(use_true_random=False))
def test_environments_are_the_same_in_any_order_and_only_whole(
    environment: dict[str, str], shuffle: random.Random
) -> None:
    wanted = wanted_definition(account(), array_of(environment=environment))
    other = existing(wanted)
    variables = other["containerProperties"]["environment"]
    shuffle.shuffle(variables)
    assert same(wanted, other)
    variables.pop()
    assert not same(wanted, other)


def told(array: ArraySpec) -> dict[str, str]:
    return {each["name"]: each["value"] for each in overrides(array)["environment"]}


def test_an_array_is_told_only_what_all_its_jobs_share() -> None:
    assert told(array_of(2)) == {
        "BATCH_WORKING_URL": "s3://bucket/colony/2026-01-31/",
        "FILE_SET_NAME": "colony_rich",
        "SIMCAMPAIGN_OUTPUT": "s3://bucket/colony/2026-01-31/outputs/",
    }


def test_a_single_job_is_told_its_index_and_input() -> None:
    environment = told(array_of(1))
    assert environment["AWS_BATCH_JOB_ARRAY_INDEX"] == environment["JOB_ARRAY_INDEX"] == "0"
    assert environment["SIMCAMPAIGN_INPUT"] == "s3://bucket/colony/2026-01-31/inputs/colony_rich_0.xml"
    assert environment["FILE_SET_NAME"] == "colony_rich"


@given(st.text(min_size=1), st.text(min_size=1, max_size=300))
def test_names_are_such_as_the_service_takes(user: str, name: str) -> None:
    for made in (job_name(user, name), definition_name(user, name)):
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}", made)


def test_long_names_that_differ_at_the_end_stay_different() -> None:
    assert job_name("ada", f"{'x' * 200}_1") != job_name("ada", f"{'x' * 200}_2")
    assert job_name("ada", "colony_rich_ab12_1") == "ada_colony_rich_ab12_1"
