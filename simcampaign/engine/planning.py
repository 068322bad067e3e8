"""Planning: what exists, what is in flight, and what is therefore to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simcampaign import manifest as manifests
from simcampaign.costs import Estimate, estimate
from simcampaign.engine.budget import Held, hold_back
from simcampaign.engine.campaign import Campaign
from simcampaign.engine.collect import uncollected
from simcampaign.engine.known import known_runs
from simcampaign.engine.listing import load_manifest, refresh_manifest, save_manifest
from simcampaign.engine.rendering import Renderer, render_digests
from simcampaign.engine.staging import fetch, unfetched_runs
from simcampaign.engine.tries import count_tries
from simcampaign.jobs import Resources, RunRange
from simcampaign.ledger import RunRow, ledger_exists
from simcampaign.plan import Known, Plan, make_plan, selection
from simcampaign.runs import TO_DO, RunState


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

    moved: bool
    """True if files of the series came or went since the manifest was saved the last time."""

    again: Sequence[tuple[Campaign, NDArray[np.bool_]]] = ()
    """What is to be tried again with other resources, and is not in the plan's groups: a campaign that gives them, and
    its runs, of shape ``(conditions, seeds)``."""


def prepare(campaign: Campaign, *, save: bool = True, selected: NDArray[np.bool_] | None = None) -> Prepared:
    """Plan the campaign and render every input once.

    The ledger is read before the files are listed: a run that ends in between still counts as in flight, and one that
    is submitted in between moves the version that the claim asks for. What ended jobs wrote on a host that does not
    share our files is fetched in between. With ``save`` false nothing is written, neither
    a manifest nor a ledger.

    Where tries count (``campaign.tried_since``) only runs are submitted that were not tried too often; with
    ``selected``, of shape ``(conditions, seeds)``, exactly those are, as far as they are to do.

    Raises ``TemplateError`` for the first input that does not render.
    """
    campaign_id = campaign.id if save else campaign.recorded_id
    version, rows = _ledger_rows(campaign, campaign_id)
    if save:
        fetch(campaign, uncollected(campaign))
    refresh = campaign.settings.update_manifest
    key = campaign.series.manifest_key
    manifest, moved = load_manifest(campaign.manifest, key), False
    if refresh:
        manifest, moved = refresh_manifest(campaign.series, campaign.working, campaign.manifest)
    if manifest is not None and moved and save:
        save_manifest(campaign.manifest, key, manifest)
    first = not rows and (manifest is None or not manifest.height)
    stale, chosen = _stale_test(campaign), _selected(campaign, selected)
    next_tries = _next_tries(campaign, rows, stale) if selected is None else {}
    known = _known(campaign, campaign_id, known_runs(rows, campaign.series, stale), fetched=save)
    make = partial(
        make_plan,
        campaign.series,
        manifests.empty() if manifest is None else manifest,
        known,
        seeds_per_job=campaign.settings.seeds_per_job,
        refreshed=refresh,
        rerun_stale=campaign.settings.rerun_stale,
        selected=chosen,
        barred=~next_tries[campaign.settings.resources] if next_tries else None,
    )
    plan = make()
    if campaign.series.after:
        known.waiting[:] = _waiting(campaign, plan)
        plan = make()
    again = list(_again(campaign, plan, next_tries))
    plan, held = _within_budget(campaign, plan)
    plan = replace(plan, digests=render_digests(campaign, plan))
    return Prepared(plan, manifests.empty() if manifest is None else manifest, version, first, held, moved, again)


def _waiting(campaign: Campaign, plan: Plan) -> NDArray[np.bool_]:
    """Return which of the runs to be submitted take files of other series that are not there, in the plan's shape."""
    if campaign.awaited:
        return np.ones(plan.codes.shape, dtype=bool)
    renderer, column = Renderer(campaign), {seed: column for column, seed in enumerate(campaign.series.seeds)}
    waiting = np.zeros(plan.codes.shape, dtype=bool)
    for group, packing in plan.groups.items():
        ranges = zip(packing.condition.tolist(), packing.start.tolist(), packing.end.tolist(), strict=True)
        for row, start, end in ranges:
            for seed in range(start, end + 1):
                waiting[row, column[seed]] = bool(renderer.lacks(group, campaign.condition_keys[row], seed))
    return waiting


def _next_tries(
    campaign: Campaign, rows: Sequence[RunRow], stale: Callable[[RunRow], bool]
) -> dict[Resources | None, NDArray[np.bool_]]:
    """Return which runs are given what at their next try; nothing if every run may be tried as it is."""
    if campaign.tried_since is None:
        return {}
    settings = campaign.settings
    return count_tries(rows, campaign.series, campaign.tried_since, stale).next(settings.resources, settings.limits)


def _again(
    campaign: Campaign, plan: Plan, next_tries: Mapping[Resources | None, NDArray[np.bool_]]
) -> Iterator[tuple[Campaign, NDArray[np.bool_]]]:
    to_do = np.isin(plan.codes, TO_DO)
    if plan.selected is not None:
        to_do &= plan.selected
    for resources, runs in next_tries.items():
        if resources not in (None, campaign.settings.resources) and (runs & to_do).any():
            yield campaign.but(settings=replace(campaign.settings, resources=resources)), runs & to_do


def _known(campaign: Campaign, campaign_id: int | None, known: Known, *, fetched: bool) -> Known:
    """Return what the ledger knows; ``fetched`` if what ended jobs of this site wrote is here."""
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


def _ledger_rows(campaign: Campaign, campaign_id: int | None) -> tuple[int, list[RunRow]]:
    if campaign_id is None:
        return 0, []
    return campaign.ledger.version(campaign_id), campaign.ledger.runs(campaign_id)


def _stale_test(campaign: Campaign) -> Callable[[RunRow], bool]:
    renderer = Renderer(campaign)

    def is_stale(row: RunRow) -> bool:
        key, start, _, _, fingerprint, rendering = row[:6]
        if key not in campaign.conditions or renderer.fingerprints[key] == fingerprint:
            return False
        group = campaign.series.group_of(campaign.conditions[key])
        return group is not None and renderer.rendering(group, key, start) != rendering

    return is_stale


def run_mask(campaign: Campaign, ranges: Sequence[RunRange]) -> NDArray[np.bool_]:
    """Return which runs of the series are in these ranges; shape ``(conditions, seeds)``."""
    rows = {key: row for row, key in enumerate(campaign.condition_keys)}
    seeds = np.asarray(campaign.series.seeds, dtype=np.int64)
    mask = np.zeros((len(rows), len(seeds)), dtype=bool)
    for each in ranges:
        if each.condition_key in rows:
            mask[rows[each.condition_key]] |= (seeds >= each.start_seed) & (seeds <= each.end_seed)
    return mask


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
