"""A tick: one step of a campaign, after which no process is needed until the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simcampaign.engine.budget import Held
from simcampaign.engine.campaign import Campaign
from simcampaign.engine.collect import uncollected
from simcampaign.engine.page import current_failures, log_key, log_tail
from simcampaign.engine.planning import Prepared, estimate_plan, prepare
from simcampaign.engine.steps import PLAIN, Steps, gather, submit_missing
from simcampaign.engine.watch import Progress, progress_of
from simcampaign.jobs import JobState
from simcampaign.plan import Plan
from simcampaign.runs import RunState

MOST_FAILURES = 20
"""Failures that a tick names."""


@dataclass(frozen=True)
class FailedRun:
    """A run that is failed now."""

    run: str
    """Its key."""

    job: str
    cause: str
    message: str
    log: str
    """Where its log is, or would be."""

    log_tail: str
    """Its last lines; empty if it was not saved."""


@dataclass(frozen=True)
class Cost:
    """Money, in the currency of the site's prices."""

    so_far: float
    """What ended jobs cost."""

    left: float | None
    """What the runs in flight and those to do are estimated to cost; None if that is not known."""

    budget: float | None


@dataclass(frozen=True)
class Tick:
    """How a campaign stands after a tick."""

    plan: Plan
    """The state of every run. After a submission it was made anew."""

    submitted: int
    """Jobs that this tick submitted."""

    jobs: Mapping[JobState, int]
    """Jobs per state in arrays that were not collected before this tick."""

    ended: int
    """Jobs that ended since the ledger was looked at the last time."""

    failed: int
    """Those of them that failed or were lost."""

    failures: tuple[FailedRun, ...]
    """The newest."""

    cost: Cost | None
    """None where the site has no prices."""

    seconds_left: float | None
    """Estimated time until the last run is done; None if that is not known."""

    held: Held
    """What the budget holds back."""

    settled: bool
    """True if a later tick would find nothing to do: no job is in flight, nothing is to be collected, no run waits for
    another series, and what is to do is over its tries or the budget. It may not be complete: a person has to look at
    what failed."""

    summary: str
    """Where the summary page is; empty if it was not published in this tick, as nothing had changed."""

    failures_text: str = ""
    """The failures in words, if the summary was published."""

    @property
    def counts(self) -> dict[str, int]:
        """Runs per state, by label."""
        return self.plan.counts

    @property
    def active(self) -> int:
        """Jobs in flight."""
        return sum(count for state, count in self.jobs.items() if state.active)

    @property
    def complete(self) -> bool:
        """True if every run of the series is done."""
        return self.plan.complete


def tick(campaign: Campaign, *, submitting: bool = True, command: str = "", steps: Steps = PLAIN) -> Tick:
    """Do one step of a campaign: attach, look, collect, plan, submit, publish.

    It may be repeated at any time, also while another one is at work or after one was killed: what has to be done only
    once is claimed in the ledger. A run that failed is tried again as its cause calls for, ``limits.attempts`` times in
    all, however many ticks that takes; ``ledger.forgive`` lets the count begin anew.

    Parameters
    ----------
    campaign
        The campaign, opened for this tick: its date is where new files go.
    submitting
        False to submit nothing, as while a campaign is paused.
    command
        What a person types to run the campaign, for the summary.
    steps
        What is called for each step.

    Raises what the steps raise, e.g. ``SiteError`` or ``NetworkError`` if the site cannot be asked; the next tick goes
    on from there.
    """
    campaign = campaign.but(tried_since=campaign.ledger.tries_since(campaign.id))
    before = progress_of(campaign, uncollected(campaign))
    steps.attach(campaign)
    after = progress_of(campaign, uncollected(campaign))
    collected = gather(campaign, steps)
    if submitting:
        done = submit_missing(campaign, steps)
        prepared, submitted = done.prepared, done.jobs
    else:
        prepared, submitted = steps.plan(campaign, None), 0
    moved = bool(before != after or collected or submitted or prepared.moved)
    later = RunState.WAITING.label in prepared.plan.counts
    later |= not submitting and bool(prepared.plan.jobs or prepared.again)
    if submitted:
        prepared = prepare(campaign)
    published = steps.summarise(campaign, command, prepared) if moved else None
    for array in collected:
        campaign.ledger.collected(array.id)
    jobs = _jobs(progress_of(campaign, uncollected(campaign)))
    cost, seconds = _estimates(campaign, prepared, jobs.get(JobState.RUNNING, 0))
    return Tick(
        plan=prepared.plan,
        submitted=submitted,
        jobs=jobs,
        ended=_ended(after) - _ended(before),
        failed=max(0, _failed(after) - _failed(before)),
        failures=_failures(campaign, prepared.plan),
        cost=cost,
        seconds_left=seconds,
        held=prepared.held,
        settled=not (later or campaign.ledger.arrays(campaign.id, uncollected=True)),
        summary=published.page if published else "",
        failures_text=published.failures if published else "",
    )


def _jobs(progress: Progress) -> dict[JobState, int]:
    found: dict[JobState, int] = {}
    for states in progress.groups.values():
        for state, count in states.items():
            found[state] = found.get(state, 0) + count
    return found


def _ended(progress: Progress) -> int:
    return progress.total - progress.active


def _failed(progress: Progress) -> int:
    jobs = _jobs(progress)
    return jobs.get(JobState.FAILED, 0) + jobs.get(JobState.LOST, 0)


def _failures(campaign: Campaign, plan: Plan) -> tuple[FailedRun, ...]:
    return tuple(
        FailedRun(
            keys[0],
            failure.job_id,
            str(failure.cause or failure.state),
            failure.message,
            campaign.working.url(log_key(campaign, failure)),
            log_tail(campaign, failure) or "",
        )
        for failure, keys in current_failures(campaign, plan, MOST_FAILURES)
    )


def _estimates(campaign: Campaign, prepared: Prepared, running: int) -> tuple[Cost | None, float | None]:
    """Return what the campaign costs, and how long it takes if as many jobs run at a time as do now."""
    settings = campaign.settings
    price = campaign.site.price_per_hour(settings.resources)
    so_far = campaign.ledger.usage(campaign.id).cost
    left = prepared.plan.runs_to_do + prepared.held.runs + prepared.plan.counts.get(RunState.IN_FLIGHT.label, 0)
    seconds = estimate_plan(campaign, prepared.plan).seconds_per_run
    known = None if seconds is None else seconds * left
    cost = None
    if price or so_far:
        cost = Cost(so_far, None if known is None else known * price / 3600, settings.budget)
    return cost, None if known is None or (left and not running) else known / max(1, running)
