"""What goes into the ledger and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simcampaign.jobs import Cause, JobState, RunRange
from simcampaign.ledger.schema import ArrayState


@dataclass(frozen=True)
class RangeEntry:
    """A range of runs with what tells later whether its outputs are stale."""

    range: RunRange
    fingerprint: str
    rendering: str


@dataclass(frozen=True)
class Intent:
    """An array that is about to be submitted."""

    group: str
    digest: str
    """Stands for what the array does: its inputs, its command and where it lies."""

    site: str
    date: str
    model: str
    input_extension: str
    cpus: float
    price_per_hour: float
    inputs: Sequence[Sequence[RangeEntry]]
    """The ranges of each job."""


@dataclass(frozen=True)
class Claimed:
    """An intent that was written down: nobody else will submit its runs."""

    array_id: int
    name: str
    file_set: str
    """First part of the names of its inputs and inits, which no other array of the day has."""


@dataclass(frozen=True)
class ArrayRow:
    """An array as the ledger has it."""

    id: int
    name: str
    group: str
    site: str
    date: str
    model: str
    size: int
    file_set: str
    input_extension: str
    state: ArrayState
    remote_id: str | None
    cursor: str
    owner: str
    lease_until: float
    last_seen: float | None
    submitted: float | None
    collected: bool


RunRow = tuple[str, int, int, str, str, str, int, str | None]
"""A range as it was submitted once: condition key, first seed, last seed, job state, fingerprint, rendering, id of the
array, cause."""


@dataclass(frozen=True)
class Failure:
    """A job that did not finish well."""

    array_id: int
    array: str
    group: str
    index: int
    state: JobState
    cause: Cause | None
    exit_code: int | None
    message: str
    date: str
    ranges: tuple[RunRange, ...]

    @property
    def job_id(self) -> str:
        """The job's id: the name of its log."""
        return job_id(self.array, self.index)


@dataclass(frozen=True)
class Usage:
    """What the finished jobs of a campaign took."""

    jobs: int
    wall_seconds: float
    core_seconds: float
    cost: float


def job_id(array_name: str, index: int) -> str:
    """Return the id of a job: ``(array name)_(index)``."""
    return f"{array_name}_{index:04d}"
