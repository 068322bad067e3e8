"""How a campaign stands: what is kept of its last tick, and what clients are shown of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from simcampaign.ledger.campaignbook import CampaignRow, CampaignStatus
from simcampaign.service.wire import moment, printable

if TYPE_CHECKING:  # half a second of imports that a service without campaigns does not need
    from simcampaign.engine.campaign import Campaign
    from simcampaign.engine.tick import Tick


def at_first(campaign: Campaign) -> str:
    """Return what is kept of a campaign before its first tick, as JSON."""
    empty = {"runs": campaign.series.size, "counts": {}, "jobs": {}, "cost": None, "seconds_left": None}
    return json.dumps({**empty, "summary": None, "failures": []})


def after(tick: Tick, campaign: Campaign, before: str) -> str:
    """Return what is kept of a tick, as JSON."""
    jobs: Counter[str] = Counter()
    for states in campaign.ledger.job_counts(array.id for array in campaign.ledger.arrays(campaign.id)).values():
        jobs.update({str(state): count for state, count in states.items()})
    cost = None
    if tick.cost is not None:
        # What the currency is, only the owner of the prices knows.
        cost = {**asdict(tick.cost), "currency": None}
    standing = {
        "runs": campaign.series.size,
        "counts": tick.counts,
        "jobs": dict(jobs),
        "cost": cost,
        "seconds_left": None if tick.seconds_left is None else round(tick.seconds_left, 1),
        "summary": tick.summary or json.loads(before)["summary"],
        "failures": [{**asdict(each), "log_tail": printable(each.log_tail)} for each in tick.failures],
    }
    return json.dumps(standing)


def shown(row: CampaignRow) -> dict[str, Any]:
    """Return a campaign as clients see it."""
    message = row.message
    if row.cancelling and not message:
        message = "its jobs are being ended"
    standing = json.loads(row.standing)
    if row.status is not CampaignStatus.RUNNING:
        standing["seconds_left"] = None
    return {
        "id": row.id,
        "name": row.name,
        "user": row.user,
        "kind": row.kind,
        "status": str(row.status),
        "created": moment(row.created),
        "updated": moment(row.updated),
        **standing,
        "cancelling": row.cancelling,
        "message": message,
    }
