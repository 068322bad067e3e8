"""The stack for AWS: valid, creatable, and it allows what the code calls and nothing else."""

from __future__ import annotations

import ast
import json
import re
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore import xform_name
from botocore.session import get_session
from cfnlint import ManualArgs, decode, lint_by_config
from pydantic import TypeAdapter

from configs.batch import BatchContextConfig
from simcampaign.errors import LocationError
from simcampaign.storage import Location

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "deployments" / "aws" / "campaign.yaml"
SITE = ROOT / "simcampaign" / "sites" / "batch"
NOT_A_FIELD = "SubmitterPolicy"
"""The one output that is no field of the context."""

BY_ARGUMENT = {"jobRoleArn": "iam:PassRole", "tags": "batch:TagResource"}
"""Actions that AWS asks for if a call has an argument of this name."""

STORAGE = {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"}
"""What obstore needs to list, read, write in parts, copy and delete."""


def read_template() -> dict[str, Any]:
    """Return the template with the short forms of its functions written out."""
    template, problems = decode.decode(str(TEMPLATE))
    assert not problems
    return json.loads(json.dumps(template))


def statements(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    return policy["PolicyDocument"]["Statement"]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def every_statement(template: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name of the resource and statement of everything that is allowed to roles and people."""
    for name, resource in template["Resources"].items():
        properties = resource["Properties"]
        for policy in properties.get("Policies", []):
            yield from ((name, statement) for statement in statements(policy))
        if resource["Type"] in {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}:
            yield from ((name, statement) for statement in statements(properties))


def called_actions() -> set[str]:
    """Return the IAM actions of all that the site's code calls: names of operations in its attributes and strings."""
    words: set[str] = set()
    for path in SITE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                words.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.add(node.value)
    loader = get_session()
    operations = {
        (service, name) for service in ("batch", "logs") for name in loader.get_service_model(service).operation_names
    }
    return {f"{service}:{name}" for service, name in operations if xform_name(name) in words} | {
        action for argument, action in BY_ARGUMENT.items() if argument in words
    }


class Stack:
    """The stack, created on the test server."""

    def __init__(self, endpoint: str, name: str, **parameters: str) -> None:
        self.endpoint, self.name = endpoint, name
        network = self.client("ec2").describe_subnets()["Subnets"]
        given = {"VpcId": network[0]["VpcId"], "Subnets": ",".join(each["SubnetId"] for each in network[:2])}
        # The test server does not split the default of a list.
        given |= {"User": "someone", "InstanceTypes": "optimal", **parameters}
        self.client("cloudformation").create_stack(
            StackName=name,
            TemplateBody=json.dumps(self._template()),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        [self.description] = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in self.description["Outputs"]}
        self.bucket = self.outputs["WorkingLocation"].split("/")[2]

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1", **keys)

    def _template(self) -> dict[str, Any]:
        """Return the template with what only the test server asks for: AWS has a role of its own for Batch."""
        template = read_template()
        role = self.client("iam").create_role(RoleName=f"{self.name}-service", AssumeRolePolicyDocument="{}")["Role"]
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Batch::ComputeEnvironment":
                resource["Properties"]["ServiceRole"] = role["Arn"]
        return template


@pytest.fixture(scope="module", params=["EC2", "FARGATE"])
def stack(request: pytest.FixtureRequest, s3_endpoint: str) -> Stack:
    return Stack(
        s3_endpoint,
        f"campaigns-{request.param.lower()}",
        Platform=request.param,
        MaxvCpus="64",
        CreateLogGroup="true" if request.param == "EC2" else "false",
    )


def test_the_template_is_valid():
    found = lint_by_config(ManualArgs(templates=[str(TEMPLATE)], regions=["us-east-1", "eu-central-1"]))
    assert [str(each) for each in found] == []


def test_people_who_submit_may_do_what_the_code_calls_and_nothing_else():
    """If this fails, a call came or went: change SubmitterPolicy, and the table in docs/aws.md."""
    allowed = [
        action
        for name, statement in every_statement(read_template())
        if name == "SubmitterPolicy"
        for action in listed(statement["Action"])
    ]
    assert sorted(allowed) == sorted(called_actions() | STORAGE)


def test_the_guide_names_every_action_of_people_who_submit():
    page = (ROOT / "docs" / "aws.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `((?:batch|logs|iam|s3):\w+)` \|", page, flags=re.MULTILINE))
    assert named == called_actions() | STORAGE


def test_nothing_is_allowed_everywhere_but_what_aws_cannot_narrow():
    wide = {
        action
        for _, statement in every_statement(read_template())
        if "*" in listed(statement["Resource"]) or any("*" in action for action in listed(statement["Action"]))
        for action in listed(statement["Action"])
    }
    assert wide == {
        "batch:DescribeJobs",
        "batch:ListJobs",
        "batch:DescribeJobDefinitions",
        "batch:DescribeJobQueues",
        "batch:DescribeComputeEnvironments",
        "ecr:GetAuthorizationToken",
    }


def test_jobs_may_read_and_write_below_the_prefix_only():
    template = read_template()
    allowed = {
        action: statement
        for name, statement in every_statement(template)
        if name == "JobRole"
        for action in listed(statement["Action"])
    }
    assert set(allowed) == {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListBucket"}
    for action in set(allowed) - {"s3:ListBucket"}:
        assert allowed[action]["Resource"]["Fn::Sub"].endswith(":s3:::${Bucket}/${Prefix}/*")
    assert allowed["s3:ListBucket"]["Condition"]["StringLikeIfExists"]["s3:prefix"]["Fn::Sub"] == "${Prefix}/*"


def test_the_bucket_is_private_encrypted_kept_and_reached_by_tls_only():
    resources = read_template()["Resources"]
    bucket = resources["Bucket"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    [rule] = statements(resources["BucketPolicy"]["Properties"])
    assert (rule["Effect"], rule["Principal"], rule["Action"]) == ("Deny", "*", "s3:*")
    assert rule["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_nothing_reaches_the_machines_from_outside():
    group = read_template()["Resources"]["SecurityGroup"]["Properties"]
    assert "SecurityGroupIngress" not in group
    assert {(rule["FromPort"], rule["ToPort"]) for rule in group["SecurityGroupEgress"]} == {(443, 443)}


def test_the_stack_is_created(stack: Stack):
    assert stack.description["StackStatus"] == "CREATE_COMPLETE"
    [rule] = stack.client("s3").get_bucket_encryption(Bucket=stack.bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    trust = stack.client("iam").get_role(RoleName=stack.outputs["JobRole"])["Role"]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    policy = stack.client("iam").get_policy(PolicyArn=stack.outputs["SubmitterPolicy"])["Policy"]
    assert policy["PolicyName"]


def test_the_main_queue_takes_spot_machines_first_and_the_fallback_none(stack: Stack):
    batch = stack.client("batch")
    machines = {
        each["computeEnvironmentArn"]: each["computeResources"]
        for each in batch.describe_compute_environments()["computeEnvironments"]
    }
    kinds = {}
    for field in ("Queue", "FallbackQueue"):
        [queue] = batch.describe_job_queues(jobQueues=[stack.outputs[field]])["jobQueues"]
        assert (queue["state"], queue["status"]) == ("ENABLED", "VALID")
        order = sorted(queue["computeEnvironmentOrder"], key=lambda each: each["order"])
        kinds[field] = [machines[each["computeEnvironment"]]["type"] for each in order]
        assert {int(machines[each["computeEnvironment"]]["maxvCpus"]) for each in order} == {64}
    if stack.outputs["Platform"] == "FARGATE":
        assert kinds == {"Queue": ["FARGATE_SPOT", "FARGATE"], "FallbackQueue": ["FARGATE"]}
    else:
        assert kinds == {"Queue": ["SPOT", "EC2"], "FallbackQueue": ["EC2"]}


def test_logs_are_kept_for_a_while(stack: Stack):
    """The second stack leaves the log group of the first alone, which would make its creation fail."""
    [group] = stack.client("logs").describe_log_groups(logGroupNamePrefix="/aws/batch/job")["logGroups"]
    assert int(group["retentionInDays"]) == 30


def test_only_on_fargate_the_job_role_fetches_images_and_writes_logs(stack: Stack):
    names = stack.client("iam").list_role_policies(RoleName=stack.outputs["JobRole"])["PolicyNames"]
    assert ("execution" in names) == (stack.outputs["Platform"] == "FARGATE")


@pytest.fixture
def submitter(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be somebody who has the submitters' policy and nothing else, on a server that enforces it."""
    iam, user = stack.client("iam"), f"{stack.name}-someone"
    iam.create_user(UserName=user)
    iam.attach_user_policy(UserName=user, PolicyArn=stack.outputs["SubmitterPolicy"])
    key = iam.create_access_key(UserName=user)["AccessKey"]
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.endpoint)
    enforce_after(stack.endpoint, "0")
    try:
        yield
    finally:
        enforce_after(stack.endpoint, "inf")


def enforce_after(endpoint: str, requests: str) -> None:
    """Make the test server check permissions after so many requests."""
    url, headers = f"{endpoint}/moto-api/reset-auth", {"Content-Type": "text/plain"}
    with urllib.request.urlopen(urllib.request.Request(url, requests.encode(), headers)):  # noqa: S310
        pass


def test_people_who_submit_reach_files_below_the_prefix_and_no_others(stack: Stack, submitter: None):
    """Deleting is left out: the test server asks for the right to delete the bucket's every file."""
    working = Location.open(stack.outputs["WorkingLocation"])
    assert working.write_many([("n/small", b"x"), ("n/in_parts", b"y" * 12_000_000)]) == 2
    assert working.copy_many([("n/small", "n/copy")]) == 1
    assert working.read_if_there("n/copy") == b"x"
    assert not working.exists("n/missing")
    assert sorted(key for keys in working.list("n") for key in keys) == ["n/copy", "n/in_parts", "n/small"]
    elsewhere = Location.open(f"s3://{stack.bucket}/elsewhere")
    for call in (
        lambda: elsewhere.write_many([("n/small", b"x")]),
        lambda: elsewhere.read_if_there("n/small"),
        lambda: elsewhere.copy_many([("n/small", "n/copy")]),
    ):
        with pytest.raises(LocationError, match="permission denied"):
            call()


def test_the_outputs_are_a_context(stack: Stack):
    """What the guide's command prints loads as a context, field by field."""
    rows = [(each["Description"], each["OutputValue"]) for each in stack.description["Outputs"]]
    printed = "\n".join(f'{field}: "{value}"' for field, value in rows)
    context = TypeAdapter(BatchContextConfig).validate_python({**yaml.safe_load(printed), "vcpus": 1, "memory": 2048})
    for key, value in stack.outputs.items():
        if key != NOT_A_FIELD:
            assert getattr(context, re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower()) == value
    assert context.site().queue == stack.outputs["Queue"]


def test_the_example_context_is_valid_and_names_every_output():
    example = yaml.safe_load((ROOT / "configs" / "context" / "batch.yaml").read_text(encoding="utf-8"))
    fields = {re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower() for key in read_template()["Outputs"] if key != NOT_A_FIELD}
    assert fields <= set(example)
    assert TypeAdapter(BatchContextConfig).validate_python(example).site().queue == example["queue"]
