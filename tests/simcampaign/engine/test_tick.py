"""A campaign step by step, with nothing at work in between."""

from __future__ import annotations

import random
import signal
import threading
from typing import Any

import pytest

from simcampaign.engine.tick import Tick, tick
from simcampaign.jobs import Resources
from simcampaign.retry import Limits
from tests.support import until

OTHER_TEMPLATE = "{% for c in conditions %}{{ name }} {{ c.key }} {{ c.start_seed }} {{ c.end_seed }} ok 7\n"
OTHER_TEMPLATE += "{% endfor %}"


def settle(campaign: Any, *, submitting: bool = True) -> Tick:
    """Tick until there is nothing left to do."""

    def one() -> Tick | None:
        done = tick(campaign, submitting=submitting)
        return done if done.settled else None

    return until(one)


def test_ticks_take_a_campaign_from_nothing_to_its_end(toy: Any) -> None:
    campaign = toy.campaign("ok more:ok", range(3))
    first = tick(campaign)
    assert (first.submitted, first.active, first.complete, first.settled) == (6, 6, False, False)
    assert first.counts == {"in flight": 6}
    last = settle(campaign)
    assert (last.complete, last.active, last.counts) == (True, 0, {"done": 6})
    assert len(toy.noted()) == 6
    assert len(toy.files("logs")) == 6
    assert "6 done" in toy.texts("")["toy.SUMMARY.txt"]


def test_a_tick_with_nothing_to_do_changes_nothing(toy: Any) -> None:
    campaign = toy.campaign()
    settle(campaign)
    before = {path: path.stat().st_mtime_ns for path in toy.working.rglob("*")}
    again = tick(toy.campaign())
    assert (again.complete, again.settled, again.submitted, again.summary) == (True, True, 0, "")
    assert {path: path.stat().st_mtime_ns for path in toy.working.rglob("*")} == before


def test_a_run_that_fails_is_not_submitted_for_ever(toy: Any) -> None:
    campaign = toy.campaign("exit3 ok", [0, 1])
    last = settle(campaign)
    assert (last.complete, last.counts) == (False, {"done": 2, "failed": 2})
    assert {(each.run, each.cause) for each in last.failures} == {
        ("toy_exit3_0000", "application"),
        ("toy_exit3_0001", "application"),
    }
    for _ in range(3):
        assert tick(toy.campaign("exit3 ok", [0, 1])).submitted == 0
    assert len(toy.noted()) == 4


def test_a_person_who_asks_for_it_gets_another_try(toy: Any) -> None:
    campaign = toy.campaign("once ok", [0])
    assert settle(campaign).counts == {"done": 1, "failed": 1}
    campaign.ledger.forgive(campaign.id)
    assert settle(campaign).complete
    assert sorted(toy.noted()) == ["ok 0", "once 0", "once 0"]


def test_what_failed_is_tried_again_with_another_template(toy: Any) -> None:
    campaign = toy.campaign("exit3", [0])
    assert not settle(campaign).complete
    toy.template.write_text(OTHER_TEMPLATE)
    assert settle(toy.campaign("exit3", [0])).complete


def test_tries_are_counted_over_ticks_and_given_what_their_cause_calls_for(toy: Any) -> None:
    short = {"resources": Resources(timeout_seconds=0.3), "limits": Limits(3)}
    last = settle(toy.campaign("nap:30 ok", [0], **short))
    assert last.counts == {"done": 1, "failed": 1}
    assert toy.noted().count("nap 0") == 3
    starts = [float(line[4]) for line in toy.events() if line[:2] == ["start", "nap"]]
    assert starts[2] - starts[1] >= 0.6, "the second try had twice the time"


def test_runs_that_end_well_without_their_files_are_left_to_a_person(toy: Any) -> None:
    last = settle(toy.campaign("silent ok", [0], limits=Limits(3)))
    assert last.counts == {"missing": 1, "done": 1}
    assert toy.noted().count("silent 0") == 1


def test_a_paused_campaign_collects_but_submits_nothing(toy: Any) -> None:
    campaign = toy.campaign("hold", [0])
    tick(campaign)
    toy.let_go()
    bigger = toy.campaign("hold", [0, 1])
    until(lambda: tick(bigger, submitting=False).counts == {"done": 1, "missing": 1})
    paused = tick(bigger, submitting=False)
    assert (paused.submitted, paused.settled) == (0, False)
    assert settle(bigger).complete


def test_a_budget_holds_back_what_later_ticks_would_submit(toy: Any) -> None:
    toy.site = type(toy.site)(root=toy.root / "paid", slots=2, grace_seconds=0.3, price_per_core_hour=3600.0)
    campaign = toy.campaign("a:ok b:ok", range(2), budget=3.0, seconds_per_run=1.0, series={"groups": {"_": ""}})
    held = tick(campaign)
    assert (held.submitted, held.settled, held.held.runs) == (0, True, 4)
    assert held.cost is not None
    assert (held.cost.so_far, held.cost.left, held.cost.budget) == (0.0, 4.0, 3.0)
    more = settle(toy.campaign("a:ok b:ok", range(2), budget=30.0, seconds_per_run=1.0))
    assert more.complete
    assert more.cost is not None
    assert 0 < more.cost.so_far < 30


def test_overlapping_ticks_start_every_run_once(toy: Any) -> None:
    campaigns = [toy.campaign("ok more:ok", range(10)) for _ in range(4)]
    failures: list[Exception] = []

    def ticks(campaign: Any) -> None:
        try:
            settle(campaign)
        except Exception as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    threads = [threading.Thread(target=ticks, args=(each,)) for each in campaigns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(toy.noted()) == sorted({*toy.noted()})
    assert len(toy.noted()) == 20
    assert tick(toy.campaign("ok more:ok", range(10))).complete
    assert len(toy.files("logs")) == 20


def killed(toy: Any, kills: int, dice: random.Random) -> None:
    """Kill the processes of ticks at random instants until so many were, then go on to the end."""
    words = [{"key": f"c{number}", "do": "ok", "group": "xy"[number % 2]} for number in range(4)]
    campaign = toy.campaign(words, range(10), series={"groups": dict.fromkeys("xy", "")})
    left = kills
    while left:
        driver = toy.driver(campaign, "tick")
        timer = threading.Timer(dice.uniform(0, 0.5), driver.send_signal, [signal.SIGKILL])
        driver.stdin.write("go\n")
        timer.start()
        said = driver.communicate()[0]
        timer.cancel()
        left -= driver.returncode == -signal.SIGKILL
        if said == "settled\n":
            break
    assert settle(campaign).complete
    assert len(toy.noted()) == len(set(toy.noted())) == 40
    assert len(toy.files("outputs")) == 80
    assert len(toy.files("logs")) == 40
    assert "40 done" in toy.texts("")["toy.SUMMARY.txt"]


def test_ticks_that_are_killed_start_every_run_once(toy: Any) -> None:
    killed(toy, 4, random.Random(11))


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(12))
def test_ticks_that_are_killed_at_many_instants_start_every_run_once(toy: Any, seed: int) -> None:
    killed(toy, 8, random.Random(seed))
