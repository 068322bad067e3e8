"""Planning: what exists, what is in flight, and what is therefore to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simcampaign import manifest as manifests
from simcampaign.costs import Estimate, estimate
from simcampaign.engine.budget import Held, hold_back
from simcampaign.engine.campaign import Campaign
from simcampaign.engine.collect import uncollected
from simcampaign.engine.known import Row, known_runs
from simcampaign.engine.listing import load_manifest, refresh_manifest, save_manifest
from simcampaign.engine.rendering import Renderer, render_digests
from simcampaign.engine.retries import run_mask
from simcampaign.engine.staging import fetch, unfetched_runs
from simcampaign.ledger import ledger_exists
from simcampaign.plan import Known, Plan, make_plan, selection
from simcampaign.runs import RunState


@dataclass(frozen=True)
class Prepared:
    """A plan with the digest of every input, and what it was made from."""

    plan: Plan
    manifest: pl.DataFrame
    version: int
    """The campaign's version in the ledger when it was read."""

    first: bool
    """True if there was neither a manifest nor a file nor an earlier job: the first campaign."""

    held: Held
    """What the budget holds back; it is not in the plan's groups."""


def prepare(campaign: Campaign, *, save: bool = True, selected: NDArray[np.bool_] | None = None) -> Prepared:
    """Plan the campaign and render every input once.

    The ledger is read before the files are listed: a run that ends in between still counts as in flight, and one that
    is submitted in between moves the version that the claim asks for. What ended jobs wrote on a host that does not
    share our files is fetched in between. With ``save`` false nothing is written, neither
    a manifest nor a ledger. ``selected``, of shape ``(conditions, seeds)``, limits what is to be submitted further than
    the settings do. Raises ``TemplateError`` for the first input that does not render.
    """
    campaign_id = campaign.id if save else campaign.recorded_id
    version, rows = _ledger_rows(campaign, campaign_id)
    if save:
        fetch(campaign, uncollected(campaign))
    refresh = campaign.settings.update_manifest
    key = campaign.series.manifest_key
    manifest = refresh_manifest(campaign) if refresh else load_manifest(campaign.manifest, key)
    if manifest is not None and refresh and save:
        save_manifest(campaign.manifest, key, manifest)
    first = not rows and (manifest is None or not manifest.height)
    plan = make_plan(
        campaign.series,
        manifests.empty() if manifest is None else manifest,
        _known(campaign, campaign_id, rows, fetched=save),
        seeds_per_job=campaign.settings.seeds_per_job,
        refreshed=refresh,
        rerun_stale=campaign.settings.rerun_stale,
        selected=_selected(campaign, selected),
    )
    plan, held = _within_budget(campaign, plan)
    plan = replace(plan, digests=render_digests(campaign, plan))
    return Prepared(plan, manifests.empty() if manifest is None else manifest, version, first, held)


def _known(campaign: Campaign, campaign_id: int | None, rows: Sequence[Row], *, fetched: bool) -> Known:
    """Return what the ledger knows; ``fetched`` if what ended jobs of this site wrote is here."""
    known = known_runs(rows, campaign.series, _stale_test(campaign))
    if campaign_id is not None:
        known.unfetched[:] = run_mask(campaign, unfetched_runs(campaign, campaign_id, of_others=fetched))
    return known


def _within_budget(campaign: Campaign, plan: Plan) -> tuple[Plan, Held]:
    """Hold back what could cost more than is left; runs in flight count as if they were done."""
    settings, campaign_id = campaign.settings, campaign.recorded_id
    if settings.budget is None:
        return plan, Held()
    price = campaign.site.price_per_hour(settings.resources)
    seconds = estimate_plan(campaign, plan).seconds_per_run
    used = 0.0 if campaign_id is None else campaign.ledger.usage(campaign_id).cost
    in_flight = plan.counts.get(RunState.IN_FLIGHT.label, 0) * (seconds or 0.0) * price / 3600
    limit = campaign.site.capabilities.max_array_size
    return hold_back(plan, price, seconds, used + in_flight, settings.budget, limit)


def _selected(campaign: Campaign, selected: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    if not campaign.settings.only:
        return selected
    named = selection(campaign.series, campaign.settings.only)
    return named if selected is None else named & selected


def _ledger_rows(campaign: Campaign, campaign_id: int | None) -> tuple[int, list[Row]]:
    if campaign_id is None:
        return 0, []
    return campaign.ledger.version(campaign_id), campaign.ledger.runs(campaign_id)


def _stale_test(campaign: Campaign) -> Callable[[Row], bool]:
    renderer = Renderer(campaign)

    def is_stale(row: Row) -> bool:
        key, start, _, _, fingerprint, rendering = row
        if renderer.fingerprints[key] == fingerprint:
            return False
        group = campaign.series.group_of(campaign.conditions[key])
        return group is not None and renderer.rendering(group, key, start) != rendering

    return is_stale


def estimate_plan(campaign: Campaign, plan: Plan) -> Estimate:
    """Estimate what the runs to do will take, from earlier runs of the model or from what was declared."""
    measured = None
    if ledger_exists(campaign.ledger_url):
        measured = campaign.ledger.seconds_per_run(campaign.settings.model)
    return estimate(
        plan.runs_to_do,
        campaign.settings.resources.cpus,
        campaign.site.price_per_hour(campaign.settings.resources),
        measured,
        campaign.settings.seconds_per_run,
    )
