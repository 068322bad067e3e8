"""What a person writes about a site of AWS Batch, and what the service takes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from simcampaign.fields import STRICT, Count, Positive, Price, Text, told
from simcampaign.sites.batch.definition import Platform
from simcampaign.sites.batch.sizes import SHORTEST_TIMEOUT_SECONDS

LARGEST_ARRAY = 10_000
"""Jobs in one array, at most."""

_MOST_ATTEMPTS = 10
_ACCOUNT_DIGITS = 12
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")


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
    if attempts > _MOST_ATTEMPTS:
        raise ValueError(f"must be {_MOST_ATTEMPTS} or less: AWS Batch takes no more")
    return attempts


def _check_timeout(seconds: float) -> float:
    if seconds < SHORTEST_TIMEOUT_SECONDS:
        raise ValueError(f"must be {SHORTEST_TIMEOUT_SECONDS} s or more: AWS Batch takes no less")
    return seconds


def _check_array_size(size: int) -> int:
    if not 2 <= size <= LARGEST_ARRAY:
        raise ValueError(f"must be 2 to {LARGEST_ARRAY}: AWS Batch takes no other arrays")
    return size


AccountNumber = Annotated[
    str,
    BeforeValidator(_read_account),
    AfterValidator(_check_account),
    told("^[0-9]{12}$", "the 12 digits of an AWS account, in quotes"),
]
"""Number of an AWS account."""

Region = Annotated[
    Text, AfterValidator(_check_region), told(f"^{_REGION.pattern}$", "a region of AWS, such as us-east-1")
]
"""Region of AWS."""

User = Annotated[str, AfterValidator(_check_user)]
"""First part of names at the service."""

Attempts = Annotated[Count, AfterValidator(_check_attempts)]
"""How often the service starts a job."""

Timeout = Annotated[Positive, AfterValidator(_check_timeout)]
"""Wall time in seconds."""

ArraySize = Annotated[Count, AfterValidator(_check_array_size)]
"""Jobs in an array."""


@dataclass
class BatchOptions:
    """Whose jobs they are, where they run, and as what."""

    __pydantic_config__ = STRICT

    account: AccountNumber
    """Number of the AWS account: 12 digits, in quotes."""

    region: Region
    """Region of AWS, such as us-east-1."""

    user: User
    """First part of the names of images, job definitions and jobs: theirs is (registry)/(user)/(image)."""

    queue: Text
    """Name of the job queue."""

    job_role: Text = "BatchJobRole"
    """Name or ARN of the role that jobs have; it must be allowed to read and write the working location."""

    registry: str | None = None
    """Where images are; left out for the account's own registry in the region, empty for none."""

    platform: Platform = "EC2"
    """What the machines of the queue are."""

    attempts: Attempts = 1
    """How often AWS Batch itself starts a job whose machine is taken away."""

    tags: dict[str, str] = field(default_factory=dict)
    """Tags of job definitions and jobs, such as the project that pays."""

    fallback_queue: Text | None = None
    """Name of the queue that is used once jobs wait in the first one without being started."""

    runnable_limit_seconds: Positive = 900.0
    """Seconds that an array may wait without any of its jobs being started, before it is looked into; with a
    fallback_queue it is ended then, and what comes later goes there."""

    max_array_size: ArraySize = LARGEST_ARRAY
    """Most jobs in one array; a group with more is split."""

    price_per_vcpu_hour: Price = 0.0
    """Price of a vCPU for an hour, in any currency; for estimates, costs and the budget."""

    price_per_gb_hour: Price = 0.0
    """Price of a GiB of memory for an hour, in the same currency."""
