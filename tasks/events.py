"""Events about campaigns, for Prefect's automations.

``campaign.submitted``, ``campaign.progressed``, ``campaign.failed`` and ``campaign.complete``, of the resource
``simcampaign.campaign.NAME``; see docs/prefect.md.
"""

from __future__ import annotations

from typing import Any

from prefect.events import emit_event

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.tick import Tick

RESOURCE = "simcampaign.campaign."
"""What the id of a campaign's resource begins with; the name of the series follows."""


def tell(campaign: Campaign, done: Tick) -> list[str]:
    """Emit what happened in a tick; returns the names of the events."""
    names = [name for name, happened in _happened(done).items() if happened]
    series, location = campaign.series.name, campaign.working.url()
    resource = {
        "prefect.resource.id": f"{RESOURCE}{series}",
        "prefect.resource.name": series,
        "simcampaign.location": location,
        "simcampaign.site": campaign.site.name,
    }
    for name in names:
        emit_event(event=name, resource=resource, payload=_payload(done))
    return names


def _happened(done: Tick) -> dict[str, bool]:
    return {
        "campaign.submitted": bool(done.submitted),
        "campaign.progressed": bool(done.ended),
        "campaign.failed": bool(done.failed),
        "campaign.complete": done.complete and bool(done.summary),
    }


def _payload(done: Tick) -> dict[str, Any]:
    return {
        "counts": done.counts,
        "submitted": done.submitted,
        "ended": done.ended,
        "failed": done.failed,
        "active": done.active,
        "cost": done.cost.so_far if done.cost else None,
        "summary": done.summary,
        "failures": [f"{each.run}: {each.cause}. {each.message}".strip() for each in done.failures],
    }
