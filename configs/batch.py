"""The context of campaigns that run on AWS Batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic.functional_validators import AfterValidator

from simcampaign.fields import STRICT, Count, Positive, Price, Text, told
from simcampaign.jobs import Resources
from simcampaign.retry import Limits
from simcampaign.sites.batch import BatchOptions, BatchSite
from simcampaign.sites.batch.definition import Platform
from simcampaign.sites.batch.options import LARGEST_ARRAY, AccountNumber, ArraySize, Attempts, Region, Timeout, User
from simcampaign.sites.batch.sizes import FARGATE_MEMORY_MB


def _check_bucket(location: str) -> str:
    if not location.startswith("s3://"):
        raise ValueError("jobs of AWS Batch reach s3:// only; for a directory use the flow run_local_simulations")
    return location


@dataclass
class BatchContextConfig:
    """Where files are, whose jobs they are, where they run, and what they need."""

    __pydantic_config__ = STRICT

    kind: Literal["batch"] = field(default="batch", kw_only=True)
    """Where jobs run: on AWS Batch."""

    working_location: Annotated[
        Text,
        AfterValidator(_check_bucket),
        told("^s3://", "an address s3://…; for a directory use a context of the kind local"),
    ]
    """s3:// address that holds the series' files, a folder per series."""

    manifest_location: Text
    """Directory or s3:// address that holds the manifest."""

    template_location: Text
    """Directory or s3:// address that holds the templates."""

    account: AccountNumber
    """Number of the AWS account: 12 digits, in quotes."""

    region: Region
    """Region of AWS, such as us-east-1."""

    user: User
    """First part of the names of images, job definitions and jobs: theirs is (registry)/(user)/(image)."""

    vcpus: Positive
    """vCPUs of one job; on EC2 a whole number."""

    memory: Count
    """MiB of memory of one job."""

    queue: Text
    """Name of the job queue."""

    job_role: Text = "BatchJobRole"
    """Name or ARN of the role that jobs have; it must be allowed to read and write the working location."""

    registry: str | None = None
    """Where images are; null for the account's own registry in the region, empty for none."""

    platform: Platform = "EC2"
    """What the machines of the queue are."""

    attempts: Attempts = 1
    """How often a run is tried before it is given up, and how often AWS Batch itself starts a job whose machine is
    taken away. A run that ran out of memory or time is tried again with twice as much; one whose model failed is not
    tried again."""

    timeout: Timeout | None = None
    """Seconds after which a job is stopped, 60 or more; null sets no limit."""

    tags: dict[str, str] = field(default_factory=dict)
    """Tags of job definitions and jobs, such as the project that pays."""

    fallback_queue: Text | None = None
    """Name of the queue that is used once jobs wait in the first one without being started; null for none."""

    max_array_size: ArraySize = LARGEST_ARRAY
    """Most jobs in one array; a group with more is split."""

    price_per_vcpu_hour: Price = 0.0
    """Price of a vCPU for an hour, in any currency; for estimates, costs and the budget."""

    price_per_gb_hour: Price = 0.0
    """Price of a GiB of memory for an hour, in the same currency."""

    def limits(self) -> Limits:
        """Return how often a run is tried, and on Fargate the most memory that it offers with these vCPUs."""
        sizes = FARGATE_MEMORY_MB.get(float(self.vcpus)) if self.platform == "FARGATE" else None
        return Limits(self.attempts, max_memory_mb=max(sizes) if sizes else None)

    def resources(self) -> Resources:
        """Return what one job needs."""
        return Resources(self.vcpus, self.memory, self.timeout)

    def site(self) -> BatchSite:
        """Return the site that this context describes."""
        options = BatchOptions(
            account=self.account,
            region=self.region,
            user=self.user,
            queue=self.queue,
            job_role=self.job_role,
            registry=self.registry,
            platform=self.platform,
            attempts=self.attempts,
            tags=self.tags,
            fallback_queue=self.fallback_queue,
            max_array_size=self.max_array_size,
            price_per_vcpu_hour=self.price_per_vcpu_hour,
            price_per_gb_hour=self.price_per_gb_hour,
        )
        return BatchSite(options)
