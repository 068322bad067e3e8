"""Rows of the job manager's tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping


class QueueState(StrEnum):
    """Where a job of the queue is. The last four are final."""

    QUEUED = "queued"
    """It waits for its turn."""

    SCHEDULED = "scheduled"
    """It was handed to its site, and has not started there."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def over(self) -> bool:
        """True if the job will not change any more."""
        return self in OVER


OVER = frozenset({QueueState.COMPLETED, QueueState.FAILED, QueueState.CANCELLED, QueueState.LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job that is to wait for its turn."""

    id: str
    user: str
    site: str
    group: str = "default"
    application: str = ""
    series: str = ""
    priority: int = 0
    held: bool = False
    config: str
    work: str
    cores: float = 1.0
    memory_mb: int = 0
    after: tuple[str, ...] = ()
    after_ok: tuple[str, ...] = ()
    idempotency_key: str | None = None
    request_digest: str = ""
    array: str = ""
    """The array that it was submitted in; empty for a job alone."""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A job as the ledger has it."""

    seq: int
    id: str
    user: str
    group: str
    site: str
    application: str
    series: str
    priority: int
    held: bool
    state: QueueState
    config: str
    work: str
    cores: float
    memory_mb: int
    after: tuple[str, ...]
    after_ok: tuple[str, ...]
    place: str
    place_index: int
    cancelling: bool
    created: float
    started: float | None
    ended: float | None
    return_code: int | None
    cause: str | None
    message: str
    cpu_seconds: float | None
    peak_memory_bytes: int | None
    request_digest: str
    array: str

    @classmethod
    def of(cls, found: RowMapping | Mapping[str, Any]) -> QueueRow:
        """Return the row of a result."""
        row = dict(found)
        lists = {name: tuple(json.loads(row[name])) for name in ("after", "after_ok")}
        return cls(**{**row, **lists, "state": QueueState(row["state"])})


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a job; None leaves a value as it is."""

    id: str
    state: QueueState
    started: float | None = None
    ended: float | None = None
    return_code: int | None = None
    cause: str | None = None
    message: str = ""
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, in the order in which it was written down."""

    seq: int
    time: float
    kind: str
    job_id: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which jobs are wanted; None for all."""

    states: frozenset[QueueState] | None = None
    site: str | None = None
    group: str | None = None
    user: str | None = None
    series: str | None = None
    since: float | None = None
    text: str | None = None
    """Part of an id, user, group, series, application or message; small and capital letters are the same."""

    ids: frozenset[str] | None = None
    array: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArray:
    """Jobs that are submitted together."""

    id: str
    user: str
    size: int
    request_digest: str
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class ArrayRow:
    """Such an array as the ledger has it."""

    seq: int
    id: str
    user: str
    size: int
    created: float
    request_digest: str


@dataclass(frozen=True, slots=True)
class Place:
    """An array that is kept open for jobs of the queue."""

    name: str
    site: str
    remote_id: str
    cursor: str = ""
    open: bool = True
