"""Watching arrays: few calls, nothing final before it is certain, nothing forgotten."""

from __future__ import annotations

import time
from typing import Any

import pytest

from simcampaign.errors import NetworkError, SiteError
from simcampaign.jobs import ArrayReport, Cause, JobState
from simcampaign.sites.batch import BatchSite
from tests.simcampaign.sites.batch.conftest import NOW, PLACE, Recorded, child, parent, single, site_of
from tests.simcampaign.sites.batch.simulated import SimulatedBatch

EXITED = {"statusReason": "Essential container in task exited", "container": {"exitCode": 3}}
FAILED = {"arrayJobId": "a", "jobStatus": "FAILED"}


def look(site: BatchSite, before: ArrayReport | None = None, job_id: str = "a") -> ArrayReport:
    return site.status({job_id: before.cursor if before else ""})[job_id]


def states(report: ArrayReport) -> dict[int, JobState]:
    return {change.index: change.state for change in report.changes}


def test_a_parents_own_status_is_no_progress(recorded: Recorded) -> None:
    recorded.describes(parent(size=10, status="PENDING", RUNNABLE=3, STARTING=1, RUNNING=2, SUCCEEDED=4))
    report = look(recorded.site())
    assert report.known
    assert not report.changes
    assert report.counts == {JobState.QUEUED: 3, JobState.RUNNING: 3, JobState.FINISHED: 4}


def test_children_that_an_array_has_not_got_yet_are_queued(recorded: Recorded) -> None:
    recorded.describes(parent(size=10, status="SUBMITTED"))
    assert look(recorded.site()).counts == {JobState.QUEUED: 10}


def test_two_hundred_and_fifty_arrays_take_three_calls(recorded: Recorded) -> None:
    ids = [f"array{number}" for number in range(250)]
    for first in (0, 100, 200):
        recorded.describes(*(parent(each, RUNNING=10) for each in ids[first : first + 100]))
    reports = recorded.site().status(dict.fromkeys(ids, ""))
    assert list(reports) == ids
    assert all(report.counts == {JobState.RUNNING: 10} for report in reports.values())


def test_children_are_listed_only_where_failures_grew(recorded: Recorded) -> None:
    site = recorded.site()
    recorded.describes(parent(RUNNING=9, FAILED=1))
    recorded.lists(child(4, **EXITED), **FAILED)
    first = look(site)
    recorded.describes(parent(RUNNING=4, SUCCEEDED=5, FAILED=1))
    second = look(site, first)
    assert not second.changes
    recorded.describes(parent(RUNNING=2, SUCCEEDED=6, FAILED=2))
    recorded.lists(child(4, **EXITED), child(8, **EXITED), **FAILED)
    assert JobState.FAILED is states(look(site, second))[8]


def test_all_pages_of_failed_children_are_read(recorded: Recorded) -> None:
    recorded.describes(parent(size=5, RUNNING=2, FAILED=3))
    recorded.lists(child(0), child(1), token="more", **FAILED)
    recorded.lists(child(4), after="more", **FAILED)
    assert set(states(look(recorded.site()))) == {0, 1, 4}


def test_an_array_without_failures_is_over_without_a_listing(recorded: Recorded) -> None:
    recorded.describes(parent(size=4, status="SUCCEEDED", SUCCEEDED=4))
    report = look(recorded.site())
    assert states(report) == dict.fromkeys(range(4), JobState.FINISHED)
    assert {change.exit_code for change in report.changes} == {0}


def test_when_an_array_is_over_all_but_the_listed_jobs_finished(recorded: Recorded) -> None:
    recorded.describes(parent(size=4, status="FAILED", SUCCEEDED=3, FAILED=1))
    recorded.lists(child(2, **EXITED), **FAILED)
    report = look(recorded.site())
    finished = dict.fromkeys((0, 1, 3), JobState.FINISHED)
    assert states(report) == finished | {2: JobState.FAILED}
    assert report.changes[2].ended == pytest.approx((NOW + 3000) / 1000)
    assert [change.index for change in report.changes[1:3]] == [1, 2]


