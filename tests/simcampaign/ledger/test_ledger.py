"""The ledger: intents before submissions, claims that never overlap, states that never go back."""

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from simcampaign.errors import ConfigError, ConflictError, LocationError, NetworkError
from simcampaign.jobs import ArrayReport, Cause, JobReport, JobState, RunRange
from simcampaign.ledger import ArrayState, Intent, Ledger, RangeEntry

OWNER = "host:1:0.00"


def intent(*inputs: list[RunRange], group: str = "_", digest: str = "d1") -> Intent:
    entries = [[RangeEntry(each, "f", "r") for each in ranges] for ranges in inputs]
    return Intent(
        group=group,
        digest=digest,
        site="local",
        date="2026-01-31",
        model="M",
        input_extension="xml",
        cpus=2.0,
        price_per_hour=0.5,
        inputs=entries,
    )


TWO = ([RunRange("A", 0, 1)], [RunRange("A", 2, 2), RunRange("B", 0, 0)])


def submitted(ledger: Ledger, *intents: Intent) -> int:
    campaign = ledger.campaign("s", "/here")
    for claimed in ledger.claim(campaign, ledger.version(campaign), OWNER, intents or [intent(*TWO)]):
        ledger.submitted(claimed.array_id, f"remote-{claimed.name}")
    return campaign


def test_a_campaign_is_its_series_in_its_location(ledger):
    assert ledger.find_campaign("s", "/here") is None
    campaign = ledger.campaign("s", "/here")
    assert ledger.campaign("s", "/here") == campaign == ledger.find_campaign("s", "/here")
    assert ledger.campaign("s", "/there") != campaign


def test_a_claim_from_an_outdated_plan_is_refused_and_writes_nothing(ledger):
    campaign = ledger.campaign("s", "/here")
    version = ledger.version(campaign)
    ledger.claim(campaign, version, OWNER, [intent(*TWO)])
    with pytest.raises(ConflictError, match="plan again"):
        ledger.claim(campaign, version, "host:2:0.00", [intent(*TWO)])
    assert len(ledger.arrays(campaign)) == 1


def _claim(url: str, start, results) -> None:
    ledger = Ledger(url)
    campaign = ledger.campaign("s", "/here")
    version = ledger.version(campaign)
    start.wait()
    try:
        ledger.claim(campaign, version, OWNER, [intent(*TWO)])
        results.put("claimed")
    except ConflictError:
        results.put("refused")


def test_of_processes_that_claim_at_once_exactly_one_succeeds(ledger, ledger_url):
    ledger.campaign("s", "/here")
    spawn = multiprocessing.get_context("spawn")
    start, results = spawn.Barrier(3), spawn.Queue()
    processes = [spawn.Process(target=_claim, args=(ledger_url, start, results)) for _ in range(3)]
    for process in processes:
        process.start()
    outcomes = sorted(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert outcomes == ["claimed", "refused", "refused"]


def test_names_are_deterministic_and_a_second_attempt_has_its_own(ledger):
    campaign = ledger.campaign("s", "/here")
    names = [
        ledger.claim(campaign, ledger.version(campaign), OWNER, [intent(*TWO, group="G")])[0].name for _ in range(2)
    ]
    assert names == ["s_G_d1_1", "s_G_d1_2"]


def test_no_two_arrays_of_a_day_share_the_names_of_their_inputs(ledger):
    campaign = ledger.campaign("s", "/here")
    file_sets = [
        ledger.claim(campaign, ledger.version(campaign), OWNER, [intent(*TWO, group=group)])[0].file_set
        for group in ("_", "_", "G", "G-2", "G")
    ]
    assert file_sets == ["s", "s-2", "s_G", "s_G-2", "s_G-3"]


def test_a_report_moves_jobs_and_the_array_is_over_when_every_job_has_ended(ledger):
    campaign = submitted(ledger)
    [array] = ledger.arrays(campaign)
    ledger.record(array, ArrayReport("1", [JobReport(0, JobState.FINISHED, exit_code=0, started=1.0, ended=3.0)]))
    [array] = ledger.arrays(campaign, open_only=True)
    assert ledger.job_counts([array.id]) == {array.id: {JobState.FINISHED: 1, JobState.QUEUED: 1}}
    ledger.record(array, ArrayReport("2", [JobReport(1, JobState.FAILED, Cause.APPLICATION, 3, message="boom")]))
    assert ledger.arrays(campaign, open_only=True) == []
    [failure] = ledger.failures(campaign)
    assert (failure.job_id, failure.cause, failure.exit_code) == ("s_d1_1_0001", Cause.APPLICATION, 3)
    assert failure.ranges == (RunRange("A", 2, 2), RunRange("B", 0, 0))


def test_a_report_that_comes_late_changes_nothing(ledger):
    campaign = submitted(ledger)
    [before] = ledger.arrays(campaign)
    assert ledger.record(before, ArrayReport("9", [JobReport(0, JobState.FINISHED)]))
    assert not ledger.record(before, ArrayReport("5", [JobReport(0, JobState.RUNNING)]))
    assert ledger.job_states(before.id)[0] is JobState.FINISHED


def test_a_final_state_stays(ledger):
    campaign = submitted(ledger)
    for cursor, state in (("1", JobState.FINISHED), ("2", JobState.RUNNING)):
        [array] = ledger.arrays(campaign)
        ledger.record(array, ArrayReport(cursor, [JobReport(0, state)]))
    assert ledger.job_states(array.id)[0] is JobState.FINISHED


def test_active_jobs_of_an_array_that_the_site_does_not_know_are_lost_never_finished(ledger):
    campaign = submitted(ledger)
    [array] = ledger.arrays(campaign)
    ledger.record(array, ArrayReport("1", [JobReport(0, JobState.FINISHED)]))
    [array] = ledger.arrays(campaign)
    ledger.record(array, ArrayReport("", known=False))
    assert ledger.job_states(array.id) == {0: JobState.FINISHED, 1: JobState.LOST}


def test_an_abandoned_intent_leaves_no_run_behind(ledger):
    campaign = ledger.campaign("s", "/here")
    [claimed] = ledger.claim(campaign, ledger.version(campaign), OWNER, [intent(*TWO)])
    assert [row[3] for row in ledger.runs(campaign)] == ["queued"] * 3
    ledger.abandon(claimed.array_id)
    assert ledger.runs(campaign) == []
    assert ledger.arrays(campaign, open_only=True) == []


def test_an_array_that_was_submitted_cannot_be_abandoned(ledger):
    campaign = submitted(ledger)
    [array] = ledger.arrays(campaign)
    ledger.abandon(array.id)
    assert ledger.arrays(campaign)[0].state is ArrayState.SUBMITTED


def test_only_one_heir_takes_over_an_orphaned_intent(ledger):
    campaign = ledger.campaign("s", "/here")
    ledger.claim(campaign, ledger.version(campaign), OWNER, [intent(*TWO)])
    [orphan] = ledger.arrays(campaign)
    assert ledger.take_over(orphan, "host:2:0.00")
    assert not ledger.take_over(orphan, "host:3:0.00")
    with pytest.raises(ConflictError, match="taken over"):
        ledger.renew([orphan.id], OWNER)


def test_seconds_per_run_are_the_median_of_the_models_finished_jobs(ledger):
    campaign = submitted(ledger)
    assert ledger.seconds_per_run("M") is None
    [array] = ledger.arrays(campaign)
    reports = [
        JobReport(0, JobState.FINISHED, started=0.0, ended=4.0),
        JobReport(1, JobState.FINISHED, started=0.0, ended=8.0),
    ]
    ledger.record(array, ArrayReport("1", reports))
    assert ledger.seconds_per_run("M") == pytest.approx(3.0)
    assert ledger.seconds_per_run("other") is None
    usage = ledger.usage(campaign)
    assert (usage.jobs, usage.wall_seconds, usage.core_seconds) == (2, 12.0, 24.0)
    assert usage.cost == pytest.approx(12 / 3600 * 0.5)


def test_a_url_that_is_none_is_a_mistake_in_the_configuration():
    with pytest.raises(ConfigError, match="SIMCAMPAIGN_LEDGER_URL"):
        Ledger("nonsense")


def test_a_ledger_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LocationError, match="file"):
        Ledger(f"sqlite:///{tmp_path / 'file' / 'ledger.sqlite'}")


