"""The plan as a document: saved, reviewed, and applied only if nothing moved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.planning import Prepared, estimate_plan
from simcampaign.errors import ConfigError, ConflictError, Problem
from simcampaign.plan import digest_of
from simcampaign.runs import RunState

FORMAT = "simcampaign plan 1"

_MOVED = {
    "configuration": "the configuration (context, series or parameters)",
    "template": "the template",
    "manifest": "the manifest: files of the series came or went",
    "in_flight": "the jobs in flight",
    "inputs": "the rendered inputs",
}


def plan_document(campaign: Campaign, prepared: Prepared) -> dict[str, Any]:
    """Return the plan as JSON data: what was reviewed, counts, the reason of every run, jobs and input digests."""
    plan = prepared.plan
    keys = campaign.condition_keys
    reviewed = _reviewed(campaign, prepared)
    figures = estimate_plan(campaign, plan)
    return {
        "format": FORMAT,
        "digest": digest_of(*reviewed.values()),
        "series": campaign.series.name,
        "working_location": campaign.working.url(),
        "site": campaign.site.name,
        "date": campaign.layout.date,
        "reviewed": reviewed,
        "counts": plan.counts,
        "estimate": {"core_hours": figures.core_hours, "basis": figures.basis, "cost": figures.cost},
        "runs": plan.reasons(),
        "jobs": [
            {
                "group": group,
                "input": index,
                "runs": [[each.condition_key, each.start_seed, each.end_seed] for each in ranges],
                "digest": plan.digests[group][index],
            }
            for group, packing in plan.groups.items()
            for index, ranges in enumerate(packing.inputs(keys))
        ],
    }


def _reviewed(campaign: Campaign, prepared: Prepared) -> dict[str, str]:
    plan, series = prepared.plan, campaign.series
    shape = json.dumps([series.name, list(map(dict, series.conditions)), list(series.seeds)], default=str)
    rest = json.dumps([list(series.extensions), dict(series.groups), list(map(str, series.inits))])
    settings = campaign.settings
    return {
        "configuration": digest_of(shape, rest, str(settings), campaign.working.url(), campaign.site.name),
        "template": campaign.template.digest,
        "manifest": digest_of(np.packbits(plan.present).tobytes()),
        "in_flight": digest_of(np.packbits(plan.codes == RunState.IN_FLIGHT).tobytes()),
        "inputs": digest_of(*(each for digests in plan.digests.values() for each in digests)),
    }


def save_document(campaign: Campaign, prepared: Prepared) -> None:
    """Save the plan that is being applied in the dated location."""
    document = json.dumps(plan_document(campaign, prepared), indent=1)
    campaign.working.write(campaign.layout.plan, f"{document}\n".encode())


def check_document(document: Mapping[str, Any], campaign: Campaign, prepared: Prepared) -> None:
    """Raise ``ConflictError``, naming what moved, if the plan now is not the one that was reviewed."""
    now = _reviewed(campaign, prepared)
    moved = [text for field, text in _MOVED.items() if document["reviewed"].get(field) != now[field]]
    if moved:
        listed = "\n".join(f"  - {each}" for each in moved)
        message = f"the plan of series {campaign.series.name} is no longer the one that was reviewed; moved:\n{listed}"
        raise ConflictError(message, "review it again: repeat the command with --plan FILE in place of --apply FILE")


def read_document(text: str, source: str) -> dict[str, Any]:
    """Read a saved plan. Raises ``ConfigError`` if it is none."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        problem = Problem("--apply", source, f"is no JSON: {error}", "save a plan with --plan FILE")
        raise ConfigError([problem]) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT or "reviewed" not in document:
        raise ConfigError([Problem("--apply", source, f"is no {FORMAT}", "save a plan with --plan FILE")])
    return document
