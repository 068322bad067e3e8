"""The steps of a campaign run, and how they follow each other; whoever watches them, as Prefect does, wraps them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simcampaign.engine import collect, planning, reconcile, report, staging, submission
from simcampaign.engine.campaign import Campaign
from simcampaign.engine.planning import Prepared
from simcampaign.engine.report import Published
from simcampaign.engine.submission import Submission
from simcampaign.errors import ConflictError
from simcampaign.ledger import ArrayRow, ArrayState

logger = logging.getLogger("simcampaign")

CLAIM_TRIES = 5
"""How often a campaign is planned again because another campaign run claimed runs meanwhile."""


def _plan(campaign: Campaign, selected: NDArray[np.bool_] | None) -> Prepared:
    return planning.prepare(campaign, selected=selected)


def _claim(campaign: Campaign, prepared: Prepared) -> list[Submission]:
    return submission.claim(campaign, prepared.plan, prepared.version)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What is called for each step."""

    attach: Callable[[Campaign], Sequence[ArrayRow]] = reconcile.reconcile
    plan: Callable[[Campaign, NDArray[np.bool_] | None], Prepared] = _plan
    claim: Callable[[Campaign, Prepared], list[Submission]] = _claim
    copy_inits: Callable[[Campaign, Submission], int] = submission.copy_inits
    save_inputs: Callable[[Campaign, Submission], int] = submission.save_inputs
    stage_files: Callable[[Campaign, Submission], int] = submission.stage_files
    submit: Callable[[Campaign, Submission], str] = submission.submit_array
    fetch_outputs: Callable[[Campaign, Sequence[ArrayRow]], int] = staging.fetch
    save_logs: Callable[[Campaign, Sequence[ArrayRow]], int] = collect.save_logs
    clean: Callable[[Campaign, Sequence[ArrayRow]], int] = collect.clean
    summarise: Callable[[Campaign, str, Prepared | None], Published] = report.publish


PLAIN = Steps()


@dataclass
class Submitted:
    """What was submitted."""

    prepared: Prepared
    """The campaign's plan."""

    submissions: list[Submission] = field(default_factory=list)

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return sum(each.packing.size for each in self.submissions)


def accept(_prepared: Prepared) -> None:
    """Take any plan."""


def submit_missing(campaign: Campaign, steps: Steps = PLAIN, check: Callable[[Prepared], None] = accept) -> Submitted:
    """Plan the campaign and submit what is to do, then what is to be tried again with other resources.

    ``check`` is called with the plan before it is claimed, and raises to stop.
    """
    prepared, submissions = _plan_and_claim(campaign, None, steps, check)
    submitted = Submitted(prepared, _send(campaign, prepared, submissions, steps))
    for variant, runs in prepared.again:
        # Another try is no longer the plan that was reviewed, but follows from it.
        again, submissions = _plan_and_claim(variant, runs, steps, accept)
        submitted.submissions += _send(variant, again, submissions, steps)
    return submitted


def _plan_and_claim(
    campaign: Campaign, selected: NDArray[np.bool_] | None, steps: Steps, check: Callable[[Prepared], None]
) -> tuple[Prepared, list[Submission]]:
    for attempt in range(1, CLAIM_TRIES + 1):
        prepared = steps.plan(campaign, selected)
        check(prepared)
        if prepared.held.runs:
            logger.warning("%s.", prepared.held)
        if not prepared.plan.jobs:
            return prepared, []
        submission.check_submission(campaign, prepared.plan)
        try:
            return prepared, steps.claim(campaign, prepared)
        except ConflictError:
            if attempt == CLAIM_TRIES:
                raise
            logger.info("Another campaign run claimed jobs of series %s; planning again.", campaign.series.name)
    raise AssertionError("unreachable")


def _send(campaign: Campaign, prepared: Prepared, submissions: Sequence[Submission], steps: Steps) -> list[Submission]:
    """Save and submit array by array; returns what was submitted."""

    def stage(each: Submission) -> None:
        if campaign.series.inits:
            steps.copy_inits(campaign, each)
        steps.save_inputs(campaign, each)
        if staging.staging_host(campaign):
            steps.stage_files(campaign, each)

    return submission.submit_all(campaign, prepared, submissions, stage, lambda each: steps.submit(campaign, each))


def gather(campaign: Campaign, steps: Steps = PLAIN) -> list[ArrayRow]:
    """Fetch outputs, save logs, complete times and clean, also of arrays that ended while nobody watched.

    Returns the arrays that are over. Whoever has published the summary after that calls ``ledger.collected`` for each:
    what is killed before leaves something to do.
    """
    arrays = collect.uncollected(campaign)
    if arrays and staging.is_fetched(campaign):
        steps.fetch_outputs(campaign, arrays)
    collect.complete_times(campaign, arrays)
    if arrays and campaign.settings.save_logs:
        steps.save_logs(campaign, arrays)
    if arrays and campaign.settings.clean_jobs:
        steps.clean(campaign, arrays)
    return [array for array in arrays if array.state is ArrayState.OVER]
