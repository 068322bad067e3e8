"""The contract of every site: what a job is told, and what comes of it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from simcampaign.errors import SiteError
from simcampaign.jobs import ArraySpec, Cause, JobState
from simcampaign.sites.base import Site
from tests.contract.acts import HELD, HOSTILE, HOSTILE_ENVIRONMENT, Told
from tests.contract.conftest import Over
from tests.contract.places import Place, Watched


def test_every_job_is_told_its_index_its_input_and_its_environment(place: Place, site: Site) -> None:
    environment = {"MODEL": "x"}
    names = place.names(environment)
    assert_told(place, site, place.array([Told.of(names)], size=3, environment=environment), names)


def test_hostile_inputs_and_variables_arrive_as_they_are(place: Place, site: Site) -> None:
    names = place.names(HOSTILE_ENVIRONMENT)
    inputs = [HOSTILE, "two\nlines 'of' \"it\"", "-n {index} {}"]
    array = place.array([Told.of(names)], inputs=inputs, environment=HOSTILE_ENVIRONMENT)
    assert_told(place, site, array, names)


def assert_told(place: Place, site: Site, array: ArraySpec, names: list[str]) -> None:
    act = Told.of(names)
    remote_id = site.submit(array)
    jobs = Watched(place, site, remote_id).end(len(array.jobs))
    said = dict(site.logs(remote_id, range(len(jobs))))
    for job in array.jobs:
        told = place.told(array, job)
        seen = replace(job, input_path=told["SIMCAMPAIGN_INPUT"])
        assert said[job.index] == act.printed(array, seen, told)
    assert {job.state for job in jobs.values()} == {JobState.FINISHED}


def test_exit_codes_come_back_and_a_failing_program_is_the_applications_fault(over: Over) -> None:
    states = {index: (job.state, job.cause) for index, job in over.jobs.items()}
    finished = (JobState.FINISHED, None)
    assert states == {0: finished, 1: (JobState.FAILED, Cause.APPLICATION), 2: finished, 3: finished, 4: finished}
    assert over.jobs[1].exit_code == 3
    assert {over.jobs[index].exit_code for index in (0, 2, 3, 4)} <= {0, None}


def test_times_of_ended_jobs_are_known_in_the_end(over: Over) -> None:
    jobs = {**over.jobs}
    for detail in over.site.details(over.remote_id):
        assert detail.state is jobs[detail.index].state
        jobs[detail.index] = detail
    for job in jobs.values():
        assert job.started is not None
        assert job.ended is not None
        assert job.started <= job.ended


def test_what_jobs_print_comes_back_under_their_index_as_it_was(place: Place, over: Over) -> None:
    said = dict(over.site.logs(over.remote_id, range(5)))
    assert said[0] == b"I am 0\n"
    assert said[1] == b"before the end\n"
    assert said[3] in {b"out\nerr\n", b"err\nout\n"}
    assert not said.get(4) or b"no log" in said[4]
    hostile = b"\x1b[31mred\x1b[0m\r\xc3\xa9\xff\xfe\x00 %s\n\n  no end"
    if place.exact_output:
        assert said[2] == hostile
    else:
        assert said[2].decode().rstrip("\n") == hostile.decode(errors="replace")
    assert dict(over.site.logs(over.remote_id, [3])) == {3: said[3]}


def test_logs_are_filtered_where_a_pattern_is_given(place: Place, over: Over) -> None:
    if not place.filters:
        pytest.skip("the service filters, and what stands for it here does not")
    said = dict(over.site.logs(over.remote_id, [0, 1, 3], "?err ?before"))
    assert {index: data for index, data in said.items() if data} == {1: b"before the end\n", 3: b"err\n"}


def test_running_jobs_are_named_and_read_along(place: Place, site: Site) -> None:
    array = place.array([HELD], size=2)
    remote_id = site.submit(array)
    watched = Watched(place, site, remote_id)
    watched.until(lambda: place.started(array) and site.running(remote_id, 5))
    assert set(site.running(remote_id, 5)) <= {0, 1}
    assert len(site.running(remote_id, 1)) == 1
    index = site.running(remote_id, 1)[0]
    if index in watched.look():  # some sites tell numbers before they tell jobs
        assert watched.jobs[index].state is JobState.RUNNING
    if site.capabilities.live_logs:
        watched.until(lambda: dict(site.logs(remote_id, [index])) == {index: b"waiting\n"})
    place.let_go(array)
    watched.end(2)
    assert list(site.running(remote_id, 5)) == []


def test_cancel_ends_all_and_never_starts_what_waits(place: Place, site: Site) -> None:
    array = place.array([HELD], size=12)
    remote_id = site.submit(array)
    watched = Watched(place, site, remote_id)
    watched.until(lambda: place.started(array))
    site.cancel(remote_id)
    jobs = watched.end(12)
    assert {job.state for job in jobs.values()} == {JobState.CANCELLED}
    started = place.started(array)
    site.cancel(remote_id)
    place.let_go(array)
    assert watched.look() == jobs
    assert place.started(array) == started, "nothing starts after its end"


def test_cancel_ends_single_jobs_and_leaves_the_others_alone(place: Place, site: Site) -> None:
    if not site.capabilities.cancels_jobs:
        pytest.skip("this site cancels whole arrays only")
    array = place.array([HELD], size=4)
    remote_id = site.submit(array)
    watched = Watched(place, site, remote_id)
    watched.until(lambda: place.started(array))
    site.cancel(remote_id, [0, 3])
    watched.end(2)
    place.let_go(array)
    states = {index: job.state for index, job in watched.end(4).items()}
    cancelled, finished = JobState.CANCELLED, JobState.FINISHED
    assert states == {0: cancelled, 1: finished, 2: finished, 3: cancelled}


def test_cancelling_what_is_over_or_never_was_is_no_error(over: Over) -> None:
    over.site.cancel(over.remote_id)
    over.site.cancel(over.remote_id, [0, 1])
    over.site.cancel(over.stranger)
    assert over.told_by(over.site) == over.verdicts


def test_waiting_ends_with_the_time_that_was_given(place: Place, site: Site) -> None:
    array = place.array([HELD])
    remote_id = site.submit(array)
    watched = Watched(place, site, remote_id)
    watched.until(lambda: place.started(array))
    watched.look()
    for ids in ([remote_id], [], ["never-was", remote_id]):
        before = time.monotonic()
        try:
            site.wait(ids, 0.3)
        except SiteError:
            assert "never-was" in ids
        assert time.monotonic() - before < 10
    place.let_go(array)
    watched.end(1)
