"""The body that every run flow shares: attach, plan, submit, poll, terminate, save logs, clean, summarise."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from prefect import State
from prefect.states import Cancelled, Completed

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.follow import Follower
from simcampaign.engine.planning import Prepared
from simcampaign.engine.rounds import run_rounds
from simcampaign.engine.staging import Fetcher
from simcampaign.engine.steps import gather
from simcampaign.engine.watch import Progress, WatchEnd, progress_of
from simcampaign.ledger import ArrayRow
from simcampaign.runs import RunState
from tasks import steps
from tasks.artifacts import link_summary, show_map
from tasks.caller import CALLER
from tasks.interrupts import CancelledElsewhere, Interrupts
from tasks.naming import name_flow_run
from tasks.outcome import Outcome
from tasks.progress import ProgressTable, TerminalProgress

logger = logging.getLogger("simcampaign")

SECOND_PRESS_SECONDS = 3.0
"""How long a second Ctrl-C, which cancels the jobs, is waited for."""


def run_campaign(campaign: Campaign) -> Outcome:
    """Run a campaign once, from its manifest to its summary."""
    command = CALLER.get().command
    with Interrupts().listening() as interrupts:
        steps.WATCHED.attach(campaign)
        cancelled = CancelledElsewhere()
        table = ProgressTable(campaign.series.name)

        def check(prepared: Prepared) -> None:
            name_flow_run(campaign.series.name, prepared.plan)
            CALLER.get().check(campaign, prepared)

        def watch(arrays: Sequence[ArrayRow]) -> WatchEnd:
            return _watch(campaign, arrays, table, interrupts, cancelled, command)

        def stop() -> bool:
            return interrupts.stopped or cancelled()

        submitted, end = run_rounds(campaign, watch, stop, steps.WATCHED, check)
        collected = gather(campaign, steps.WATCHED)
        published = steps.WATCHED.summarise(campaign, command, None)
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
    show_map(campaign.series.name, published.plan)
    return outcome


def final_state(outcome: Outcome) -> State[Outcome]:
    """Return the state in which a flow run ends: Prefect's pages tell by it whether the series is complete."""
    if outcome.cancelled:
        return Cancelled(message=outcome.counted, data=outcome)
    if outcome.complete:
        return Completed(message=outcome.counted, data=outcome)
    return Completed(name="PartiallyDone", message=outcome.counted, data=outcome)


def _watch(
    campaign: Campaign,
    arrays: Sequence[ArrayRow],
    table: ProgressTable,
    interrupts: Interrupts,
    cancelled: CancelledElsewhere,
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

        end = steps.poll(steps.whole(campaign), steps.whole(arrays), show, lambda: interrupts.stopped or cancelled())
        if _should_terminate(campaign, end, interrupts, cancelled, command):
            steps.terminate(steps.whole(campaign), steps.whole(arrays), show)
    return end


def _should_terminate(
    campaign: Campaign, end: WatchEnd, interrupts: Interrupts, cancelled: CancelledElsewhere, command: str
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
