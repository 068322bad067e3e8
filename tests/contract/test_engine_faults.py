"""The engine at a site where things go wrong: nothing runs twice, nothing is lost, a failed look changes nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from simcampaign.engine import watch as watching
from simcampaign.engine.campaign import Campaign
from simcampaign.engine.collect import is_settled
from simcampaign.engine.reconcile import look
from simcampaign.engine.watch import cancel
from simcampaign.errors import NetworkError, SiteError
from simcampaign.jobs import Cause, JobState
from simcampaign.ledger import ArrayState
from simcampaign.ledger.schema import arrays, jobs
from tests.contract.campaigns import Campaigns, CrashAt, probed
from tests.contract.fake import FAULTS, Fault


@pytest.fixture(autouse=True)
def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cloud has a clock of its own: no real time need pass."""
    monkeypatch.setattr(watching, "REST", 0.0)


@pytest.fixture
def campaigns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Campaigns:
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    return Campaigns(tmp_path)


def once(call: str, fault: Fault) -> Callable[[str], Fault | None]:
    """Let one call go wrong, the first of its kind."""
    left = [fault]
    return lambda made: left.pop() if made == call and left else None


def always(call: str, fault: Fault) -> Callable[[str], Fault | None]:
    return lambda made: fault if made == call else None


def rows(campaign: Campaign) -> list[Any]:
    """Everything that the ledger has of arrays and jobs."""
    with campaign.ledger.database.read() as connection:
        return [tuple(row) for table in (arrays, jobs) for row in connection.execute(sa.select(table))]


def states(campaign: Campaign) -> dict[tuple[str, int], JobState]:
    found = [array for array in campaign.ledger.arrays(campaign.id) if array.state is not ArrayState.ABANDONED]
    return {(a.name, index): state for a in found for index, state in campaign.ledger.job_states(a.id).items()}


def check_complete(campaigns: Campaigns, campaign: Campaign) -> None:
    assert campaigns.wrong == []
    assert sorted(set(campaigns.started)) == campaigns.wanted(campaign), "a run was forgotten"
    assert campaign.ledger.arrays(campaign.id, open_only=True) == []
    assert is_settled(campaign)
    assert all(not state.active for state in states(campaign).values())
    assert campaign.ledger.usage(campaign.id).cost >= 0


@pytest.mark.parametrize("fault", FAULTS["submit"])
def test_a_submission_that_goes_wrong_runs_nothing_twice_and_is_made_up_for(campaigns: Campaigns, fault: Fault) -> None:
    campaigns.try_to_run(campaigns.campaign("ok fine", fault=once("submit", fault)))
    campaign = campaigns.campaign("ok fine")
    assert campaigns.run(campaign).plan.complete
    check_complete(campaigns, campaign)
    assert len(campaigns.started) == 6


@pytest.mark.parametrize("fault", FAULTS["find"])
def test_while_the_site_cannot_be_asked_by_name_nothing_is_submitted(campaigns: Campaigns, fault: Fault) -> None:
    campaigns.try_to_run(campaigns.campaign(fault=once("submit", Fault.LATE)))
    campaign = campaigns.campaign(fault=once("find", fault))
    with pytest.raises((SiteError, NetworkError)):
        campaigns.run(campaign)
    assert [array.state for array in campaign.ledger.arrays(campaign.id)] == [ArrayState.INTENT]
    campaign = campaigns.campaign()
    assert campaigns.run(campaign).plan.complete
    check_complete(campaigns, campaign)


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.REFUSED, Fault.NONSENSE])
def test_a_look_that_fails_changes_nothing(campaigns: Campaigns, fault: Fault) -> None:
    campaigns.submit(campaigns.campaign("ok fine fails"))
    campaign = campaigns.campaign("ok fine fails", fault=always("status", fault))
    campaigns.cloud.advance(3.0)
    before = rows(campaign)
    with pytest.raises((SiteError, NetworkError)):
        look(campaign, campaign.ledger.arrays(campaign.id, open_only=True))
    assert rows(campaign) == before


