"""A test server of AWS with what a campaign needs in it: bucket, roles, compute environment, two queues."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from tests.integration.services.processes import answers, daemon, free_port

PROJECT = Path(__file__).parents[3]
ACCOUNT = "123456789012"
REGION = "us-east-1"
QUEUE, SPARE_QUEUE = "campaign-queue", "spare-queue"
KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Aws:
    """The server, where it is, and where played jobs note their runs."""

    port: int
    notes: Path

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a user of the server has in the environment."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.endpoint}

    def client(self, service: str, endpoint: str | None = None) -> Any:
        return _client(service, endpoint or self.endpoint)

    def noted(self, bucket: str, word: str = "start") -> list[str]:
        """The runs of played jobs that really started (or ended), in the order in which they did."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [run for said, where, run, _ in map(str.split, lines) if (said, where) == (word, bucket)]

    def submitted(self, prefix: str) -> list[dict[str, Any]]:
        """All jobs and arrays whose names begin with ``prefix``, on both queues, as the server lists them."""
        pages = self.client("batch").get_paginator("list_jobs")
        filters = [{"name": "JOB_NAME", "values": [f"{prefix}*"]}]
        return [
            job
            for queue in (QUEUE, SPARE_QUEUE)
            for page in pages.paginate(jobQueue=queue, filters=filters)
            for job in page["jobSummaryList"]
        ]


@cache
def _client(service: str, endpoint: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )


@contextmanager
def aws_server(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Aws]:
    """Run a server; ``environment`` says how, see ``server.py``."""
    aws = Aws(free_port(), folder / "notes")
    module = "tests.integration.services.server"
    command = [sys.executable, "-m", module, "-H", "127.0.0.1", "-p", str(aws.port)]
    told = {**aws.environment, "BATCH_NOTES": str(aws.notes), "PYTHONPATH": str(PROJECT), **(environment or {})}
    with daemon(command, folder / "aws.log", lambda: answers(aws.port), told):
        _furnish(aws)
        yield aws


def _furnish(aws: Aws) -> None:
    ec2, iam, batch = aws.client("ec2"), aws.client("iam"), aws.client("batch")
    for name in ("BatchJobRole", "BatchServiceRole", "InstanceRole"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="InstanceRole")
    iam.add_role_to_instance_profile(InstanceProfileName="InstanceRole", RoleName="InstanceRole")
    compute = batch.create_compute_environment(
        computeEnvironmentName="campaign-compute",
        type="MANAGED",
        state="ENABLED",
        serviceRole=f"arn:aws:iam::{ACCOUNT}:role/BatchServiceRole",
        computeResources={
            "type": "EC2",
            "minvCpus": 0,
            "maxvCpus": 256,
            "instanceTypes": ["optimal"],
            "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
            "securityGroupIds": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
            "instanceRole": f"arn:aws:iam::{ACCOUNT}:instance-profile/InstanceRole",
        },
    )["computeEnvironmentArn"]
    for queue in (QUEUE, SPARE_QUEUE):
        order = [{"order": 1, "computeEnvironment": compute}]
        batch.create_job_queue(jobQueueName=queue, state="ENABLED", priority=1, computeEnvironmentOrder=order)
