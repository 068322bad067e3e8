"""The keeper: it ticks the campaigns of a service, each at its own pace, until they are over."""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from simcampaign.errors import ConfigError, SimcampaignError, TemplateError
from simcampaign.jobs import JobState
from simcampaign.layout import Layout
from simcampaign.ledger import campaignbook
from simcampaign.ledger.campaignbook import LIVE, CampaignRow, CampaignStatus
from simcampaign.service.campaigns import standing
from simcampaign.service.campaigns.contexts import Contexts, Wanted
from simcampaign.service.core.book import Book
from simcampaign.sites.local import LocalSite

if TYPE_CHECKING:  # half a second of imports that a service without campaigns does not need
    from simcampaign.engine.campaign import Campaign
    from simcampaign.engine.heatmap import HeatMap
    from simcampaign.engine.tick import Tick

logger = logging.getLogger("simcampaign")

WORKERS = 4
"""Campaigns that are ticked at the same time: a slow one holds no other up, unless as many are slow."""

SHORTEST_SECONDS = 0.5
"""Until the next tick after one that had news."""

LONGEST_SECONDS = 30.0
LONGEST_SECONDS_HERE = 5.0
"""Between two ticks while nothing changes; shorter where looking costs nobody else anything."""

GROWTH = 1.6
REST = 4.0
"""A tick that took a second is followed by a rest of this many."""

STOP_SECONDS = 10.0
"""How long ticks that are at work are waited for at the end."""