@pytest.mark.parametrize("fault", [Fault.STRANGERS, Fault.SILENT, Fault.REPEATED, Fault.BACKWARDS, Fault.CLOCK])
def test_an_odd_answer_changes_no_end_and_hides_no_news(campaigns: Campaigns, fault: Fault) -> None:
    campaigns.submit(campaigns.campaign("ok fine fails"))
    odd = campaigns.campaign("ok fine fails", fault=always("status", fault))
    told = campaigns.campaign("ok fine fails")
    for _ in range(12):
        campaigns.cloud.advance(1.0)
        for campaign in (odd, told):
            look(campaign, campaign.ledger.arrays(campaign.id, open_only=True))
            campaigns.observe(campaign)
    ends = sorted(state for state in states(told).values())
    assert ends == [JobState.FAILED] * 3 + [JobState.FINISHED] * 6
    assert told.ledger.arrays(told.id, open_only=True) == []
    assert told.ledger.usage(told.id).cost >= 0


@pytest.mark.parametrize("fault", [Fault.LOST_JOB, Fault.LOST_ARRAY])
def test_what_the_site_has_lost_is_lost_and_runs_again(campaigns: Campaigns, fault: Fault) -> None:
    campaign = campaigns.campaign(seeds=range(4), fault=once("status", fault))
    campaigns.submit(campaign)
    campaigns.cloud.advance(3.5)
    ended = [index for array in campaigns.cloud.arrays.values() for index, s in array.states.items() if not s.active]
    for _ in range(2):
        look(campaign, campaign.ledger.arrays(campaign.id, open_only=True))
    lost = {failure.index: failure.cause for failure in campaign.ledger.failures(campaign.id)}
    assert set(lost.values()) == {Cause.LOST}
    assert not set(lost) & set(ended) or fault is Fault.LOST_ARRAY
    assert len(lost) == (1 if fault is Fault.LOST_JOB else 4)
    assert JobState.FINISHED not in {
        states(campaign)[array.name, i] for array in campaign.ledger.arrays(campaign.id) for i in lost
    }
    campaign = campaigns.campaign(seeds=range(4))
    assert campaigns.run(campaign).plan.complete
    check_complete(campaigns, campaign)


def test_a_cancellation_that_is_ignored_leaves_what_the_site_says(campaigns: Campaigns) -> None:
    campaign = campaigns.campaign(fault=always("cancel", Fault.IGNORED))
    campaigns.submit(campaign)
    cancel(campaign, campaign.ledger.arrays(campaign.id))
    assert campaigns.run(campaign).plan.complete
    check_complete(campaigns, campaign)
    assert len(campaigns.started) == 3


def test_a_site_that_is_away_for_many_looks_is_waited_for(campaigns: Campaigns) -> None:
    away = iter([Fault.CUT, Fault.REFUSED, Fault.NONSENSE] * 10)
    campaign = campaigns.campaign("ok fine", fault=lambda call: next(away, None) if call == "status" else None)
    campaigns.submit(campaign)
    published = campaigns.try_to_run(campaign) or campaigns.try_to_run(campaigns.campaign("ok fine"))
    assert published
    check_complete(campaigns, campaign)
    assert len(campaigns.started) == 6


def calls_of_a_run(root: Path) -> list[str]:
    campaigns = Campaigns(root / "whole")
    counted = CrashAt(None)
    assert campaigns.run(probed(campaigns.campaign("ok once", range(2), between=counted), counted)).plan
    assert counted.passed > 40
    return counted.calls


def first_points(calls: list[str]) -> list[int]:
    """The points at which a call comes after two others for the first time: looks at running jobs are all alike."""
    found: dict[tuple[str, ...], int] = {}
    for point in range(len(calls)):
        found.setdefault(tuple(calls[max(0, point - 2) : point + 1]), point)
    return list(found.values())


