"""What a job manager answers, as frozen dataclasses. Fields that this version does not know are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from simcampaign.errors import SiteError

T = TypeVar("T")

OVER = frozenset({"completed", "failed", "cancelled", "lost"})
"""States of jobs that do not change any more."""

_TIMES = frozenset({"created", "updated", "start_time", "end_time", "last_update", "timestamp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the service lists it."""

    id: str
    status: str
    """queued, scheduled, running, completed, failed, cancelled or lost."""

    user: str = ""
    site: str = ""
    group: str = ""
    application: str = ""
    series: str = ""
    array: str | None = None
    priority: int = 0
    held: bool = False
    cancelling: bool = False
    """Its end is wanted, and has not come."""

    created: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    return_code: int | None = None
    cause: str | None = None
    """Why it failed, as ``simcampaign.jobs.Cause`` has it."""

    message: str = ""
    cores: float = 1.0
    memory_mb: int = 0
    after: Sequence[str] = ()
    after_ok: Sequence[str] = ()
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    scheduler_job_id: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """True if it will not change any more."""
        return self.status in OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The answer to a submission; the job is on the disk."""

    job_id: str
    message: str = ""
    status: str = "queued"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStanding:
    """How much waits and runs."""

    total_queued: int
    running_jobs: int
    max_concurrent: int
    regular_queue_size: int = 0
    priority_queues: Mapping[str, int] = field(default_factory=dict)
    """Number of waiting jobs per priority above 0."""

    held: int = 0
    held_back: str = ""
    """Why nothing starts on the service's host just now; empty if something may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the service's host has left."""

    cpu_percent: float
    memory_percent: float
    memory_used_gb: float
    memory_total_gb: float
    memory_free_gb: float
    disk_usage_percent: float
    disk_free_gb: float
    timestamp: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What jobs may use of the service's host."""

    max_concurrent_jobs: int
    max_cpu_percent: float
    min_memory_gb: float
    min_disk_gb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition or queue of a cluster."""

    name: str
    site: str = ""
    state: str = ""
    nodes_total: int | None = None
    nodes_used: int | None = None
    cores_total: int | None = None
    cores_used: int | None = None
    memory_total_gb: float | None = None
    memory_used_gb: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a service is and does."""

    version: str
    mode: str
    """Backend of the first cluster that is configured, or none."""

    local_pool: Mapping[str, int] = field(default_factory=dict)
    resource_monitoring: Mapping[str, Any] = field(default_factory=dict)
    scheduler_detection: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened."""

    seq: int
    kind: str
    """job_queued, job_started, job_completed, … as ``docs/service.md`` has them."""

    data: Mapping[str, Any]

    @property
    def job_id(self) -> str:
        """The job that it is about; empty if it is about none."""
        return str(self.data.get("job_id", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A campaign that the service runs."""

    id: str
    status: str
    """running, paused, complete, incomplete, cancelled or failed."""

    name: str = ""
    user: str = ""
    kind: str = ""
    created: datetime | None = None
    updated: datetime | None = None
    runs: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    jobs: Mapping[str, int] = field(default_factory=dict)
    cost: Mapping[str, Any] | None = None
    seconds_left: float | None = None
    message: str = ""
    summary: str | None = None
    failures: Sequence[Mapping[str, Any]] = ()

    @property
    def over(self) -> bool:
        """True if nothing happens any more by itself."""
        return self.status not in {"running", "paused"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignMap:
    """A window of a campaign's conditions × seeds."""

    conditions: Sequence[str]
    seeds: Sequence[int]
    total_conditions: int
    total_seeds: int
    legend: Sequence[str]
    states: Sequence[Sequence[int]]
    """Per condition and seed, the index into ``legend``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """Jobs that were submitted together."""

    id: str
    size: int
    counts: Mapping[str, int] = field(default_factory=dict)
    """Number of jobs per state."""

    user: str = ""
    created: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedArray:
    """The answer to the submission of an array; its jobs are on the disk."""

    array_id: str
    job_ids: Sequence[str]
    message: str = ""
    status: str = "queued"


def read(kind: type[T], data: object) -> T:
    """Return an answer as one of these. Raises ``SiteError`` if it is something else."""
    if not isinstance(data, Mapping):
        raise SiteError(f"the job manager answered no {kind.__name__}", "is this the address of a job manager?")
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    known = {name: _moment(value) if name in _TIMES else value for name, value in data.items() if name in names}
    try:
        return kind(**known)
    except TypeError as error:
        raise SiteError(f"the job manager answered no whole {kind.__name__}: {error}") from error


def read_list(kind: type[T], data: object) -> list[T]:
    """Return an answer as a list of these. Raises ``SiteError`` if it is something else."""
    if not isinstance(data, list):
        raise SiteError(f"the job manager answered no list of {kind.__name__}")
    return [read(kind, each) for each in data]


def _moment(value: object) -> datetime | None:
    try:
        return None if value is None else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise SiteError(f"the job manager answered {value!r} for a time") from error
