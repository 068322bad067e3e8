"""Crashes, lost replies and rivals: no run twice, none forgotten."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from simcampaign.engine.collect import is_settled
from simcampaign.engine.reconcile import reconcile
from simcampaign.engine.submission import Jobs, array_spec, save_inputs
from simcampaign.errors import ConflictError
from simcampaign.ledger import ArrayState
from tests.driving import Kills

Until = Callable[[Callable[[], Any]], Any]


def gone(campaign: Any) -> Any:
    """The same campaign in a process of this host that is no more."""
    host = campaign.owner.rsplit(":", 2)[0]
    return replace(campaign, owner=f"{host}:1:0.00")


def states(campaign: Any) -> list[ArrayState]:
    return [array.state for array in campaign.ledger.arrays(campaign.id)]


def test_runs_claimed_by_a_process_that_died_before_the_site_had_them_are_free_again(toy: Any) -> None:
    toy.plan_and_claim(gone(toy.campaign()))
    campaign = toy.campaign()
    assert toy.run(campaign).plan.complete
    assert states(campaign) == [ArrayState.ABANDONED, ArrayState.OVER]
    assert len(toy.noted()) == 3


def test_an_array_whose_submitter_died_before_it_heard_from_the_site_is_attached(toy: Any) -> None:
    lost = gone(toy.campaign("hold"))
    (submission,) = toy.plan_and_claim(lost)[1]
    save_inputs(lost, submission)
    spec = array_spec(lost, submission.claimed, Jobs(lost, submission))
    lost.site.submit(spec)
    campaign = toy.campaign("hold")
    (array,) = reconcile(campaign)
    assert array.state is ArrayState.SUBMITTED
    toy.let_go()
    assert toy.run(campaign).plan.complete
    assert len(toy.noted()) == 3


def test_runs_that_a_living_process_or_another_host_claimed_are_left_to_it(toy: Any) -> None:
    toy.plan_and_claim(toy.campaign())
    other = replace(toy.campaign(), owner="someone-else:1:1.00")
    reconcile(other)
    assert states(other) == [ArrayState.INTENT]
    assert toy.plan_and_claim(other)[1] == []


def test_what_another_campaign_run_is_about_to_submit_is_waited_for(toy: Any) -> None:
    first = toy.campaign()
    claimed = [toy.plan_and_claim(first)]

    def looked() -> bool:
        if claimed:  # it waits: now the other one goes on
            toy.submit(first, *claimed.pop())
        return False

    assert toy.run(replace(toy.campaign(), owner="someone-else:1:1.00"), looked).plan.complete
    assert not claimed
    assert len(toy.noted()) == 3


def test_an_intent_that_was_taken_over_is_not_submitted_by_its_former_owner(toy: Any) -> None:
    campaign = gone(toy.campaign())
    claimed = toy.plan_and_claim(campaign)
    reconcile(toy.campaign())
    with pytest.raises(ConflictError, match="taken over"):
        toy.submit(campaign, *claimed)
    assert toy.noted() == []
    assert toy.run(toy.campaign()).plan.complete
    assert len(toy.noted()) == 3


def test_engines_at_once_start_every_run_exactly_once(toy: Any) -> None:
    """Several interleavings: the same series for all, or series that overlap in part."""
    dice = random.Random(20)
    for place in range(3):
        notes = toy.notes = toy.root / f"notes-{place}"
        working = toy.root / f"out-{place}"
        words = ["p:nap:0 q:nap:0.02", "q:nap:0.02 r:nap:0"] if place else ["p:nap:0 q:nap:0.02"] * 2
        campaigns = [toy.campaign(text, range(6), working=working) for text in words]
        drivers = [toy.driver(campaign) for campaign in campaigns]
        for driver in drivers:
            assert driver.stdin is not None
            driver.stdin.write("go\n")
            time.sleep(dice.uniform(0, 0.2))
        said = [driver.communicate()[0] for driver in drivers]
        assert [driver.returncode for driver in drivers] == [0, 0]
        assert said == ["complete\n"] * 2, "runs that the other has claimed are watched too"
        assert len(toy.noted()) == len(set(toy.noted())) == (18 if place else 12), notes
        assert all(is_settled(campaign) for campaign in campaigns)
        assert sorted(toy.noted()) == sorted(toy.noted("end"))


class LocalKills(Kills):
    """Campaigns on this machine, each in a place of its own."""

    def __init__(self, toy: Any, seed: int) -> None:
        super().__init__(seed)
        self.toy = toy

    def campaign(self, number: int) -> Any:
        """A campaign of 200 tiny jobs in three arrays."""
        toy = self.toy
        toy.notes = toy.root / f"notes-{number}"
        toy.site = replace_root(toy.site, toy.root / f"site-{number}")
        toy.ledger_url = f"sqlite:///{toy.root / f'ledger-{number}.sqlite'}"
        toy.working = toy.root / f"out-{number}"
        conditions = [{"key": f"c{index}", "group": "xyz"[index % 3]} for index in range(10)]
        return toy.campaign(conditions, range(20), series={"groups": dict.fromkeys("xyz", "")})

    def check(self, campaign: Any, once: bool = True) -> None:
        toy = self.toy
        wanted = sorted(f"{key} {seed}" for key in campaign.conditions for seed in campaign.series.seeds)
        started = toy.noted()
        assert sorted(set(started)) == wanted
        if once:
            assert len(started) == len(wanted), "a run was started twice"
        manifest = (toy.working / "manifest.csv").read_text().splitlines()
        expected = {f"toy_{run.split()[0]}_{int(run.split()[1]):04d},{e}" for run in wanted for e in "ab"}
        assert {line.partition("," + str(toy.working))[0] for line in manifest[1:]} == expected
        assert len(manifest) == 1 + len(expected)
        assert campaign.ledger.arrays(campaign.id, open_only=True) == []
        assert is_settled(campaign)
        assert toy.files() >= {"toy.PLAN.json", "toy.SUMMARY.html"}
        campaign.ledger.database.engine.dispose()


def replace_root(site: Any, root: Path) -> Any:
    return type(site)(root=root, slots=site.slots, grace_seconds=site.grace_seconds)


def test_drivers_killed_at_random_instants_start_every_run_exactly_once(toy: Any) -> None:
    kills = LocalKills(toy, seed=7)
    number = 0
    while kills.kills < 5:
        campaign = kills.campaign(number)
        kills.run(toy, campaign, longest=3.0)
        kills.check(campaign)
        number += 1


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_drivers_killed_at_many_random_instants_start_every_run_exactly_once(toy: Any) -> None:
    kills = LocalKills(toy, seed=50)
    number = 0
    # How many kills come before the first job starts depends on the machine: go on until enough did.
    while kills.kills < 60 or kills.in_submission < 5:
        campaign = kills.campaign(number)
        kills.run(toy, campaign, longest=4.0)
        kills.check(campaign)
        number += 1


def runners(root: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(word.endswith("runner.py") for word in words) and any(word.startswith(str(root)) for word in words):
            found.append(process)
    return found


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_runners_killed_at_random_instants_never_let_two_executions_of_a_run_overlap(toy: Any) -> None:
    kills = LocalKills(toy, seed=9)
    killed = 0

    def kill_runners() -> None:
        nonlocal killed
        for process in runners(toy.site.root):
            if kills.dice.random() < 0.7:
                process.kill()
                killed += 1

    number = 0
    while killed < 25:
        campaign = kills.campaign(number)
        kills.run(toy, campaign, longest=3.0, also=kill_runners)
        kills.check(campaign, once=False)
        overlaps(toy.events())
        number += 1


def overlaps(events: list[list[str]]) -> None:
    """Assert that no run was started while an earlier execution of it had not ended."""
    active: dict[tuple[str, str], str] = {}
    for word, key, seed, pid, _ in events:
        if word == "start":
            assert (key, seed) not in active, f"{key} {seed} runs twice at once"
            active[key, seed] = pid
        else:
            assert active.pop((key, seed)) == pid
    assert active == {}
