"""The stack of a worker on ECS: valid, creatable, and it may do what people may who submit, and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from cfnlint import ManualArgs, decode, lint_by_config

from tests.deployments.commands import unknown_options

TEMPLATE = Path(__file__).parents[2] / "deployments" / "aws" / "worker.yaml"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:ledger-AbCdEf"


def read_template() -> dict[str, Any]:
    template, problems = decode.decode(str(TEMPLATE))
    assert not problems
    return json.loads(json.dumps(template))


def client(endpoint: str, service: str) -> Any:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", **keys)


def create(endpoint: str, name: str, **parameters: str) -> dict[str, str]:
    """Create the stack on the test server and return its outputs."""
    network = client(endpoint, "ec2").describe_subnets()["Subnets"]
    policy = client(endpoint, "iam").create_policy(PolicyName=f"{name}-submit", PolicyDocument=json.dumps(ALLOWED))
    given = {
        "VpcId": network[0]["VpcId"],
        "Subnets": ",".join(each["SubnetId"] for each in network[:2]),
        "Image": "registry/someone/simcampaign:1",
        "PrefectApiUrl": "http://prefect.internal:4200/api",
        "LedgerUrlSecret": SECRET,
        "SubmitterPolicy": policy["Policy"]["Arn"],
        **parameters,
    }
    formation = client(endpoint, "cloudformation")
    formation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(read_template()),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    [stack] = formation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


ALLOWED = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "batch:SubmitJob", "Resource": "*"}],
}


def test_the_template_is_valid() -> None:
    found = lint_by_config(ManualArgs(templates=[str(TEMPLATE)], regions=["us-east-1", "eu-central-1"]))
    assert [str(each) for each in found] == []


@pytest.mark.parametrize("kind", ["process", "ecs"])
def test_one_worker_runs_and_only_one_that_starts_tasks_may_do_so(s3_endpoint: str, kind: str) -> None:
    name = f"worker-{kind}"
    outputs = create(s3_endpoint, name, WorkerType=kind)
    ecs = client(s3_endpoint, "ecs")
    [service] = ecs.list_services(cluster=outputs["Cluster"])["serviceArns"]
    [described] = ecs.describe_services(cluster=outputs["Cluster"], services=[service])["services"]
    assert described["desiredCount"] == 1
    task = ecs.describe_task_definition(taskDefinition=described["taskDefinition"])["taskDefinition"]
    [container] = task["containerDefinitions"]
    assert container["command"][:3] == ["prefect", "worker", "start"]
    assert unknown_options(container["command"]) == []
    assert container["command"][container["command"].index("--type") + 1] == kind
    role = outputs["TaskRole"].rsplit("/", 1)[-1]
    inline = client(s3_endpoint, "iam").list_role_policies(RoleName=role)["PolicyNames"]
    assert ("start-tasks" in inline) == (kind == "ecs")


def test_secrets_are_handed_over_by_name_and_stand_nowhere_in_clear() -> None:
    [container] = read_template()["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    assert "PREFECT_API_KEY" in json.dumps(container["Secrets"])
    assert "SIMCAMPAIGN_LEDGER_URL" in json.dumps(container["Secrets"])
    assert "KEY" not in json.dumps(container["Environment"])


def test_nothing_reaches_the_worker_from_outside() -> None:
    group = read_template()["Resources"]["SecurityGroup"]["Properties"]
    assert "SecurityGroupIngress" not in group
