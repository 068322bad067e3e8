"""The body that every run flow shares: attach, plan, submit, poll, terminate, save logs, clean, summarise."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TypeVar, cast

from prefect import State
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Completed
from prefect.utilities.annotations import opaque

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.collect import complete_times, uncollected
from simcampaign.engine.document import save_document
from simcampaign.engine.planning import Prepared
from simcampaign.engine.submission import Submission, check_submission, release
from simcampaign.engine.watch import Progress, WatchEnd, progress_of
from simcampaign.errors import ConflictError
from simcampaign.ledger import ArrayRow, ArrayState
from tasks import steps
from tasks.caller import CALLER
from tasks.interrupts import Interrupts
from tasks.outcome import Outcome
from tasks.progress import ProgressTable, TerminalProgress

T = TypeVar("T")

logger = logging.getLogger("simcampaign")

CLAIM_TRIES = 5
"""How often a campaign is planned again because another campaign run claimed runs meanwhile."""

STATE_SECONDS = 5.0
"""Seconds between looks at the flow run's own state: a local run cancelled in the UI is told nothing else."""

SECOND_PRESS_SECONDS = 3.0
"""How long a second Ctrl-C, which cancels the jobs, is waited for."""


def whole(value: T) -> T:
    """Hand a value to a task as it is; Prefect would look for futures in every condition of a series otherwise."""
    return cast("T", opaque(value))


def run_campaign(campaign: Campaign) -> Outcome:
    """Run a campaign once, from its manifest to its summary."""
    command = CALLER.get().command
    with Interrupts().listening() as interrupts:
        steps.attach(whole(campaign))
        submitted = _submit(campaign, *_plan_and_claim(campaign))
        arrays = uncollected(campaign)
        cancelled = _CancelledElsewhere()
        end = _watch(campaign, arrays, interrupts, cancelled, command)
        collected = _collect(campaign)
        published = steps.summarise(whole(campaign), command)
        # Last, so that a campaign run that is killed before it has a summary leaves something to do.
        for array in collected:
            campaign.ledger.collected(array.id)
    return Outcome(
        complete=published.plan.complete,
        counts=published.plan.counts,
        submitted=submitted,
        active=progress_of(campaign, arrays).active,
        end=end.value,
        stopped=interrupts.stopped and end is WatchEnd.STOPPED,
        cancelled=cancelled.seen,
        summary=published.page,
        failures=published.failures,
    )


def final_state(outcome: Outcome) -> State[Outcome]:
    """Return the state in which a flow run ends: Prefect's pages tell by it whether the series is complete."""
    if outcome.cancelled:
        return Cancelled(message=outcome.counted, data=outcome)
    if outcome.complete:
        return Completed(message=outcome.counted, data=outcome)
    return Completed(name="PartiallyDone", message=outcome.counted, data=outcome)


def _plan_and_claim(campaign: Campaign) -> tuple[Prepared, list[Submission]]:
    for attempt in range(1, CLAIM_TRIES + 1):
        prepared = steps.plan(whole(campaign))
        CALLER.get().check(campaign, prepared)
        if not prepared.plan.jobs:
            return prepared, []
        check_submission(campaign, prepared.plan)
        try:
            return prepared, steps.claim(whole(campaign), whole(prepared))
        except ConflictError:
            if attempt == CLAIM_TRIES:
                raise
            logger.info("Another campaign run claimed jobs of series %s; planning again.", campaign.series.name)
    raise AssertionError("unreachable")


def _submit(campaign: Campaign, prepared: Prepared, submissions: Sequence[Submission]) -> int:
    """Save and submit array by array; if that fails, what the site never got is free again. Returns how many jobs."""
    try:
        if submissions:
            save_document(campaign, prepared)
        for submission in submissions:
            if campaign.series.inits:
                steps.copy_inits(whole(campaign), whole(submission))
            steps.save_inputs(whole(campaign), whole(submission))
            steps.submit(whole(campaign), whole(submission))
    except Exception:
        release(campaign, submissions)
        raise
    return sum(submission.packing.size for submission in submissions)


def _watch(
    campaign: Campaign,
    arrays: Sequence[ArrayRow],
    interrupts: Interrupts,
    cancelled: _CancelledElsewhere,
    command: str,
) -> WatchEnd:
    if not progress_of(campaign, arrays).active:
        return WatchEnd.ENDED
    table = ProgressTable(campaign.series.name)
    with TerminalProgress() as terminal:

        def show(progress: Progress) -> None:
            terminal.show(progress)
            table.show(progress, last=not progress.active)

        end = steps.poll(whole(campaign), whole(arrays), show, lambda: interrupts.stopped or cancelled())
        if _should_terminate(campaign, end, interrupts, cancelled, command):
            steps.terminate(whole(campaign), whole(arrays), show)
    return end


def _should_terminate(
    campaign: Campaign, end: WatchEnd, interrupts: Interrupts, cancelled: _CancelledElsewhere, command: str
) -> bool:
    if end is WatchEnd.TIME_UP or (end is WatchEnd.STOPPED and not interrupts.stopped and cancelled.seen):
        if campaign.settings.terminate_jobs:
            logger.warning("%s: the jobs that have not ended are terminated (parameters.terminate_jobs).", end.value)
        return campaign.settings.terminate_jobs
    if end is WatchEnd.STOPPED:
        again = f"Attach again with: {command}" if command else "Run the flow again to attach to them."
        logger.warning("Stopped watching; the jobs keep running. %s", again)
        logger.warning("Ctrl-C once more within %.0f s cancels them.", SECOND_PRESS_SECONDS)
        return interrupts.await_second(SECOND_PRESS_SECONDS)
    return False


def _collect(campaign: Campaign) -> list[ArrayRow]:
    """Save logs and clean, also of arrays that ended while nobody watched; returns the arrays that are over."""
    arrays = uncollected(campaign)
    complete_times(campaign, arrays)
    if arrays and campaign.settings.save_logs:
        steps.save_logs(whole(campaign), whole(arrays))
    if arrays and campaign.settings.clean_jobs:
        steps.clean(whole(campaign), whole(arrays))
    return [array for array in arrays if array.state is ArrayState.OVER]


class _CancelledElsewhere:
    """Whether somebody cancelled this flow run, in the UI or by the API."""

    def __init__(self) -> None:
        self.seen = False
        self._looked = time.monotonic()

    def __call__(self) -> bool:
        context = FlowRunContext.get()
        due = time.monotonic() - self._looked >= STATE_SECONDS
        if self.seen or not due or context is None or context.flow_run is None:
            return self.seen
        self._looked = time.monotonic()
        try:
            with get_client(sync_client=True) as client:
                state = client.read_flow_run(context.flow_run.id).state
        except Exception as error:  # noqa: BLE001 - whatever Prefect's server does, the jobs are watched
            logger.debug("Could not read the flow run's own state: %s", error)
            return False
        self.seen = state is not None and (state.is_cancelling() or state.is_cancelled())
        return self.seen
