"""Requests in the ledger: one name is one request, tries follow each other, pages do not overlap."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from simcampaign.errors import ConflictError
from simcampaign.jobs import ArrayReport, Cause, JobReport, JobState
from simcampaign.ledger import (
    ArrayState,
    Filter,
    JobRow,
    Ledger,
    NewPart,
    NewRequest,
    PartRow,
    RequestRow,
    Requests,
    job_name,
)

ASKED = NewRequest(
    name="melt", site="hpc", many=True, size=3, group="default", digest="d", token="t", details='{"a": 1}'
)


@pytest.fixture
def requests(ledger: Ledger) -> Requests:
    return Requests(ledger)


def part(*jobs: int, price: float = 0.0) -> NewPart:
    return NewPart(jobs, "/scratch", "{}", 1.0, price)


def create(requests: Requests, *parts: NewPart, **changes: object) -> tuple[RequestRow, list[PartRow]]:
    new = replace(ASKED, **{"token": uuid.uuid4().hex[:16], **changes})
    return requests.create(new, parts or [part(*range(new.size))], "me:1:1")


def end(requests: Requests, row: PartRow, *states: JobState, seconds: float = 10.0) -> None:
    """Submit an array, and have its jobs end so."""
    requests.ledger.submitted(row.array.id, f"remote-{row.array.id}")
    array = requests.parts([row.request_id])[-1].array
    reports = [
        JobReport(
            index, state, Cause.TIMEOUT if state is JobState.FAILED else None, started=100.0, ended=100.0 + seconds
        )
        for index, state in enumerate(states)
    ]
    assert requests.ledger.record(array, ArrayReport("1", reports))


def states(requests: Requests, row: RequestRow) -> list[JobState]:
    return [job.state for job in requests.jobs([row.id])]


def names(jobs: list[JobRow]) -> list[tuple[int, int]]:
    return [(job.request_id, job.index) for job in jobs]


def test_a_request_is_written_down_with_its_arrays_as_intents(requests: Requests) -> None:
    row, parts = create(requests, part(0, 1), part(2))
    assert [each.array.state for each in parts] == [ArrayState.INTENT] * 2
    assert parts[0].array.name.startswith("melt_")
    assert parts[0].array.name != parts[1].array.name
    assert [each.folder for each in parts] == [f"/scratch/{each.array.name}" for each in parts]
    assert [(job.index, job.array_id, job.array_index) for job in requests.jobs([row.id])] == [
        (0, parts[0].array.id, 0),
        (1, parts[0].array.id, 1),
        (2, parts[1].array.id, 0),
    ]
    assert requests.find("melt") == [row]
    assert requests.get(row.id) == row


def test_the_very_same_request_is_there_once_and_another_of_its_name_is_refused(requests: Requests) -> None:
    row, _ = create(requests)
    assert create(requests) == (row, [])
    with pytest.raises(ConflictError, match="another job melt at site hpc"):
        create(requests, digest="other")
    elsewhere, _ = create(requests, site="local")
    assert elsewhere.id != row.id


def test_of_many_who_write_one_request_down_at_once_one_does(requests: Requests) -> None:
    requests.campaign("hpc")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: create(requests), range(8)))
    assert len({row.id for row, _ in found}) == 1
    assert sum(len(parts) for _, parts in found) == 1


def test_the_name_of_an_archived_request_is_free_and_finds_the_living_one_first(requests: Requests) -> None:
    old, parts = create(requests)
    end(requests, parts[0], *[JobState.FINISHED] * 3)
    requests.archive(old.id)
    new, _ = create(requests)
    assert [row.id for row in requests.find("melt", "hpc")] == [new.id, old.id]
    assert [row.group for row in requests.find("melt", "hpc")] == ["default", "archive"]


def test_failed_jobs_are_tried_again_and_the_newest_try_counts(requests: Requests) -> None:
    row, parts = create(requests, part(0, 1, 2, price=3600.0))
    end(requests, parts[0], JobState.FINISHED, JobState.FAILED, JobState.FAILED)
    [again] = requests.try_again(row, [part(1, 2, price=3600.0)], "me:1:1")
    assert states(requests, row) == [JobState.FINISHED, JobState.QUEUED, JobState.QUEUED]
    with pytest.raises(ConflictError, match="melt_0001 is being tried again"):
        requests.try_again(row, [part(1)], "me:1:1")
    end(requests, again, JobState.FINISHED, JobState.FAILED)
    assert states(requests, row) == [JobState.FINISHED, JobState.FINISHED, JobState.FAILED]
    assert requests.costs(row.id) == {0: 10.0, 1: 20.0, 2: 20.0}
    assert requests.jobs([row.id], 2)[0].cause is Cause.TIMEOUT


def test_an_intent_that_is_sent_anew_is_abandoned_only_by_its_owner(requests: Requests) -> None:
    row, parts = create(requests)
    with pytest.raises(ConflictError, match="taken over"):
        requests.try_again(row, [part(0, 1, 2)], "other:2:2", parts[0].array)
    requests.try_again(row, [part(0, 1, 2)], "me:1:1", parts[0].array)
    assert [each.array.state for each in requests.parts([row.id])] == [ArrayState.ABANDONED, ArrayState.INTENT]
    assert states(requests, row) == [JobState.QUEUED] * 3


def test_an_intent_that_is_given_up_says_what_became_of_its_jobs(requests: Requests) -> None:
    row, parts = create(requests)
    assert not requests.give_up(parts[0].array.id, "other:2:2", JobState.LOST, "why")
    assert requests.give_up(parts[0].array.id, "me:1:1", JobState.LOST, "why")
    assert [(job.state, job.cause, job.message) for job in requests.jobs([row.id])] == [
        (JobState.LOST, Cause.STAGING, "why")
    ] * 3


def test_a_request_of_which_nothing_was_submitted_is_forgotten(requests: Requests) -> None:
    row, _ = create(requests)
    requests.withdraw(row.id)
    assert requests.get(row.id) is None
    assert requests.jobs([row.id]) == []
    create(requests, digest="another")


def test_jobs_are_listed_page_by_page_and_filtered(requests: Requests) -> None:
    first, parts = create(requests)
    end(requests, parts[0], JobState.FINISHED, JobState.FAILED, JobState.FINISHED)
    second, _ = create(requests, name="single", many=False, size=1, site="local", group="mine")
    everything = [(second.id, 0), (first.id, 0), (first.id, 1), (first.id, 2)]
    seen: list[tuple[int, int]] = []
    while page := requests.list_jobs(Filter(), 3, seen[-1] if seen else None):
        seen += names(page)
    assert seen == everything
    assert names(requests.list_jobs(Filter(states=[JobState.FAILED]), 9)) == [(first.id, 1)]
    assert names(requests.list_jobs(Filter(site="local"), 9)) == [(second.id, 0)]
    assert names(requests.list_jobs(Filter(group="mine", many=False), 9)) == [(second.id, 0)]
    assert requests.list_jobs(Filter(since=second.created + 1), 9) == []
    assert requests.list_requests(Filter(many=True), 9) == [first]
    assert requests.list_requests(Filter(states=[JobState.QUEUED]), 9) == [second]
    assert requests.list_requests(Filter(), 9, after=second.id) == [first]
    requests.regroup(second.id, "other")
    assert requests.list_jobs(Filter(group="mine"), 9) == []


def test_names_of_members_and_of_single_jobs_do_not_meet(requests: Requests) -> None:
    row, _ = create(requests)
    assert job_name(row, 2) == "melt_0002"
    with pytest.raises(ConflictError):
        create(requests, name="melt_0002", many=False, size=1)
    create(requests, name="melt_0003", many=False, size=1)
    create(requests, name="x_0001", many=False, size=1)
    with pytest.raises(ConflictError, match="x_0001"):
        create(requests, name="x", size=2)
