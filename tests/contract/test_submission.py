"""The contract of every site: what is submitted is found again, once."""

from __future__ import annotations

import math
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from simcampaign.errors import ConfigError, SiteError
from simcampaign.jobs import JobState, Resources
from simcampaign.sites.base import Site
from tests.contract.acts import HELD, NAMES_ITSELF, QUIET
from tests.contract.conftest import Over
from tests.contract.places import ConfiguredPlace, Place, Watched, verdicts


def test_an_array_is_found_by_its_name_by_a_new_object_of_the_site(place: Place, over: Over) -> None:
    again = place.site()
    assert again.find(over.array.name) == over.remote_id
    assert over.told_by(again) == over.verdicts


def test_an_array_is_found_by_its_name_from_a_new_process(place: Place, over: Over) -> None:
    if not isinstance(place, ConfiguredPlace):
        pytest.skip("this site lives in this process only")
    assert place.find_elsewhere(over.array.name) == over.remote_id
    assert place.find_elsewhere("no-such-array") is None


def test_a_name_that_the_site_never_had_is_not_found_and_nothing_is_created(place: Place, site: Site) -> None:
    before = place.listing()
    assert site.find("never-was") is None
    assert place.site().find("never-was") is None
    assert place.listing() == before


def test_a_known_name_is_adopted_and_runs_once_while_it_runs_and_when_it_is_over(place: Place, site: Site) -> None:
    if not site.capabilities.adopts:
        pytest.skip("this site does not adopt; the engine asks it by name before it submits")
    array = place.array([HELD], size=2)
    remote_id = site.submit(array)
    assert place.site().submit(array) == remote_id
    watched = Watched(place, site, remote_id)
    watched.until(lambda: place.started(array))
    place.let_go(array)
    watched.end(2)
    assert place.site().submit(array) == remote_id
    assert verdicts(watched.end(2)) == verdicts(Watched(place, site, remote_id).end(2))
    assert place.started(array) == [0, 1]


def test_one_name_submitted_by_several_threads_at_once_runs_once(place: Place, site: Site) -> None:
    if not site.capabilities.adopts:
        pytest.skip("this site does not adopt; the ledger lets only one submit")
    array = place.array([NAMES_ITSELF], size=3)
    sites = [place.site() for _ in range(4)]
    together = threading.Barrier(4)

    def submit(site: Site) -> str:
        together.wait(30)
        return site.submit(array)

    with ThreadPoolExecutor(4) as pool:
        (remote_id,) = set(pool.map(submit, sites))
    Watched(place, site, remote_id).end(3)
    assert place.started(array) == [0, 1, 2]


def test_one_object_serves_many_threads(place: Place, site: Site) -> None:
    arrays = [place.array([NAMES_ITSELF], size=2) for _ in range(4)]

    def run(array: object) -> dict[int, bytes]:
        remote_id = site.submit(array)  # type: ignore[arg-type]
        Watched(place, site, remote_id).end(2)
        return dict(site.logs(remote_id, [0, 1]))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, arrays)) == [{0: b"I am 0\n", 1: b"I am 1\n"}] * 4
    assert [place.started(array) for array in arrays] == [[0, 1]] * 4


def test_the_site_can_be_carried_to_another_process(place: Place, over: Over) -> None:
    carried = pickle.loads(pickle.dumps(over.site))  # noqa: S301 - our own
    assert carried.find(over.array.name) == over.remote_id
    assert over.told_by(carried) == over.verdicts


def test_a_program_that_is_not_there_is_refused_and_nothing_is_created(place: Place, site: Site) -> None:
    if not place.knows_programs:
        pytest.skip("this site cannot know which programs its jobs will find")
    before = place.listing()
    array = place.array([QUIET], command=("no-such-program", "{input}"))
    for refuse in (site.check, site.submit):
        with pytest.raises(SiteError, match="no-such-program"):
            refuse(array)
    assert place.listing() == before


def test_checking_an_array_creates_nothing(place: Place, site: Site) -> None:
    before = place.listing()
    site.check(place.array([QUIET], resources=Resources(cpus=1, memory_mb=64)))
    assert place.listing() == before


def test_an_option_that_does_not_exist_is_named(place: Place) -> None:
    with pytest.raises(ConfigError, match="no_such_option"):
        place.configure(no_such_option=1)


def test_a_bad_value_of_an_option_is_named_with_its_field(place: Place, site: Site) -> None:
    for field in type(site).options.__dataclass_fields__:
        with pytest.raises(ConfigError, match=field):
            place.configure(**{field: {"no": ["such", {"value": 1}]}})


def test_a_price_is_a_number_that_does_not_shrink_with_what_is_asked_for(site: Site) -> None:
    prices = [site.price_per_hour(Resources(cpus=cpus, memory_mb=1024)) for cpus in (1, 2, 4)]
    assert all(math.isfinite(price) and price >= 0 for price in prices)
    assert prices == sorted(prices)


def test_queues_are_listed_by_sites_that_have_them(site: Site) -> None:
    queues = site.queues()
    assert bool(queues) == site.capabilities.queues
    assert all(queue.name and queue.state for queue in queues)
    for queue in queues:
        for figure in (queue.nodes, queue.nodes_used, queue.cores, queue.cores_used, queue.memory_mb):
            assert figure is None or (isinstance(figure, int) and figure >= 0)


def test_a_healthy_site_passes_its_own_examination(site: Site) -> None:
    findings = list(site.doctor())
    assert findings
    assert all(finding.subject and finding.detail for finding in findings)
    assert not [finding for finding in findings if finding.fine is False]


def test_a_site_that_cannot_be_reached_is_examined_without_an_error(place: Place) -> None:
    unreachable = place.unreachable()
    if unreachable is None:
        pytest.skip("this site needs no service that could be gone")
    findings = list(unreachable.doctor())
    assert [finding for finding in findings if finding.fine is False]


def test_jobs_that_ended_are_told_as_such_after_a_long_time_without_a_look(place: Place, site: Site) -> None:
    array = place.array([QUIET], size=20)
    remote_id = site.submit(array)
    Watched(place, site, remote_id).end(20)
    late = Watched(place, place.site(), remote_id).end(20)
    assert {index: job.state for index, job in late.items()} == dict.fromkeys(range(20), JobState.FINISHED)
    assert place.started(array) == list(range(20))
