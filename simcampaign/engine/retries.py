"""Trying again: failed runs of one cause are packed into new arrays, with what that cause calls for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simcampaign.engine.campaign import Campaign
from simcampaign.jobs import Cause, Resources, RunRange
from simcampaign.retry import next_resources


def again(campaign: Campaign, given: Mapping[int, Resources]) -> list[tuple[Campaign, NDArray[np.bool_]]]:
    """Return what is to be tried again of arrays that are over: a campaign with new resources and its runs, per cause.

    Parameters
    ----------
    campaign
        The campaign, with the limits that resources may grow to.
    given
        The arrays of the last round by their ids in the ledger, and what their jobs were given.

    Jobs that were cancelled, and causes that another try does not mend, are left out.
    """
    ranges: dict[tuple[Cause, Resources], list[RunRange]] = {}
    for failure in campaign.ledger.failures(campaign.id, list(given), limit=None):
        if failure.cause is not None:
            ranges.setdefault((failure.cause, given[failure.array_id]), []).extend(failure.ranges)
    found = []
    for (cause, resources), runs in ranges.items():
        more = next_resources(resources, cause, campaign.settings.limits)
        if more is not None:
            settings = replace(campaign.settings, resources=more)
            found.append((replace(campaign, settings=settings), run_mask(campaign, runs)))
    return found


def run_mask(campaign: Campaign, ranges: Sequence[RunRange]) -> NDArray[np.bool_]:
    """Return which runs of the series are in these ranges; shape ``(conditions, seeds)``."""
    rows = {key: row for row, key in enumerate(campaign.condition_keys)}
    seeds = np.asarray(campaign.series.seeds, dtype=np.int64)
    mask = np.zeros((len(rows), len(seeds)), dtype=bool)
    for each in ranges:
        if each.condition_key in rows:
            mask[rows[each.condition_key]] |= (seeds >= each.start_seed) & (seeds <= each.end_seed)
    return mask
