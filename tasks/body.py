"""The body that every run flow shares: attach, plan, submit, poll, terminate, save logs, clean, summarise."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from prefect import State
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Completed
from prefect.utilities.annotations import opaque

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.collect import complete_times, uncollected
from simcampaign.engine.follow import Follower
from simcampaign.engine.planning import Prepared
from simcampaign.engine.retries import again
from simcampaign.engine.staging import Fetcher, staging_host
from simcampaign.engine.submission import Submission, check_submission, submit_all
from simcampaign.engine.watch import Progress, WatchEnd, progress_of
from simcampaign.errors import ConflictError
from simcampaign.jobs import Resources
from simcampaign.ledger import ArrayRow, ArrayState
from simcampaign.runs import RunState
from tasks import steps
from tasks.caller import CALLER
from tasks.interrupts import Interrupts
from tasks.outcome import Outcome
from tasks.progress import ProgressTable, TerminalProgress, link_summary

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
        cancelled = _CancelledElsewhere()
        table = ProgressTable(campaign.series.name)
        submitted, end = _rounds(
            campaign, lambda arrays: _watch(campaign, arrays, table, interrupts, cancelled, command)
        )
        collected = _collect(campaign)
        published = steps.summarise(whole(campaign), command)
        # Last, so that a campaign run that is killed before it has a summary leaves something to do.
        for array in collected:
            campaign.ledger.collected(array.id)
    outcome = Outcome(
        complete=published.plan.complete,
        counts=published.plan.counts,
        submitted=submitted,
        active=published.plan.counts.get(RunState.IN_FLIGHT.label, 0),
        end=end.value,
        stopped=interrupts.stopped and end is WatchEnd.STOPPED,
        cancelled=cancelled.seen,
        summary=published.page,
        failures=published.failures,
    )
    link_summary(campaign.series.name, published.page, outcome.counted)
    return outcome


def final_state(outcome: Outcome) -> State[Outcome]:
    """Return the state in which a flow run ends: Prefect's pages tell by it whether the series is complete."""
    if outcome.cancelled:
        return Cancelled(message=outcome.counted, data=outcome)
    if outcome.complete:
        return Completed(message=outcome.counted, data=outcome)
    return Completed(name="PartiallyDone", message=outcome.counted, data=outcome)


def _rounds(campaign: Campaign, watch: Callable[[Sequence[ArrayRow]], WatchEnd]) -> tuple[int, WatchEnd]:
    """Submit what is to do and watch it; then what failed, as its cause calls for, until nothing is to be tried again.

    Returns how many jobs were submitted and how the last watch ended.
    """
    submitted = 0
    wanted: list[tuple[Campaign, NDArray[np.bool_] | None]] = [(campaign, None)]
    attempts = campaign.settings.limits.attempts
    for attempt in range(1, attempts + 1):
        given: dict[int, Resources] = {}
        for variant, selected in wanted:
            submissions = _submit(variant, *_plan_and_claim(variant, selected))
            given |= {each.claimed.array_id: variant.settings.resources for each in submissions}
            submitted += sum(each.packing.size for each in submissions)
        arrays = uncollected(campaign)
        end = watch(arrays)
        if end is not WatchEnd.ENDED or attempt == attempts:
            break
        # Arrays of an earlier campaign run that were attached to had what this one gives its own.
        wanted = list(again(campaign, {each.id: campaign.settings.resources for each in arrays} | given))
        if not wanted:
            break
        logger.info("Trying again what failed: attempt %d of %d.", attempt + 1, attempts)
    return submitted, end


def _plan_and_claim(campaign: Campaign, selected: NDArray[np.bool_] | None) -> tuple[Prepared, list[Submission]]:
    for attempt in range(1, CLAIM_TRIES + 1):
        prepared = steps.plan(whole(campaign), whole(selected))
        if selected is None:  # another try is no longer the plan that was reviewed, but follows from it
            CALLER.get().check(campaign, prepared)
        if prepared.held.runs:
            logger.warning("%s.", prepared.held)
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


def _submit(campaign: Campaign, prepared: Prepared, submissions: Sequence[Submission]) -> Sequence[Submission]:
    """Save and submit array by array, and return them."""

    def stage(submission: Submission) -> None:
        if campaign.series.inits:
            steps.copy_inits(whole(campaign), whole(submission))
        steps.save_inputs(whole(campaign), whole(submission))
        if staging_host(campaign):
            steps.stage_files(whole(campaign), whole(submission))

    submit_all(
        campaign, prepared, submissions, stage, lambda submission: steps.submit(whole(campaign), whole(submission))
    )
    return submissions


def _watch(
    campaign: Campaign,
    arrays: Sequence[ArrayRow],
    table: ProgressTable,
    interrupts: Interrupts,
    cancelled: _CancelledElsewhere,
    command: str,
) -> WatchEnd:
    if not progress_of(campaign, arrays).active:
        return WatchEnd.ENDED
    with TerminalProgress() as terminal:
        follower = Follower(campaign, terminal.write) if CALLER.get().follow else None
        fetcher = Fetcher(campaign)

        def show(progress: Progress) -> None:
            if follower:
                follower.look(arrays)
            terminal.show(progress)
            table.show(progress, last=not progress.active)
            fetcher.look(arrays, progress.total - progress.active)

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
    """Fetch, save logs, clean, also of arrays that ended while nobody watched; returns the arrays that are over."""
    arrays = uncollected(campaign)
    if arrays and staging_host(campaign):
        steps.fetch_outputs(whole(campaign), whole(arrays))
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
