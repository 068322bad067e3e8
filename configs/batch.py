"""The context of campaigns that run on AWS Batch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BeforeValidator
from pydantic.functional_validators import AfterValidator

from simcampaign.fields import STRICT, Count, Positive, Price, Text
from simcampaign.jobs import Resources
from simcampaign.retry import Limits
from simcampaign.sites.batch import BatchSite
from simcampaign.sites.batch.sizes import FARGATE_MEMORY_MB

_ACCOUNT_DIGITS = 12
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")


def _check_bucket(location: str) -> str:
    if not location.startswith("s3://"):
        raise ValueError("jobs of AWS Batch reach s3:// only; for a directory use the flow run_local_simulations")
    return location


def _read_account(value: object) -> object:
    """Take a number as it was meant; one that has lost its zeros, or was read as octal, cannot be."""
    whole = isinstance(value, int) and not isinstance(value, bool) and len(str(value)) == _ACCOUNT_DIGITS
    return str(value) if whole else value


def _check_account(account: str) -> str:
    if not re.fullmatch(rf"\d{{{_ACCOUNT_DIGITS}}}", account):
        raise ValueError("must be the 12 digits of an AWS account, in quotes")
    return account


def _check_user(user: str) -> str:
    if not _USER.fullmatch(user):
        raise ValueError("must be 1 to 64 letters, digits and . _ -, and start with a letter or digit")
    return user


def _check_region(region: str) -> str:
    if not _REGION.fullmatch(region):
        raise ValueError("is no region of AWS, such as us-east-1")
    return region


def _check_attempts(attempts: int) -> int:
    if attempts > 10:
        raise ValueError("must be 10 or less: AWS Batch takes no more")
    return attempts


def _check_timeout(seconds: float) -> float:
    if seconds < 60:
        raise ValueError("must be 60 s or more: AWS Batch takes no less")
    return seconds


def _check_array_size(size: int) -> int:
    if not 2 <= size <= 10_000:
        raise ValueError("must be 2 to 10000: AWS Batch takes no other arrays")
    return size


@dataclass
class BatchContextConfig:
    """Where files are, whose jobs they are, where they run, and what they need."""

    __pydantic_config__ = STRICT

    working_location: Annotated[Text, AfterValidator(_check_bucket)]
    """s3:// address that holds the series' files, a folder per series."""

    manifest_location: Text
    """Directory or s3:// address that holds the manifest."""

    template_location: Text
    """Directory or s3:// address that holds the templates."""

    account: Annotated[str, BeforeValidator(_read_account), AfterValidator(_check_account)]
    """Number of the AWS account: 12 digits, in quotes."""

    region: Annotated[Text, AfterValidator(_check_region)]
    """Region of AWS, such as us-east-1."""

    user: Annotated[str, AfterValidator(_check_user)]
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

    platform: Literal["EC2", "FARGATE"] = "EC2"
    """What the machines of the queue are."""

    attempts: Annotated[Count, AfterValidator(_check_attempts)] = 1
    """How often a run is tried before it is given up, and how often AWS Batch itself starts a job whose machine is
    taken away. A run that ran out of memory or time is tried again with twice as much; one whose model failed is not
    tried again."""

    timeout: Annotated[Positive, AfterValidator(_check_timeout)] | None = None
    """Seconds after which a job is stopped, 60 or more; null sets no limit."""

    tags: dict[str, str] = field(default_factory=dict)
    """Tags of job definitions and jobs, such as the project that pays."""

    fallback_queue: Text | None = None
    """Name of the queue that is used once jobs wait in the first one without being started; null for none."""

    max_array_size: Annotated[Count, AfterValidator(_check_array_size)] = 10_000
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
        return BatchSite(
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
