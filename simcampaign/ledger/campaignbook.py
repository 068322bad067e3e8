"""The job manager's campaigns in the ledger.

As in ``queuebook``, functions take a connection, and those that write return the events that they wrote down.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from enum import StrEnum

import sqlalchemy as sa

from simcampaign.errors import ConflictError
from simcampaign.ledger.queuebook import note
from simcampaign.ledger.queuerows import Event
from simcampaign.ledger.schema import kept_campaigns, queue_events


class CampaignStatus(StrEnum):
    """Where a campaign that is kept is. The last four are final until a person asks for more."""

    RUNNING = "running"
    PAUSED = "paused"
    """Its jobs go on; nothing more is submitted."""

    COMPLETE = "complete"
    """Every run is done."""

    INCOMPLETE = "incomplete"
    """Nothing is left to try: some runs failed too often, or the budget is used up."""

    CANCELLED = "cancelled"
    FAILED = "failed"
    """It cannot be run as it is described."""

    @property
    def over(self) -> bool:
        """True if nothing happens any more by itself."""
        return self not in LIVE


LIVE = frozenset({CampaignStatus.RUNNING, CampaignStatus.PAUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCampaign:
    """A campaign that is to be kept."""

    id: str
    name: str
    user: str
    kind: str
    location: str
    document: str
    standing: str
    request_digest: str
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """A campaign as the ledger has it."""

    seq: int
    id: str
    name: str
    user: str
    kind: str
    location: str
    document: str
    status: CampaignStatus
    cancelling: bool
    created: float
    updated: float
    standing: str
    """How it stood after the last tick, as JSON."""

    message: str
    request_digest: str


_COLUMNS = [kept_campaigns.c[name] for name in CampaignRow.__dataclass_fields__]


def _row(found: sa.RowMapping) -> CampaignRow:
    return CampaignRow(**{**dict(found), "status": CampaignStatus(found["status"])})


def submit(connection: sa.Connection, new: NewCampaign, now: float) -> tuple[tuple[CampaignRow, bool], list[Event]]:
    """Keep a campaign; returns its row, and whether it is new. The same one once more is returned as it is.

    Raises ``ConflictError`` if the idempotency key is that of another, or a campaign of the same series in the same
    place is not over.
    """
    if new.idempotency_key is not None:
        same = kept_campaigns.c.idempotency_key == new.idempotency_key
        found = connection.execute(sa.select(*_COLUMNS).where(same)).mappings().first()
        if found is not None:
            row = _row(found)
            if row.request_digest == new.request_digest and row.user == new.user:
                return (row, False), []
            what = f"idempotency key {new.idempotency_key!r} is there already, for another campaign"
            raise ConflictError(what, "take another one, or leave it out")
    _check_alone(connection, new.name, new.location)
    values = {**asdict(new), "created": now, "updated": now, "status": CampaignStatus.RUNNING}
    added = sa.insert(kept_campaigns).values(**values, cancelling=False, message="").returning(*_COLUMNS)
    row = _row(connection.execute(added).mappings().one())
    return (row, True), [_progress(connection, row, now)]


def _check_alone(connection: sa.Connection, name: str, location: str) -> None:
    live = kept_campaigns.c.status.in_(sorted(LIVE))
    same = (kept_campaigns.c.name == name) & (kept_campaigns.c.location == location)
    if other := connection.scalar(sa.select(kept_campaigns.c.id).where(same, live)):
        message = f"campaign {other} of series {name} is not over, and has the same files"
        raise ConflictError(message, "wait for it, cancel it, or give the series another name")


def get(connection: sa.Connection, campaign_id: str) -> CampaignRow:
    """Return a campaign. Raises ``KeyError`` if there is none of this id."""
    found = connection.execute(sa.select(*_COLUMNS).where(kept_campaigns.c.id == campaign_id)).mappings().first()
    if found is None:
        raise KeyError(campaign_id)
    return _row(found)


def listed(
    connection: sa.Connection,
    *,
    statuses: Collection[CampaignStatus] | None = None,
    user: str | None = None,
    name: str | None = None,
    limit: int | None = None,
    after: CampaignRow | None = None,
) -> list[CampaignRow]:
    """Return campaigns in the order of submission, behind ``after``."""
    query = sa.select(*_COLUMNS).order_by(kept_campaigns.c.seq).limit(limit)
    if statuses is not None:
        query = query.where(kept_campaigns.c.status.in_(sorted(statuses)))
    if user is not None:
        query = query.where(kept_campaigns.c.user == user)
    if name is not None:
        query = query.where(kept_campaigns.c.name == name)
    if after is not None:
        query = query.where(kept_campaigns.c.seq > after.seq)
    return [_row(found) for found in connection.execute(query).mappings()]


def move(
    connection: sa.Connection,
    campaign_id: str,
    now: float,
    allowed: Collection[CampaignStatus],
    status: CampaignStatus | None = None,
    *,
    cancelling: bool = False,
) -> tuple[CampaignRow, list[Event]]:
    """Give a campaign another status, or note that its end is wanted. Raises ``KeyError``, or ``ConflictError``."""
    row = get(connection, campaign_id)
    if row.cancelling or row.status not in allowed:
        what = "being cancelled" if row.cancelling else str(row.status)
        raise ConflictError(
            f"campaign {campaign_id} is {what}", f"that is for one that is {' or '.join(sorted(allowed))}"
        )
    if row.status.over and status is not None and not status.over:
        _check_alone(connection, row.name, row.location)
    values = {"status": status or row.status, "cancelling": cancelling, "updated": now, "message": ""}
    connection.execute(sa.update(kept_campaigns).where(kept_campaigns.c.id == campaign_id).values(values))
    moved = get(connection, campaign_id)
    return moved, [_progress(connection, moved, now)]


def rewrite(connection: sa.Connection, campaign_id: str, document: str, now: float) -> tuple[CampaignRow, list[Event]]:
    """Give a campaign another document. Raises ``KeyError``."""
    get(connection, campaign_id)
    change = sa.update(kept_campaigns).where(kept_campaigns.c.id == campaign_id)
    connection.execute(change.values(document=document, updated=now))
    return get(connection, campaign_id), []


def record(
    connection: sa.Connection,
    seen: CampaignRow,
    now: float,
    *,
    status: CampaignStatus,
    standing: str,
    message: str,
) -> tuple[bool, list[Event]]:
    """Write down how a campaign stands after a tick; False if a person changed it while that was at work."""
    unmoved = (kept_campaigns.c.id == seen.id) & (kept_campaigns.c.updated == seen.updated)
    values = {"status": status, "standing": standing, "message": message, "updated": now}
    if status.over:
        values["cancelling"] = False
    if connection.execute(sa.update(kept_campaigns).where(unmoved).values(values)).rowcount != 1:
        return False, []
    row = get(connection, seen.id)
    events = [_progress(connection, row, now)]
    if status is CampaignStatus.COMPLETE:
        told = {"campaign_id": row.id, "counts": _counts(row)}
        events.append(note(connection, now, "campaign_complete", row.id, told))
    return True, events


def delete(connection: sa.Connection, campaign_id: str) -> CampaignRow:
    """Forget a campaign that is over, with its events; its files stay. Raises ``KeyError``, or ``ConflictError``."""
    row = get(connection, campaign_id)
    if not row.status.over:
        raise ConflictError(f"campaign {campaign_id} is {row.status}, so it cannot be deleted", "cancel it first")
    connection.execute(sa.delete(kept_campaigns).where(kept_campaigns.c.id == campaign_id))
    connection.execute(sa.delete(queue_events).where(queue_events.c.job_id == campaign_id))
    return row


def _progress(connection: sa.Connection, row: CampaignRow, now: float) -> Event:
    told = {"campaign_id": row.id, "status": str(row.status), "counts": _counts(row)}
    return note(connection, now, "campaign_progress", row.id, told)


def _counts(row: CampaignRow) -> dict[str, int]:
    return dict(json.loads(row.standing)["counts"])
