"""What goes into the ledger of a request, and what comes out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from simcampaign.jobs import Cause, JobState
from simcampaign.ledger.rows import ArrayRow
from simcampaign.ledger.schema import ArrayState


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request that is about to be written down."""

    name: str
    site: str
    many: bool
    size: int
    group: str
    digest: str
    """Stands for what is asked for: files, commands, resources, outputs."""

    token: str
    """Unlike that of any other request of any ledger; part of the names of its arrays."""

    details: str
    """The rest as JSON; the engine knows what it means."""


@dataclass(frozen=True, slots=True)
class NewPart:
    """Jobs of a request that are submitted as one array."""

    jobs: Sequence[int]
    """Their indices in the request."""

    root: str
    """Directory on the site's host below which the array's folder is made."""

    resources: str
    """What each job is given, as JSON."""

    cores: float
    price_per_hour: float


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request as the ledger has it."""

    id: int
    name: str
    site: str
    many: bool
    size: int
    group: str
    digest: str
    token: str
    details: str
    created: float
    archived: float | None


@dataclass(frozen=True, slots=True)
class PartRow:
    """An array that jobs of a request were submitted in."""

    request_id: int
    number: int
    folder: str
    resources: str
    array: ArrayRow


@dataclass(frozen=True, slots=True)
class JobRow:
    """The newest try of a job of a request. Times are seconds since the epoch."""

    request_id: int
    index: int
    """Its index in the request."""

    array_id: int
    array_index: int
    number: int
    folder: str
    """Where the folders of the array's jobs are, on the site's host."""

    resources: str
    array: str
    """The array's name."""

    array_state: ArrayState
    remote_id: str | None
    submitted: float | None
    cores: float
    state: JobState
    cause: Cause | None
    exit_code: int | None
    started: float | None
    ended: float | None
    peak_memory_bytes: int | None
    cpu_seconds: float | None
    message: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which requests, or jobs of them, are listed; None for all."""

    site: str | None = None
    states: Collection[JobState] | None = None
    group: str | None = None
    """None for all groups but the archive."""

    since: float | None = None
    """Only what was asked for since then, in seconds since the epoch."""

    many: bool | None = None
    """Job arrays only, or single jobs only."""