def assert_a_crash_recovers(root: Path, point: int) -> None:
    campaigns = Campaigns(root / f"crash-{point}")
    crash = CrashAt(point)
    campaigns.try_to_run(probed(campaigns.campaign("ok once", range(2), between=crash), crash))
    for _ in range(3):
        campaign = campaigns.campaign("ok once", range(2))
        if campaigns.try_to_run(campaign):
            break
    where = f"after {crash.calls[-3:]}, at point {point}"
    assert campaigns.wrong == [], where
    check_complete(campaigns, campaign)
    assert len(campaigns.started) == 6, where


def test_a_crash_between_calls_that_follow_each_other_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    for point in first_points(calls_of_a_run(tmp_path)):
        assert_a_crash_recovers(tmp_path, point)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_a_crash_between_any_two_calls_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    for point in range(len(calls_of_a_run(tmp_path))):
        assert_a_crash_recovers(tmp_path, point)


def test_a_site_that_starts_what_it_said_it_never_had_is_seen_to_break_the_contract(tmp_path: Path) -> None:
    """A control: these tests notice a run that is started twice."""
    campaigns = Campaigns(tmp_path / "forgetful", memory=False)
    campaigns.try_to_run(campaigns.campaign(fault=once("submit", Fault.LATE)))
    campaigns.run(campaigns.campaign())
    campaigns.cloud.advance(100.0)
    assert campaigns.wrong


class Schedule:
    """Campaign runs one after the other, with faults and crashes by dice, until one comes through."""

    def __init__(self, root: Path, seed: int, **cloud: Any) -> None:
        self.dice = random.Random(seed)
        self.campaigns = Campaigns(root, **cloud)
        self.risk = self.dice.choice([0.05, 0.2, 0.5])

    def fault(self, call: str) -> Fault | None:
        if call in FAULTS and self.dice.random() < self.risk:
            return self.dice.choice(FAULTS[call])
        return None

    def campaign(self, faulty: bool) -> Campaign:
        words, seeds = "ok fine once fails", range(4)
        if not faulty:
            return self.campaigns.campaign(words, seeds, seeds_per_job=2)
        crash = CrashAt(self.dice.randrange(150) if self.dice.random() < 0.7 else None)
        settings = {"seeds_per_job": self.dice.choice([1, 2, 3]), "terminate_jobs": self.dice.random() < 0.2}
        settings |= {"retries": self.dice.choice([0, 2, 10_000]), "retry_delay": 0.02}

        def between(call: str) -> None:
            crash(call)
            if call == "status":
                self.campaigns.observe(plain)

        plain = self.campaigns.campaign(words, seeds)
        campaign = self.campaigns.campaign(words, seeds, fault=self.fault, between=between, **settings)
        return probed(campaign, crash)

    def play(self) -> Campaign:
        for _ in range(self.dice.randrange(1, 6)):
            self.campaigns.try_to_run(self.campaign(faulty=True))
            self.campaigns.cloud.advance(self.dice.choice([0.0, 1.0, 10.0]))
        for _ in range(3):
            last = self.campaign(faulty=False)
            self.campaigns.try_to_run(last)
        return last


def assert_exactly_once(root: Path, seed: int) -> None:
    schedule = Schedule(root, seed)
    last = schedule.play()
    schedule.campaigns.observe(last)
    check_complete(schedule.campaigns, last)
    left = {path.stem for path in (root / "out").rglob("outputs/*.b")}
    assert left == {run for run in schedule.campaigns.wanted(last) if "fails" not in run}


@pytest.mark.parametrize("seed", range(25))
def test_any_schedule_of_faults_and_crashes_runs_everything_once(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    assert_exactly_once(tmp_path / "place", seed)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("block", range(5))
def test_many_schedules_of_faults_and_crashes_run_everything_once(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    for seed in range(1000 + 60 * block, 1060 + 60 * block):
        assert_exactly_once(tmp_path / f"place-{seed}", seed)
