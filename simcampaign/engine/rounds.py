"""Rounds of a campaign run: submit what is missing, watch it, and again, until nothing is left to try."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.collect import uncollected
from simcampaign.engine.pace import SHORTEST_INTERVAL
from simcampaign.engine.planning import Prepared
from simcampaign.engine.reconcile import reconcile
from simcampaign.engine.steps import PLAIN, Steps, accept, submit_missing
from simcampaign.engine.watch import Looks, WatchEnd, pause
from simcampaign.ledger import ArrayRow, ArrayState

logger = logging.getLogger("simcampaign")


def run_rounds(
    campaign: Campaign,
    watch: Callable[[Sequence[ArrayRow]], WatchEnd],
    stop: Callable[[], bool],
    steps: Steps = PLAIN,
    check: Callable[[Prepared], None] = accept,
) -> tuple[int, WatchEnd]:
    """Submit what is to do and watch it, then what failed, as its cause calls for, until nothing is to be tried again.

    What other campaign runs have claimed is watched too, once they have submitted it. ``check`` is called with the
    first plan before it is claimed, and raises to stop. Returns how many jobs were submitted and how the last watch
    ended.
    """
    # A person who starts a campaign run wants everything to be tried, however often it was tried before.
    campaign = campaign.but(tried_since=campaign.ledger.last_array(campaign.id))
    submitted = submit_missing(campaign, steps, check).jobs
    while True:
        arrays = uncollected(campaign)
        end = watch(arrays)
        awaited = end is WatchEnd.ENDED and bool(_claimed_by_others(campaign))
        if awaited:
            end = _await_others(campaign, stop)
        if end is not WatchEnd.ENDED:
            return submitted, end
        if awaited or _failed(campaign, arrays):
            again = submit_missing(campaign, steps).jobs
            if again:
                logger.info("Trying again what failed or was given up: %d jobs.", again)
            submitted += again
        watched = {array.id for array in arrays}
        if all(array.id in watched for array in uncollected(campaign)):
            return submitted, end


def _failed(campaign: Campaign, arrays: Sequence[ArrayRow]) -> bool:
    """Tell whether something failed that may be tried again."""
    if campaign.settings.limits.attempts == 1:
        return False
    return bool(campaign.ledger.failures(campaign.id, [array.id for array in arrays], limit=1))


def _claimed_by_others(campaign: Campaign) -> list[ArrayRow]:
    """Return what other campaign runs have claimed and not submitted yet."""
    return [
        array
        for array in campaign.ledger.arrays(campaign.id, open_only=True)
        if array.state is ArrayState.INTENT and array.site == campaign.site.name and array.owner != campaign.owner
    ]


def _await_others(campaign: Campaign, stop: Callable[[], bool]) -> WatchEnd:
    """Wait until others have submitted what they claimed, or are gone and it is free again."""
    logger.info("Another campaign run is submitting jobs of series %s; waiting for it.", campaign.series.name)
    end = time.monotonic() + campaign.settings.watch_seconds
    looks = Looks(campaign.site.name)
    while True:
        looks.find(lambda: reconcile(campaign))
        if not _claimed_by_others(campaign):
            return WatchEnd.ENDED
        if time.monotonic() >= end:
            return WatchEnd.TIME_UP
        if pause(campaign, [], SHORTEST_INTERVAL, stop):
            return WatchEnd.STOPPED