def test_nothing_finished_while_the_listing_lags_behind_the_numbers(recorded: Recorded) -> None:
    site = recorded.site()
    recorded.describes(parent(size=4, status="FAILED", SUCCEEDED=2, FAILED=2))
    recorded.lists(child(2), **FAILED)
    report = look(site)
    assert states(report) == {2: JobState.FAILED}
    recorded.describes(parent(size=4, status="FAILED", SUCCEEDED=2, FAILED=2))
    recorded.lists(child(2), child(3), **FAILED)
    assert states(look(site, report))[3] is JobState.FAILED


def test_an_index_that_a_summary_lacks_is_read_from_the_id(recorded: Recorded) -> None:
    summary = child(7)
    del summary["arrayProperties"]
    recorded.describes(parent(RUNNING=9, FAILED=1))
    recorded.lists(summary, **FAILED)
    assert set(states(look(recorded.site()))) == {7}


def test_an_array_that_was_ended_before_it_had_children_is_over(recorded: Recorded) -> None:
    ended = parent(size=3, status="FAILED", statusReason="cancelled by simcampaign", stoppedAt=NOW - 120_000)
    recorded.describes(ended)
    recorded.lists(arrayJobId="a", jobStatus="SUCCEEDED")
    recorded.lists(child(1, **EXITED), **FAILED)
    report = look(recorded.site())
    assert states(report) == {0: JobState.CANCELLED, 1: JobState.FAILED, 2: JobState.CANCELLED}


def test_an_array_that_the_service_ended_early_failed_by_its_infrastructure(recorded: Recorded) -> None:
    reason = "ServerException: could not create children"
    recorded.describes(parent(size=2, status="FAILED", statusReason=reason, stoppedAt=NOW - 120_000))
    recorded.lists(arrayJobId="a", jobStatus="SUCCEEDED")
    recorded.lists(**FAILED)
    report = look(recorded.site())
    assert {(change.state, change.cause) for change in report.changes} == {(JobState.FAILED, Cause.INFRASTRUCTURE)}
    assert {change.message for change in report.changes} == {reason}


def test_children_may_appear_for_a_while_after_the_end_of_their_array(recorded: Recorded) -> None:
    recorded.describes(parent(size=3, status="FAILED", stoppedAt=round(time.time() * 1000)))
    assert not look(recorded.site()).changes


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("SUBMITTED", JobState.QUEUED),
        ("PENDING", JobState.QUEUED),
        ("RUNNABLE", JobState.QUEUED),
        ("STARTING", JobState.RUNNING),
        ("RUNNING", JobState.RUNNING),
        ("SUCCEEDED", JobState.FINISHED),
        ("FAILED", JobState.FAILED),
    ],
)
def test_a_job_that_is_no_array_tells_its_own_state_once(recorded: Recorded, status: str, state: JobState) -> None:
    site = recorded.site()
    recorded.describes(single(status))
    first = look(site, job_id="s")
    assert states(first) == {0: state}
    recorded.describes(single(status))
    assert not look(site, first, "s").changes


def test_a_job_is_lost_only_if_it_is_neither_described_nor_listed(recorded: Recorded) -> None:
    site = recorded.site()
    recorded.describes(parent(RUNNING=10))
    seen = look(site)
    name = {"jobQueue": "main", "filters": [{"name": "JOB_NAME", "values": ["ada_colony_rich_ab12_1"]}]}
    recorded.describes(asked=["a"])
    recorded.lists({"jobId": "a", "jobName": "ada_colony_rich_ab12_1", "status": "PENDING"}, **name)
    listed = look(site, seen)
    assert (listed.known, listed.changes) == (True, ())
    for known in (True, False):
        recorded.describes(asked=["a"])
        recorded.lists(**name)
        listed = look(site, listed)
        assert listed.known is known


def test_a_job_that_appears_again_was_not_lost(recorded: Recorded) -> None:
    site = recorded.site(settle_seconds=3600)
    recorded.describes(asked=["a"])
    report = look(site)
    for _ in range(2):
        recorded.describes(asked=["a"])
        report = look(site, report)
        assert report.known
    recorded.describes(parent(RUNNING=10))
    report = look(site, report)
    assert report.counts == {JobState.RUNNING: 10}
    assert "missing" not in report.cursor


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [("ServerException", 500, NetworkError), ("AccessDeniedException", 403, SiteError)],
)
def test_a_look_that_fails_says_so(recorded: Recorded, code: str, status: int, kind: type[Exception]) -> None:
    # Adaptive retries sleep for a long time where the service stays down; one answer is enough here.
    recorded.batch.add_client_error("describe_jobs", code, "no", status, expected_params={"jobs": ["a"]})
    with pytest.raises(kind, match="DescribeJobs"):
        look(recorded.site())


