"""Reconciling: what the ledger meant to do against what the site knows."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from simcampaign.engine.owner import is_gone
from simcampaign.errors import SiteError
from simcampaign.jobs import ArrayReport
from simcampaign.ledger import ArrayRow, ArrayState, Ledger
from simcampaign.sites.base import Site

logger = logging.getLogger("simcampaign")


class Books(Protocol):
    """What is brought up to date: a campaign in the ledger, its site, and on whose behalf."""

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        ...

    @property
    def id(self) -> int:
        """The campaign's id in it."""
        ...

    @property
    def site(self) -> Site:
        """The site that is asked."""
        ...

    @property
    def owner(self) -> str:
        """Who takes over intents; see ``owner.identity``."""
        ...


def reconcile(campaign: Books) -> list[ArrayRow]:
    """Bring the ledger up to date before anything is planned; returns the arrays that are still open.

    An intent whose owner is gone is looked for at the site by its name: found, it is attached; not found, its runs are
    free again. Then the site is asked once for all arrays. Raises ``SiteError`` or ``NetworkError`` if the site cannot
    be asked: planning without its answer could run something twice.
    """
    for array in campaign.ledger.arrays(campaign.id, open_only=True):
        if array.state is ArrayState.INTENT and array.site == campaign.site.name:
            _settle(campaign, array)
    look(campaign, campaign.ledger.arrays(campaign.id, open_only=True))
    return campaign.ledger.arrays(campaign.id, open_only=True)


def _settle(campaign: Books, array: ArrayRow) -> None:
    if not is_gone(array.owner, array.lease_until, time.time()):
        return
    if not campaign.ledger.take_over(array, campaign.owner):
        return
    if not attach(campaign, array):
        campaign.ledger.abandon(array.id)


def attach(campaign: Books, array: ArrayRow) -> bool:
    """Ask the site for an intent of ours and write its remote id down; False if it never got there, and never will."""
    remote_id = campaign.site.find(array.name)
    if remote_id is None:
        return False
    campaign.ledger.submitted(array.id, remote_id)
    return True


def look(campaign: Books, arrays: Sequence[ArrayRow]) -> bool:
    """Ask the site once for all arrays that it has and write down what changed; returns whether anything did.

    An array of which the site makes no sense does not hide the others; it keeps its states.
    """
    mine = {
        array.remote_id: array
        for array in arrays
        if array.remote_id and array.state is ArrayState.SUBMITTED and array.site == campaign.site.name
    }
    if not mine:
        return False
    asked = _ask(campaign, {remote_id: array.cursor for remote_id, array in mine.items()})
    reports = {remote_id: report for remote_id, report in asked.items() if remote_id in mine}
    for remote_id, report in reports.items():
        campaign.ledger.record(mine[remote_id], report)
    return any(report.changes or not report.known for report in reports.values())


def _ask(campaign: Books, cursors: Mapping[str, str]) -> Mapping[str, ArrayReport]:
    try:
        return campaign.site.status(cursors)
    except SiteError as error:
        if len(cursors) == 1:
            raise
        reports: dict[str, ArrayReport] = {}
        for remote_id, cursor in cursors.items():
            with suppress(SiteError):
                reports |= campaign.site.status({remote_id: cursor})
        if not reports:
            raise
        logger.warning(
            "Some arrays at site %s could not be looked at; their states stay. %s", campaign.site.name, error
        )
        return reports