def test_a_database_server_that_does_not_answer_is_a_network_error_without_its_password():
    with pytest.raises(NetworkError) as caught:
        Ledger("postgresql+psycopg://user:hunter2@127.0.0.1:1/db")
    assert "hunter2" not in str(caught.value)


def test_a_ledger_of_another_format_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    Ledger(f"sqlite:///{path}").database.engine.dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE simcampaign_versions SET version = 99")
    with pytest.raises(LocationError, match="format 99"):
        Ledger(f"sqlite:///{path}")


def test_while_an_array_is_open_the_numbers_that_its_site_tells_are_shown(ledger):
    campaign = submitted(ledger)
    [array] = ledger.arrays(campaign)
    ledger.record(array, ArrayReport("1", counts={JobState.FINISHED: 1, JobState.RUNNING: 1}))
    assert ledger.job_counts([array.id])[array.id] == {JobState.FINISHED: 1, JobState.RUNNING: 1}
    [array] = ledger.arrays(campaign)
    done = [JobReport(index, JobState.FINISHED) for index in range(2)]
    ledger.record(array, ArrayReport("2", done, counts={JobState.RUNNING: 2}))
    assert ledger.job_counts([array.id])[array.id] == {JobState.FINISHED: 2}


def test_details_fill_in_times_that_were_not_known_and_change_no_others(ledger):
    campaign = submitted(ledger)
    [array] = ledger.arrays(campaign)
    known = JobReport(1, JobState.FINISHED, started=5.0, ended=6.0)
    ledger.record(array, ArrayReport("1", [JobReport(0, JobState.FINISHED), known]))
    ledger.complete(array.id, [JobReport(index, JobState.FINISHED, started=0.0, ended=4.0) for index in range(2)])
    assert ledger.usage(campaign).wall_seconds == 5.0


def test_a_ledger_of_the_version_before_is_brought_up_to_date(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    ledger = Ledger(url)
    campaign = ledger.campaign("s", "/there")
    with ledger.database.write() as connection:
        for statement in (
            "ALTER TABLE campaigns DROP COLUMN tries_since",
            "DROP INDEX ix_queue_jobs_array",
            "ALTER TABLE queue_jobs DROP COLUMN array",
            "UPDATE simcampaign_versions SET version = 1",
        ):
            connection.execute(sa.text(statement))
    ledger.database.engine.dispose()
    upgraded = Ledger(url)
    assert upgraded.campaign("s", "/there") == campaign
    assert upgraded.tries_since(campaign) == 0