def test_a_status_that_the_service_does_not_have_is_an_error(recorded: Recorded) -> None:
    recorded.describes(single("SLEEPING"))
    with pytest.raises(SiteError, match="SLEEPING"):
        look(recorded.site(), job_id="s")


def test_an_answer_that_makes_no_sense_is_an_error() -> None:
    service = SimulatedBatch()
    site = site_of(**PLACE, settle_seconds=0, client_factory=lambda _: service)
    for answer in ({}, {"jobs": [{}]}, {"jobs": [{"jobId": "a", "jobName": "x", "arrayProperties": {"size": "ten"}}]}):
        service.describe_jobs = lambda jobs, answer=answer: answer  # type: ignore[method-assign]
        with pytest.raises(SiteError, match="DescribeJobs"):
            look(site)


def test_a_cursor_of_another_site_is_an_error(recorded: Recorded) -> None:
    recorded.describes(parent())
    with pytest.raises(SiteError, match="cursor"):
        recorded.site().status({"a": "1234:5"})


def test_times_of_finished_jobs_are_listed_when_asked_for(recorded: Recorded) -> None:
    recorded.describes(parent(size=4, SUCCEEDED=3, FAILED=1))
    recorded.lists(child(0, "SUCCEEDED"), child(1, "SUCCEEDED"), token="t", arrayJobId="a", jobStatus="SUCCEEDED")
    recorded.lists(child(3, "SUCCEEDED"), after="t", arrayJobId="a", jobStatus="SUCCEEDED")
    details = recorded.site().details("a")
    assert [(each.index, each.state) for each in details] == [(i, JobState.FINISHED) for i in (0, 1, 3)]
    assert {(each.started, each.ended) for each in details} == {((NOW + 1000) / 1000, (NOW + 3000) / 1000)}


def test_details_of_a_job_that_is_no_array_or_is_forgotten(recorded: Recorded) -> None:
    recorded.describes(single("SUCCEEDED", startedAt=NOW, stoppedAt=NOW + 500))
    (report,) = recorded.site().details("s")
    assert report.ended == pytest.approx(NOW / 1000 + 0.5)
    recorded.describes(asked=["gone"])
    assert not recorded.site().details("gone")


def test_an_array_is_cancelled_by_one_call(recorded: Recorded) -> None:
    expected = {"jobId": "a", "reason": "cancelled by simcampaign"}
    recorded.batch.add_response("terminate_job", {}, expected)
    recorded.site().cancel("a")


def test_cancelling_what_the_service_forgot_is_no_error_but_a_refusal_is(recorded: Recorded) -> None:
    site = recorded.site()
    for jobs in ([], [parent()]):
        recorded.batch.add_client_error("terminate_job", "ClientException", "no such job", 400)
        recorded.describes(*jobs, asked=["a"])
        if jobs:
            with pytest.raises(SiteError, match="no such job"):
                site.cancel("a")
        else:
            site.cancel("a")


def test_a_cancelled_array_ends_as_cancelled(array: Any) -> None:
    service = SimulatedBatch()
    site = site_of(**PLACE, settle_seconds=0, client_factory=lambda _: service)
    job_id = site.submit(array(5))
    service.end(job_id, 2)
    site.cancel(job_id)
    report = look(site, job_id=job_id)
    cancelled = dict.fromkeys(range(2, 5), JobState.CANCELLED)
    assert states(report) == dict.fromkeys(range(2), JobState.FINISHED) | cancelled


def test_running_children_are_asked_for_in_one_call(recorded: Recorded) -> None:
    recorded.describes(parent(size=3))
    recorded.lists(child(2, "RUNNING"), child(0, "RUNNING"), arrayJobId="a", jobStatus="RUNNING")
    assert recorded.site().running("a", 1) == [2]
