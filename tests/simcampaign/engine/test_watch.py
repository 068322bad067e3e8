"""How jobs are watched: how long, what a failed look does, and what is collected afterwards."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from simcampaign.engine.collect import clean, is_settled, save_logs, uncollected
from simcampaign.engine.reconcile import look, reconcile
from simcampaign.engine.watch import WatchEnd, cancel, progress_of, watch
from simcampaign.errors import SiteError
from simcampaign.jobs import JobState
from simcampaign.ledger import ArrayState
from simcampaign.series import Init
from tests.support import until


def submitted(toy: Any, campaign: Any) -> None:
    toy.submit(campaign, *toy.plan_and_claim(campaign))


def test_the_watch_lasts_retries_times_retry_delay_and_then_terminates(toy: Any) -> None:
    campaign = toy.campaign("hold", [0, 1, 2], retries=3, retry_delay=0.4)
    before = time.monotonic()
    plan = toy.run(campaign).plan
    assert 1.2 <= time.monotonic() - before < 15
    assert plan.counts == {"missing": 3}
    states = campaign.ledger.job_states(campaign.ledger.arrays(campaign.id)[0].id)
    assert set(states.values()) == {JobState.CANCELLED}
    assert len(toy.noted()) == 2, "the third was never started"
    assert is_settled(campaign)


def test_jobs_go_on_after_the_watch_unless_they_are_to_be_terminated(toy: Any) -> None:
    bound = {"retries": 2, "retry_delay": 0.3, "terminate_jobs": False}
    campaign = toy.campaign("hold ok", [0], **bound)
    assert toy.run(campaign).plan.counts == {"in flight": 1, "done": 1}
    assert not is_settled(campaign)
    assert toy.run(toy.campaign("hold ok", [0], **bound)).plan.counts == {"in flight": 1, "done": 1}
    assert toy.noted().count("hold 0") == 1, "a run in flight is not submitted again"
    toy.let_go()
    assert toy.run(toy.campaign("hold ok", [0])).plan.complete
    assert toy.noted().count("hold 0") == 1


def test_jobs_that_ended_while_nobody_watched_are_found_and_collected(toy: Any) -> None:
    submitted(toy, toy.campaign("ok exit3", [0]))
    until(lambda: len(list((toy.site.root / "arrays").glob("*/out/*.log"))) == 2)
    toy.end()
    assert toy.files("logs") == set()
    published = toy.run(campaign := toy.campaign("ok exit3", [0]))
    logs = toy.texts("logs")
    assert sorted(logs.values()).count("all runs of toy_0.txt are over\n") == 1
    assert published.plan.counts == {"done": 1, "failed": 1}
    assert toy.noted().count("ok 0") == 1
    assert is_settled(campaign)


def test_cancelled_runs_are_missing_not_failed_and_run_again(toy: Any) -> None:
    campaign = toy.campaign("hold", [0, 1, 2])
    submitted(toy, campaign)
    until(lambda: len(toy.noted()) == 2)
    cancel(campaign, campaign.ledger.arrays(campaign.id))
    assert watch(campaign, campaign.ledger.arrays(campaign.id), lambda _: None, lambda: False) is WatchEnd.ENDED
    toy.let_go()
    assert toy.run(toy.campaign("hold", [0, 1, 2])).plan.complete


def test_a_watch_can_be_stopped_and_leaves_the_jobs_alone(toy: Any) -> None:
    campaign = toy.campaign("hold", [0])
    submitted(toy, campaign)
    until(toy.noted)
    before = time.monotonic()
    assert watch(campaign, uncollected(campaign), lambda _: None, lambda: True) is WatchEnd.STOPPED
    assert time.monotonic() - before < 5
    assert progress_of(campaign, uncollected(campaign)).active == 1
    toy.let_go()
    assert watch(campaign, uncollected(campaign), lambda _: None, lambda: False) is WatchEnd.ENDED
    assert toy.noted("end") == ["hold 0"]


def test_progress_is_told_per_group_as_it_happens(toy: Any) -> None:
    conditions = [{"key": "p", "group": "first"}, {"key": "q", "group": "second", "do": "nap:0.5"}]
    campaign = toy.campaign(conditions, [0, 1], series={"groups": {"first": "", "second": ""}})
    submitted(toy, campaign)
    seen: list[Any] = []
    watch(campaign, uncollected(campaign), seen.append, lambda: False)
    assert dict(seen[-1].groups) == {"first": {JobState.FINISHED: 2}, "second": {JobState.FINISHED: 2}}
    assert all(progress.total == 4 for progress in seen)
    assert seen[0].active > 0


def test_a_look_that_fails_changes_no_state(
    toy: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    campaign = toy.campaign("hold nap:0", [0], retries=3, retry_delay=0.3)
    submitted(toy, campaign)
    until(lambda: len(toy.noted("end")) == 1)
    (array,) = campaign.ledger.arrays(campaign.id)
    journal: Path = toy.site.root / "arrays" / array.name / "journal"
    until(lambda: b'"end"' in journal.read_bytes())
    look(campaign, [array])
    states = campaign.ledger.job_states(array.id)
    assert set(states.values()) == {JobState.RUNNING, JobState.FINISHED}
    good = journal.read_bytes()
    with journal.open("ab") as file:
        file.write(b"no JSON at all\n")
    (array,) = campaign.ledger.arrays(campaign.id)
    assert watch(campaign, [array], lambda _: None, lambda: False) is WatchEnd.TIME_UP
    assert campaign.ledger.job_states(array.id) == states
    assert caplog.text.count("A look at site local failed; states stay as they were") == 1, "said once, not each time"
    assert array.name in caplog.text
    with pytest.raises(SiteError, match="cannot be understood"):
        reconcile(campaign)
    journal.write_bytes(good)
    toy.let_go()
    assert toy.run(toy.campaign("hold nap:0", [0])).plan.complete
    assert len(toy.noted()) == 2


def test_an_array_that_the_site_no_longer_knows_is_lost_never_finished(toy: Any) -> None:
    campaign = toy.campaign("hold", [0])
    submitted(toy, campaign)
    until(toy.noted)
    toy.let_go()
    (array,) = campaign.ledger.arrays(campaign.id)
    directory: Path = toy.site.root / "arrays" / array.name
    toy.end()
    directory.rename(toy.root / "moved away")
    reconcile(campaign)
    assert set(campaign.ledger.job_states(array.id).values()) == {JobState.LOST}
    assert campaign.ledger.arrays(campaign.id)[0].state is ArrayState.OVER
    assert toy.run(toy.campaign("hold", [0])).plan.complete, "its files are there, so it is done all the same"


def test_cleaning_keeps_the_files_of_arrays_that_are_not_over(toy: Any) -> None:
    for name in ("old_start.xml", "old_start.csv"):
        path = toy.working / "old/inits/inits.TOY" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    series = {"inits": [Init("old", "start", "_", (0,), ("xml", "csv"))]}
    held = toy.campaign("hold", [0], series=series)
    submitted(toy, held)
    until(toy.noted)
    other = toy.campaign("hold ok", [0], series=series)
    submitted(toy, other)
    until(lambda: toy.noted("end") == ["ok 0"])
    until(lambda: look(other, other.ledger.arrays(other.id, open_only=True)) or len(open_arrays(other)) == 1)
    until(lambda: look(other, open_arrays(other)) or len(open_arrays(other)) == 1)
    arrays = uncollected(other)
    save_logs(other, arrays)
    clean(other, arrays)
    (still,) = open_arrays(other)
    assert toy.files("inputs") == {"toy_0.txt"}
    assert toy.files("inits") == {"toy_0000.xml", "toy_0000.csv"}
    assert (toy.site.root / "arrays" / still.name).exists()
    toy.let_go()
    assert toy.run(toy.campaign("hold ok", [0], series=series)).plan.complete
    assert toy.files("inputs") | toy.files("inits") == set()


def open_arrays(campaign: Any) -> list[Any]:
    found: list[Any] = campaign.ledger.arrays(campaign.id, open_only=True)
    return found


def test_an_array_that_cannot_be_read_does_not_hide_the_others(toy: Any) -> None:
    for seeds in ([0], [1]):
        submitted(toy, toy.campaign("ok", seeds))
    toy.end()
    campaign = toy.campaign("ok", [0, 1])
    broken, whole = campaign.ledger.arrays(campaign.id)
    (toy.site.root / "arrays" / broken.name / "journal").write_text("nonsense\n")
    assert look(campaign, [broken, whole])
    assert set(campaign.ledger.job_states(whole.id).values()) == {JobState.FINISHED}
    assert set(campaign.ledger.job_states(broken.id).values()) == {JobState.QUEUED}
