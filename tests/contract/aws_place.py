"""AWS Batch under the contract: the test server, whose jobs play what their inputs say."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simcampaign.jobs import ArraySpec, JobSpec, Resources, job_environment
from simcampaign.sites.base import Site
from simcampaign.sites.batch import BatchSite
from simcampaign.sites.registry import configure_site
from tests.contract.acts import Act
from tests.contract.places import array_of
from tests.integration.services.aws import ACCOUNT, QUEUE, REGION, Aws

TOLD = ("AWS_BATCH_JOB_ARRAY_INDEX", "BATCH_WORKING_URL", "FILE_SET_NAME", "SIMULATION_TYPE")
"""What jobs of an array are told; which input is theirs follows from it."""


@dataclass
class AwsPlace:
    """A bucket and a queue of the test server."""

    aws: Aws
    bucket: str
    knows_programs = False
    exact_output = False
    cleans = False
    filters = False
    patience = 60.0

    @property
    def options(self) -> dict[str, Any]:
        return {"backend": "batch", "account": ACCOUNT, "region": REGION, "user": self.bucket, "queue": QUEUE}

    def site(self) -> Site:
        return self.configure()

    def configure(self, **changes: Any) -> Site:
        site = configure_site("aws", {**self.options, **changes}).site
        assert isinstance(site, BatchSite)
        site.settle_seconds = 0.5  # the test server lists at once
        return site

    def unreachable(self) -> Site | None:
        return None

    def names(self, environment: Mapping[str, str]) -> list[str]:
        """The server drops variables without a value, as the service does."""
        return sorted({*TOLD, *(name for name, value in environment.items() if value)})

    def array(self, acts: Sequence[Act], name: str = "", size: int = 0, **changes: Any) -> ArraySpec:
        settings = {"image": "played:1", "resources": Resources(1, 64), **changes}
        array = array_of(acts, name, size, f"s3://{self.bucket}/toy/2026-01-31/", settings)
        for job in array.jobs:
            act = acts[min(job.index, len(acts) - 1)]
            printed = b64encode(act.printed(array, job, Variables())).decode()
            what = f"hold:{printed}" if act.held else f"act:{act.code}:{printed}"
            self._put(f"inputs/{array.file_set}_{job.index}.txt", f"{array.name} {job.index} 0 0 {what} 0\n")
        return array

    def told(self, array: ArraySpec, job: JobSpec) -> Mapping[str, str]:
        return job_environment(array, job, "AWS")

    def started(self, array: ArraySpec) -> list[int]:
        runs = [run.rsplit("_", 2) for run in self.aws.noted(self.bucket)]
        return sorted(int(index) for name, index, _ in runs if name == array.name)

    def let_go(self, array: ArraySpec) -> None:
        self._put(f"go/{array.name}", "")

    def listing(self) -> set[str]:
        return {job["jobName"] for job in self.aws.submitted(self.bucket)}

    def _put(self, key: str, text: str) -> None:
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=f"toy/2026-01-31/{key}", Body=text.encode())


class Variables(dict[str, str]):
    """Stands for an environment that is not known yet: each variable's value is its name, to be replaced in the job."""

    def __missing__(self, name: str) -> str:
        return f"${{{name}}}"


def without_aws_settings() -> list[str]:
    """The variables of this process that would lead to another AWS."""
    return [name for name in os.environ if name.startswith("AWS_")]