@dataclass
class _Kept:
    """A campaign that is kept going."""

    campaign: Campaign | None = None
    interval: float = SHORTEST_SECONDS
    due: float = 0.0
    busy: bool = False
    outdated: bool = False
    tick: Tick | None = None
    map: HeatMap | None = None
    running_here: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Keeper:
    """Keeps campaigns going. What they need to know after a restart is in the ledger."""

    def __init__(
        self, book: Book, contexts: Contexts, slots_here: Callable[[int], int], short: Callable[[], str]
    ) -> None:
        """Describe the work.

        ``slots_here`` says how many slots of this host campaigns may take, given how many each job takes; ``short``
        says why nothing may be started here just now.
        """
        self._book = book
        self._contexts = contexts
        self._slots_here = slots_here
        self._short = short
        self._kept: dict[str, _Kept] = {}
        self._due: list[tuple[float, int, str]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._maps: dict[str, tuple[float, HeatMap]] = {}
        self._threads = [
            threading.Thread(target=self._run, name=f"campaigns {number}", daemon=True) for number in range(WORKERS)
        ]

    # Life

    def start(self) -> None:
        """Take up the campaigns that are not over."""
        for row in self._book.read(lambda connection: campaignbook.listed(connection, statuses=LIVE)):
            self.poke(row.id)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Tick no more; jobs go on."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        end = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, end - time.monotonic()))

    def poke(self, campaign_id: str) -> None:
        """Tick a campaign soon: it is new, or a person changed it."""
        with self._changed:
            kept = self._kept.setdefault(campaign_id, _Kept())
            kept.interval = SHORTEST_SECONDS
            self._line_up(campaign_id, kept, 0.0)

    def reopen(self, campaign_id: str) -> None:
        """Put a campaign together anew before it is ticked: its document was changed."""
        with self._changed:
            kept = self._kept.get(campaign_id)
            if kept is None:
                return
            kept.outdated = True
        self.poke(campaign_id)

    @property
    def is_busy(self) -> bool:
        """Whether a campaign goes on; those that are paused wait for a person."""
        going = frozenset({CampaignStatus.RUNNING})
        return bool(self._book.read(lambda connection: campaignbook.listed(connection, statuses=going)))

    @property
    def running_here(self) -> int:
        """Jobs of campaigns that run on this host, as far as is known."""
        with self._changed:
            return sum(kept.running_here for kept in self._kept.values())

    def open(self, row: CampaignRow) -> Campaign:
        """Put a campaign together as it is kept; its date is that of its creation."""
        wanted = Wanted(row.kind, json.loads(row.document), row.user)
        campaign = self._contexts.open(wanted)
        date = datetime.fromtimestamp(row.created, UTC).date().isoformat()
        return campaign.but(layout=Layout(campaign.series.name, date)).using(self._book.ledger)

    def heat_map(self, row: CampaignRow) -> HeatMap:
        """Return where every run of a campaign is, as of its last tick."""
        from simcampaign.engine.heatmap import heat_map  # noqa: PLC0415 - see above
        from simcampaign.engine.planning import prepare  # noqa: PLC0415 - see above

        with self._changed:
            kept = self._kept.get(row.id)
        if kept is not None and kept.tick is not None and kept.campaign is not None:
            with kept.lock:
                if kept.map is None:
                    kept.map = heat_map(kept.campaign, kept.tick.plan)
                return kept.map
        seen = self._maps.get(row.id)
        if seen is None or seen[0] != row.updated:
            campaign = self.open(row)
            seen = row.updated, heat_map(campaign, prepare(campaign, save=False).plan)
            self._maps = {**dict(list(self._maps.items())[-7:]), row.id: seen}
        return seen[1]

    # The work

    def _line_up(self, campaign_id: str, kept: _Kept, seconds: float) -> None:
        kept.due = time.monotonic() + seconds
        heapq.heappush(self._due, (kept.due, next(self._numbers), campaign_id))
        self._changed.notify()

    def _next(self) -> tuple[str, _Kept] | None:
        """Wait for a campaign whose turn it is; None at the end."""
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    due, _, campaign_id = heapq.heappop(self._due)
                    kept = self._kept.get(campaign_id)
                    if kept is None or kept.busy or kept.due != due:
                        continue  # it is over or at work, or was lined up anew
                    kept.busy = True
                    return campaign_id, kept
                self._changed.wait(self._due[0][0] - now if self._due else None)
        return None

    def _run(self) -> None:
        while (found := self._next()) is not None:
            campaign_id, kept = found
            began, lined_up = time.monotonic(), kept.due
            try:
                going_on = self._step(campaign_id, kept)
            except Exception:
                logger.exception("The keeper stumbled over campaign %s; it goes on", campaign_id)
                kept.interval, going_on = LONGEST_SECONDS, True
            with self._changed:
                kept.busy = False
                if kept.due != lined_up:  # a person changed it meanwhile
                    self._line_up(campaign_id, kept, 0.0)
                elif going_on:
                    self._line_up(campaign_id, kept, max(kept.interval, REST * (time.monotonic() - began)))
                else:
                    del self._kept[campaign_id]

    def _step(self, campaign_id: str, kept: _Kept) -> bool:
        """Tick a campaign; returns whether it goes on."""
        try:
            row = self._book.read(lambda connection: campaignbook.get(connection, campaign_id))
        except KeyError:
            return False
        if row.status.over:
            return False
        try:
            return self._tick(row, kept)
        except SimcampaignError as error:
            return self._failed(row, kept, error)

    def _tick(self, row: CampaignRow, kept: _Kept) -> bool:
        from simcampaign.engine.tick import tick  # noqa: PLC0415 - see above
        from simcampaign.engine.watch import cancel  # noqa: PLC0415 - see above

        if kept.outdated:
            kept.outdated, kept.campaign = False, None
        campaign = kept.campaign = self._here(kept.campaign or self.open(row))
        is_here = isinstance(campaign.site, LocalSite)
        if row.cancelling:
            cancel(campaign, campaign.ledger.arrays(campaign.id, open_only=True))
        short = self._short() if is_here else ""
        submitting = row.status is CampaignStatus.RUNNING and not row.cancelling and not short
        done = tick(campaign, submitting=submitting)
        with kept.lock:
            news = kept.tick is None or done.submitted or done.ended or done.jobs != kept.tick.jobs
            kept.tick, kept.map = done, None
        kept.running_here = done.jobs.get(JobState.RUNNING, 0) if is_here else 0
        longest = LONGEST_SECONDS_HERE if is_here else LONGEST_SECONDS
        kept.interval = SHORTEST_SECONDS if news else min(kept.interval * GROWTH, longest)
        status = _status(row, done)
        message = str(done.held) or (f"nothing is submitted: {short}" if short and not done.settled else "")
        self._record(row, status, standing.after(done, campaign, row.standing), message)
        return not status.over

    def _here(self, campaign: Campaign) -> Campaign:
        """Return the campaign with no more places on this host than campaigns may take."""
        site = campaign.site
        if not isinstance(site, LocalSite):
            return campaign
        slots = min(site.slots or 1, self._slots_here(math.ceil(campaign.settings.resources.cores)))
        if slots == site.slots:
            return campaign
        return campaign.but(
            site=LocalSite(
                root=site.root,
                name=site.name,
                slots=slots,
                grace_seconds=site.grace_seconds,
                price_per_core_hour=site.price_per_core_hour,
            )
        )

    def _failed(self, row: CampaignRow, kept: _Kept, error: SimcampaignError) -> bool:
        """Write down why a tick failed. What no tick can mend ends the campaign, once no job of it is in flight."""
        campaign_id = self._book.ledger.find_campaign(row.name, row.location)
        in_flight = campaign_id is not None and self._book.ledger.arrays(campaign_id, open_only=True)
        over = isinstance(error, (ConfigError, TemplateError)) and not in_flight
        status = row.status
        if over:
            status = CampaignStatus.CANCELLED if row.cancelling else CampaignStatus.FAILED
        kept.campaign = None
        kept.interval = min(max(kept.interval, 1.0) * GROWTH, LONGEST_SECONDS)
        logger.warning("Campaign %s: %s", row.id, error)
        self._record(row, status, row.standing, str(error))
        return not status.over

    def _record(self, row: CampaignRow, status: CampaignStatus, text: str, message: str) -> None:
        if (row.status, row.standing, row.message) == (status, text, message):
            return
        self._book.write(
            lambda connection: campaignbook.record(
                connection, row, self._book.clock(), status=status, standing=text, message=message
            )
        ).result()


def _status(row: CampaignRow, done: Tick) -> CampaignStatus:
    if done.complete and done.settled:
        return CampaignStatus.COMPLETE
    if row.cancelling:
        return row.status if done.active else CampaignStatus.CANCELLED
    if row.status is CampaignStatus.RUNNING and done.settled:
        return CampaignStatus.INCOMPLETE
    return row.status
