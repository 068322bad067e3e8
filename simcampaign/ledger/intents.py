"""Writing intents down: rows of arrays, their jobs and their ranges."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain

import sqlalchemy as sa

from simcampaign.jobs import JobState
from simcampaign.ledger.rows import Intent
from simcampaign.ledger.schema import ArrayState, arrays, jobs, ranges

LEASE_SECONDS = 300.0
"""How long an intent is its owner's alone without being renewed."""

_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class NewArray:
    """What an intent is written down as."""

    name: str
    file_set: str
    attempt: int
    owner: str
    created: float
    """Seconds since the epoch."""


def array_name(stem: str, digest: str, attempt: int) -> str:
    """Return an array's name: a stem that a person knows it by, the digest and the attempt.

    It has only characters that every site takes.
    """
    readable = re.sub(r"[^A-Za-z0-9_-]", "-", stem)[:80]
    return f"{readable}_{digest}_{attempt}"


def write_array(connection: sa.Connection, campaign_id: int, new: NewArray, intent: Intent) -> int:
    """Insert an intent with its jobs and their ranges; returns the array's id."""
    row = {
        "campaign_id": campaign_id,
        "name": new.name,
        "group": intent.group,
        "digest": intent.digest,
        "attempt": new.attempt,
        "site": intent.site,
        "date": intent.date,
        "model": intent.model,
        "size": len(intent.inputs),
        "file_set": new.file_set,
        "input_extension": intent.input_extension,
        "cpus": intent.cpus,
        "price_per_hour": intent.price_per_hour,
        "state": ArrayState.INTENT,
        "cursor": "",
        "counts": "",
        "owner": new.owner,
        "lease_until": new.created + LEASE_SECONDS,
        "created": new.created,
        "collected": False,
    }
    array_id = insert(connection, arrays, row)
    _insert_jobs(connection, array_id, intent)
    return array_id


def insert(connection: sa.Connection, table: sa.Table, row: dict[str, object]) -> int:
    """Insert a row and return its id."""
    return int(connection.execute(sa.insert(table).values(row).returning(table.c.id)).scalar_one())


def insert_many(connection: sa.Connection, table: sa.Table, rows: list[dict[str, object]]) -> None:
    """Insert rows, in statements of bounded size."""
    for first in range(0, len(rows), _CHUNK):
        connection.execute(sa.insert(table), rows[first : first + _CHUNK])


def _insert_jobs(connection: sa.Connection, array_id: int, intent: Intent) -> None:
    queued = JobState.QUEUED.value
    job_rows: list[dict[str, object]] = [
        {"array_id": array_id, "index": index, "state": queued, "message": ""} for index in range(len(intent.inputs))
    ]
    range_rows: list[dict[str, object]] = [
        {
            "array_id": array_id,
            "row": row,
            "index": index,
            "condition": entry.range.condition_key,
            "start_seed": entry.range.start_seed,
            "end_seed": entry.range.end_seed,
            "fingerprint": entry.fingerprint,
            "rendering": entry.rendering,
        }
        for row, (index, entry) in enumerate(
            chain.from_iterable(((i, e) for e in es) for i, es in enumerate(intent.inputs))
        )
    ]
    insert_many(connection, jobs, job_rows)
    insert_many(connection, ranges, range_rows)
