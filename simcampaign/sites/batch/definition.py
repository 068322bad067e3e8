"""The job definition of an array: what it must say, whether an existing one says the same, and what a job adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from simcampaign.jobs import ArraySpec, Resources, job_environment
from simcampaign.sites.batch.names import definition_name

Platform = Literal["EC2", "FARGATE"]

_PER_RUN = ("BATCH_WORKING_URL", "FILE_SET_NAME", "SIMCAMPAIGN_OUTPUT")
"""What a job is told that differs from array to array or from day to day: it belongs to the submission."""

_PREEMPTED = ("Host EC2*", "Your Spot Task was interrupted*")
"""Status reasons of jobs whose machine was taken away, as patterns of the service."""

_KEYED = ("name", "type", "key")


@dataclass(frozen=True, slots=True)
class Account:
    """Whose jobs they are, where they run, and as what."""

    account: str
    region: str
    user: str
    job_role: str
    registry: str | None
    platform: Platform
    attempts: int
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def role_arn(self) -> str:
        """The ARN of the role that jobs have; ``job_role`` may be a name or an ARN."""
        if self.job_role.startswith("arn:"):
            return self.job_role
        return f"arn:{self._partition}:iam::{self.account}:role/{self.job_role}"

    def image(self, name: str) -> str:
        """Return the whole name of a container image; an empty registry is left out."""
        suffix = "amazonaws.com.cn" if self._partition == "aws-cn" else "amazonaws.com"
        registry = f"{self.account}.dkr.ecr.{self.region}.{suffix}" if self.registry is None else self.registry
        return "/".join(part for part in (registry, self.user, name) if part)

    @property
    def _partition(self) -> str:
        for prefix, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
            if self.region.startswith(prefix):
                return partition
        return "aws"


def wanted_definition(account: Account, array: ArraySpec) -> dict[str, Any]:
    """Return the job definition that an array needs, as the arguments of RegisterJobDefinition."""
    definition: dict[str, Any] = {
        "jobDefinitionName": definition_name(account.user, array.file_set),
        "type": "container",
        "containerProperties": _container(account, array),
        "retryStrategy": {"attempts": account.attempts, "evaluateOnExit": _exits()},
        "platformCapabilities": [account.platform],
    }
    if array.resources.timeout_seconds is not None:
        definition["timeout"] = {"attemptDurationSeconds": round(array.resources.timeout_seconds)}
    if account.tags:
        definition |= {"tags": dict(account.tags), "propagateTags": True}
    return definition


def _container(account: Account, array: ArraySpec) -> dict[str, Any]:
    container: dict[str, Any] = {
        "image": account.image(array.image),
        "resourceRequirements": _requirements(array.resources),
        # On EC2 nothing else tells a container where it is, and its S3 client would take another region for granted.
        "environment": environment_list({**array.environment, "SIMULATION_TYPE": "AWS", "AWS_REGION": account.region}),
        "jobRoleArn": account.role_arn,
    }
    if account.platform == "FARGATE":
        # There is no instance whose role could fetch the image and write the log, nor whose address could be used.
        container |= {
            "executionRoleArn": account.role_arn,
            "networkConfiguration": {"assignPublicIp": "ENABLED"},
        }
    return container


def _requirements(resources: Resources) -> list[dict[str, str]]:
    wanted = [("VCPU", f"{resources.cores:g}"), ("MEMORY", str(resources.memory_mb))]
    if resources.gpus:
        wanted.append(("GPU", str(resources.gpus)))
    return [{"type": kind, "value": value} for kind, value in wanted]


def _exits() -> list[dict[str, str]]:
    """Return what the service does by itself after an attempt: without the last rule it would repeat every failure."""
    return [
        *({"onStatusReason": pattern, "action": "RETRY"} for pattern in _PREEMPTED),
        {"onReason": "*", "action": "EXIT"},
    ]


def environment_list(environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Return an environment in the form that the service takes."""
    return [{"name": name, "value": value} for name, value in environment.items()]


def overrides(array: ArraySpec) -> dict[str, Any]:
    """Return what a submission adds to the definition.

    A job that is no array gets no index from the service; it is told its own, and all else that jobs know elsewhere.
    """
    told = job_environment(array, array.jobs[0], "AWS")
    if len(array.jobs) > 1:
        told = {name: told[name] for name in _PER_RUN}
    else:
        told = {name: value for name, value in told.items() if name not in {*array.environment, "SIMULATION_TYPE"}}
    return {"environment": environment_list(told)}


def same(wanted: object, existing: object) -> bool:
    """Tell whether a definition says all that is wanted; what the service or others added is not looked at.

    Environments, requirements and tags must be equal as a whole, in any order: one that is no longer wanted counts.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(existing, Mapping):
            return False
        return all(
            dict(value) == existing.get(key) if key == "tags" else same(value, existing.get(key))
            for key, value in wanted.items()
        )
    if isinstance(wanted, (list, tuple)):
        return _same_lists(wanted, existing)
    if isinstance(wanted, str) and isinstance(existing, str):
        return wanted == existing or (wanted in {"RETRY", "EXIT"} and wanted == existing.upper())
    return wanted == existing


def _same_lists(wanted: Sequence[Any], existing: object) -> bool:
    if not isinstance(existing, (list, tuple)) or len(wanted) != len(existing):
        return False
    if all(isinstance(each, Mapping) for each in (*wanted, *existing)):
        key = next((key for key in _KEYED if wanted and key in wanted[0]), None)
        if key is not None:
            wanted, existing = (sorted(each, key=lambda one: str(one.get(key))) for each in (wanted, existing))
    return all(same(one, other) for one, other in zip(wanted, existing, strict=True))
