"""A site whose clients answer from recorded responses, which botocore checks against the service's model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
import stamina
from botocore.stub import Stubber

from simcampaign.jobs import ArraySpec, JobSpec, Resources
from simcampaign.sites.batch import BatchOptions, BatchSite

NOW = round(time.time() * 1000)
SERVICES = ("batch", "logs", "sts", "iam")
PLACE: dict[str, Any] = {"account": "123456789012", "region": "us-east-1", "user": "ada", "queue": "main"}


def site_of(*, settle_seconds: float = 5.0, client_factory: Any = None, **options: Any) -> BatchSite:
    """A site with these options."""
    return BatchSite(BatchOptions(**options), settle_seconds=settle_seconds, client_factory=client_factory)


@dataclass
class Recorded:
    """Answers of the service, in the order in which they will be asked for."""

    batch: Stubber
    logs: Stubber
    sts: Stubber
    iam: Stubber
    settings: dict[str, Any] = field(default_factory=lambda: {**PLACE, "settle_seconds": 0})

    def site(self, **settings: Any) -> BatchSite:
        clients = {name: getattr(self, name).client for name in SERVICES}
        return site_of(**{**self.settings, **settings}, client_factory=clients.__getitem__)

    def describes(self, *jobs: dict[str, Any], asked: list[str] | None = None) -> None:
        ids = [job["jobId"] for job in jobs] if asked is None else asked
        self.batch.add_response("describe_jobs", {"jobs": list(jobs)}, {"jobs": ids})

    def lists(self, *jobs: dict[str, Any], token: str = "", after: str = "", **expected: Any) -> None:
        answer: dict[str, Any] = {"jobSummaryList": list(jobs)} | ({"nextToken": token} if token else {})
        self.batch.add_response("list_jobs", answer, expected | ({"nextToken": after} if after else {}))


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    with ExitStack() as stack:
        stubs = [stack.enter_context(Stubber(boto3.client(name, region_name="us-east-1", **keys))) for name in SERVICES]
        yield Recorded(*stubs)
        for stub in stubs:
            stub.assert_no_pending_responses()


@pytest.fixture(autouse=True)
def without_waits() -> Iterator[None]:
    """Let what is tried again be tried at once."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def array() -> Callable[..., ArraySpec]:
    return array_of


def array_of(size: int = 3, **changes: Any) -> ArraySpec:
    """An array as the engine hands it over."""
    url = "s3://bucket/colony/2026-01-31/"
    jobs = [JobSpec(i, f"colony_rich_ab12_1_{i:04d}", f"{url}inputs/colony_rich_{i}.xml", f"{i}") for i in range(size)]
    values: dict[str, Any] = {
        "name": "colony_rich_ab12_1",
        "file_set": "colony_rich",
        "working_url": url,
        "output": f"{url}outputs/",
        "command": (),
        "jobs": jobs,
        "resources": Resources(2, 4096, 3600),
        "model": "colony",
        "image": "colony:1.0",
    }
    return ArraySpec(**(values | changes))


def parent(job_id: str = "a", size: int = 10, status: str = "PENDING", **states: Any) -> dict[str, Any]:
    """An array as DescribeJobs shows it; states by name, e.g. ``FAILED=2``, and other fields."""
    summary = {name: count for name, count in states.items() if name.isupper()}
    rest = {name: value for name, value in states.items() if not name.isupper()}
    return {
        "jobId": job_id,
        "jobName": "ada_colony_rich_ab12_1",
        "jobQueue": "arn:aws:batch:us-east-1:123456789012:job-queue/main",
        "status": status,
        "startedAt": 0,
        "createdAt": NOW,
        "jobDefinition": "arn:aws:batch:us-east-1:123456789012:job-definition/ada_colony_rich:1",
        "arrayProperties": {"size": size, "statusSummary": summary},
        **rest,
    }


def child(index: int, status: str = "FAILED", array_id: str = "a", **said: Any) -> dict[str, Any]:
    """A job of an array as ListJobs shows it."""
    return {
        "jobId": f"{array_id}:{index}",
        "jobName": "ada_colony_rich_ab12_1",
        "status": status,
        "arrayProperties": {"index": index},
        "createdAt": NOW,
        "startedAt": NOW + 1000,
        "stoppedAt": NOW + 3000,
        **said,
    }


def single(status: str, **said: Any) -> dict[str, Any]:
    """A job that is no array as DescribeJobs shows it."""
    job = parent("s", status=status, **said)
    del job["arrayProperties"]
    return job
