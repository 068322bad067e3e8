"""Ticks: the body of the flow that people schedule. Between two ticks no process is needed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.collect import uncollected
from simcampaign.engine.planning import Prepared
from simcampaign.engine.steps import Steps
from simcampaign.engine.tick import Tick, tick
from simcampaign.engine.watch import cancel, pause
from simcampaign.runs import RunState
from tasks.artifacts import CampaignArtifacts
from tasks.caller import CALLER
from tasks.deployment import pause_schedule
from tasks.events import tell
from tasks.interrupts import CancelledElsewhere, Interrupts
from tasks.naming import name_flow_run
from tasks.outcome import Outcome
from tasks.steps import WATCHED

logger = logging.getLogger("simcampaign")


def run_ticks(open_campaign: Callable[[], Campaign]) -> Outcome:
    """Do one tick of a campaign; with ``--until-complete``, one after another until nothing is left to do.

    ``open_campaign`` opens the campaign anew for each tick, as the day may change in between. A series that is complete
    says so and pauses the schedule of the deployment that runs it.
    """
    artifacts: CampaignArtifacts | None = None
    submitted = 0
    with Interrupts().listening() as interrupts:
        cancelled = CancelledElsewhere()
        while True:
            campaign = open_campaign()
            artifacts = artifacts or CampaignArtifacts(campaign)
            done = tick(campaign, command=CALLER.get().command, steps=_named())
            submitted += done.submitted
            tell(campaign, done)
            artifacts.show(done)
            if done.complete or not CALLER.get().until_complete or done.settled:
                break
            if _waited(campaign, lambda: interrupts.stopped or cancelled()):
                break
        if cancelled.seen and campaign.settings.terminate_jobs:
            cancel(campaign, campaign.ledger.arrays(campaign.id, open_only=True))
    if done.complete:
        pause_schedule("The series is complete.")
    return Outcome(
        complete=done.complete,
        counts=done.counts,
        submitted=submitted,
        active=done.active,
        end=_end(done),
        stopped=interrupts.stopped,
        cancelled=cancelled.seen,
        summary=done.summary,
        failures=done.failures_text,
    )


def _named() -> Steps:
    """Return the steps; the first plan names the flow run."""

    def plan(campaign: Campaign, selected: NDArray[np.bool_] | None) -> Prepared:
        prepared = WATCHED.plan(campaign, selected)
        if selected is None:
            name_flow_run(campaign.series.name, prepared.plan)
        return prepared

    return replace(WATCHED, plan=plan)


def _waited(campaign: Campaign, stop: Callable[[], bool]) -> bool:
    """Wait for news of the jobs, at most as long as between two looks; returns True if somebody asked to stop."""
    return pause(campaign, uncollected(campaign), campaign.settings.retry_delay, stop)


def _end(done: Tick) -> str:
    if done.complete:
        return "the series is complete"
    if done.settled:
        return "nothing is left to be tried; look at what failed"
    waiting = done.counts.get(RunState.WAITING.label, 0)
    rest = f"; {waiting:,} runs wait for another series" if waiting else ""
    return f"{done.active:,} jobs are in flight{rest}; a later tick goes on"
