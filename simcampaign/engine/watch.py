"""Watching: one look for all arrays, short after submission, longer as time goes by."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.pace import REST, SHORTEST_INTERVAL, SLICE
from simcampaign.engine.reconcile import look
from simcampaign.errors import NetworkError, SiteError
from simcampaign.jobs import JobState
from simcampaign.ledger import ArrayRow

logger = logging.getLogger("simcampaign")

GROWTH = 1.5
"""Factor by which the interval grows while nothing changes."""

TERMINATE_SECONDS = 120.0
"""How long to wait for jobs that were told to end."""


class WatchEnd(StrEnum):
    """Why a watch ended."""

    ENDED = "every job has ended"
    TIME_UP = "the time to watch is up"
    STOPPED = "the watch was stopped"


@dataclass(frozen=True)
class Progress:
    """Jobs per state, per group."""

    groups: Mapping[str, Mapping[JobState, int]]

    @property
    def active(self) -> int:
        """Number of jobs that have not ended."""
        return sum(count for states in self.groups.values() for state, count in states.items() if state.active)

    @property
    def total(self) -> int:
        """Number of jobs."""
        return sum(sum(states.values()) for states in self.groups.values())


def progress_of(campaign: Campaign, arrays: Sequence[ArrayRow]) -> Progress:
    """Return where the jobs of these arrays are, from the ledger."""
    counts = campaign.ledger.job_counts(array.id for array in arrays)
    groups: dict[str, Counter[JobState]] = {}
    for array in arrays:
        groups.setdefault(array.group, Counter()).update(counts[array.id])
    return Progress(groups)


class Looks:
    """Looks at a site that may fail; a failure is logged once until the next look succeeds."""

    def __init__(self, site: str) -> None:
        self._site = site
        self.failing = False
        """Whether the last look failed."""

    def find(self, look: Callable[[], object]) -> bool:
        """Tell whether a look found anything; what fails finds nothing."""
        try:
            found = look()
        except (SiteError, NetworkError) as error:
            if not self.failing:
                logger.warning("A look at site %s failed; states stay as they were. %s", self._site, error)
            self.failing = True
            return False
        self.failing = False
        return bool(found)


def watch(
    campaign: Campaign,
    arrays: Sequence[ArrayRow],
    on_progress: Callable[[Progress], None],
    stop: Callable[[], bool],
    seconds: float | None = None,
) -> WatchEnd:
    """Watch arrays until every job has ended, the time is up, or ``stop()`` is true.

    The time is ``seconds``, by default ``retries`` × ``retry_delay`` of the settings.

    A look that fails changes nothing; it is logged once until the next one succeeds.
    """
    ids = {array.id for array in arrays}
    end = time.monotonic() + (campaign.settings.watch_seconds if seconds is None else seconds)
    interval, looks = SHORTEST_INTERVAL, Looks(campaign.site.name)
    while True:
        mine = [array for array in campaign.ledger.arrays(campaign.id, open_only=True) if array.id in ids]
        changed = looks.find(lambda: look(campaign, mine))  # noqa: B023 - called at once
        progress = progress_of(campaign, arrays)
        on_progress(progress)
        if not progress.active:
            return WatchEnd.ENDED
        if time.monotonic() >= end:
            return WatchEnd.TIME_UP
        interval = SHORTEST_INTERVAL if changed else min(interval * GROWTH, campaign.settings.retry_delay)
        # A site whose look failed has news that it cannot tell: waiting for news would not wait at all.
        awaited = [] if looks.failing else mine
        if pause(campaign, awaited, min(interval, end - time.monotonic()), stop):
            return WatchEnd.STOPPED


def pause(campaign: Campaign, arrays: Sequence[ArrayRow], seconds: float, stop: Callable[[], bool]) -> bool:
    """Wait for news of arrays or for the interval to pass; returns True as soon as somebody asked to stop."""
    remote_ids = [array.remote_id for array in arrays if array.remote_id and array.site == campaign.site.name]
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if stop():
            return True
        before = time.monotonic()
        campaign.site.wait(remote_ids, min(left, SLICE))
        if time.monotonic() - before < min(left, SLICE) * 0.9:
            time.sleep(min(left, REST))
            break
    return stop()


def cancel(campaign: Campaign, arrays: Sequence[ArrayRow]) -> None:
    """Tell the site to end what has not ended in these arrays, one call an array.

    An array that the site does not have yet, or that another site has, is left alone.
    """
    ids = {array.id for array in arrays}
    for array in campaign.ledger.arrays(campaign.id, open_only=True):
        if array.id in ids and array.remote_id and array.site == campaign.site.name:
            campaign.site.cancel(array.remote_id)


def terminate(campaign: Campaign, arrays: Sequence[ArrayRow], on_progress: Callable[[Progress], None]) -> WatchEnd:
    """End what has not ended in these arrays and watch until it is so."""
    cancel(campaign, arrays)
    return watch(campaign, arrays, on_progress, lambda: False, TERMINATE_SECONDS)
