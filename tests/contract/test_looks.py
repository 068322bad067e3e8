"""The contract of every site: what a look tells, and what it never tells."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest

from simcampaign.errors import NetworkError, SiteError
from simcampaign.jobs import JobState
from simcampaign.sites.base import Site
from tests.contract.acts import HELD, NAMES_ITSELF
from tests.contract.conftest import Over
from tests.contract.places import Place, Watched, verdicts
from tests.support import until


def test_the_end_of_a_job_is_told_once(over: Over) -> None:
    ends = Counter(report.index for report in over.watched.told if not report.state.active)
    assert ends == dict.fromkeys(range(5), 1)
    report = over.site.status({over.remote_id: over.watched.cursor})[over.remote_id]
    assert report.known
    assert list(report.changes) == []


def test_an_old_cursor_is_told_everything_again(place: Place, over: Over) -> None:
    assert over.told_by(place.site()) == over.verdicts
    assert over.told_by(over.site) == over.verdicts


@pytest.mark.parametrize("cursor", ["no cursor", "-1:x", "\0"])
def test_a_cursor_that_is_none_of_the_sites_is_refused(over: Over, cursor: str) -> None:
    with pytest.raises(SiteError):
        over.site.status({over.remote_id: cursor})


def test_jobs_never_go_back_from_an_end(over: Over) -> None:
    ended: set[int] = set()
    for report in over.watched.told:
        assert report.index not in ended
        ended |= set() if report.state.active else {report.index}


def test_an_id_that_the_site_never_had_is_unknown_and_its_jobs_have_not_finished(over: Over) -> None:
    stranger, cursor = over.stranger, ""

    def is_unknown() -> bool:
        """A service that may be slow to list what is new gives it some time."""
        nonlocal cursor
        reports = over.site.status({stranger: cursor, over.remote_id: ""})
        assert set(reports) == {stranger, over.remote_id}
        assert [change for change in reports[stranger].changes if change.state is JobState.FINISHED] == []
        assert reports[over.remote_id].known
        cursor = reports[stranger].cursor
        return not reports[stranger].known

    until(is_unknown)
    assert over.told_by(over.site) == over.verdicts


def test_nothing_is_told_where_nothing_is_asked(over: Over) -> None:
    assert dict(over.site.status({})) == {}
    assert list(over.site.logs(over.remote_id, [])) == []


def test_a_cleaned_array_is_unknown_or_as_it_was_and_is_not_run_again(place: Place, site: Site) -> None:
    array = place.array([NAMES_ITSELF], size=2)
    remote_id = site.submit(array)
    watched = Watched(place, site, remote_id)
    jobs = watched.end(2)
    site.clean(remote_id)
    site.clean(remote_id)
    assert place.site().find(array.name) in {None, remote_id}
    report = site.status({remote_id: watched.cursor})[remote_id]
    again = {change.index: change for change in report.changes}
    assert verdicts(again).items() <= verdicts(jobs).items()
    assert dict(site.logs(remote_id, [0, 1])) in ({}, {0: b"I am 0\n", 1: b"I am 1\n"})
    assert list(site.running(remote_id, 5)) == []
    site.cancel(remote_id)
    assert place.started(array) == [0, 1]


def test_cleaning_leaves_no_trace_of_the_array(place: Place, site: Site) -> None:
    if not place.cleans:
        pytest.skip("this service forgets by itself")
    before = place.listing()
    array = place.array([NAMES_ITSELF])
    remote_id = site.submit(array)
    Watched(place, site, remote_id).end(1)
    assert place.listing() - before
    site.clean(remote_id)
    assert place.listing() - before == set()


def test_cleaning_takes_nothing_from_an_array_that_is_active(place: Place, site: Site) -> None:
    array = place.array([HELD], size=2)
    remote_id = site.submit(array)
    watched = Watched(place, site, remote_id)
    watched.until(lambda: place.started(array))
    with contextlib.suppress(SiteError):
        site.clean(remote_id)
    place.let_go(array)
    assert {job.state for job in watched.end(2).values()} == {JobState.FINISHED}
    assert place.started(array) == [0, 1]


def test_a_site_that_cannot_be_reached_says_so_and_tells_nothing(place: Place, over: Over) -> None:
    unreachable = place.unreachable()
    if unreachable is None:
        pytest.skip("this site needs no service that could be gone")
    calls = [
        lambda: unreachable.status({over.remote_id: ""}),
        lambda: unreachable.find(over.array.name),
        lambda: unreachable.submit(place.array([NAMES_ITSELF])),
        lambda: unreachable.cancel(over.remote_id),
    ]
    for call in calls:
        with pytest.raises((SiteError, NetworkError)):
            call()
