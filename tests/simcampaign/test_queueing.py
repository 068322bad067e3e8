"""The order in which waiting jobs start: priority, age, shares, room, dependencies."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from simcampaign.queueing import AGEING_SECONDS, PATIENCE_SECONDS, Queue, Room, SiteRoom, Waiting, hopeless_from_start

NOW = 1_000_000.0
TWO_CORES = Room(sites={"local": SiteRoom(cores=2.0)})


def job(number: int, **given_: object) -> Waiting:
    return Waiting(str(number), number, **{"since": NOW, **given_})  # type: ignore[arg-type]


def queue_of(*jobs: Waiting, weights: dict[str, float] | None = None) -> Queue:
    queue = Queue(weights)
    for each in jobs:
        queue.add(each, {})
    return queue


def picked(queue: Queue, room: Room, now: float = NOW, **taken: float) -> list[str]:
    return [each.id for each in queue.pick(room, taken, now)]


def in_turn(queue: Queue, now: float = NOW) -> list[str]:
    """Start one job after the other, each ended before the next starts."""
    order = []
    while chosen := queue.pick(Room(jobs=1), {}, now):
        order.append(chosen[0].id)
        queue.remove(chosen[0].id)
    return order


def test_higher_priority_goes_first_then_whoever_came_first() -> None:
    assert in_turn(queue_of(job(1), job(2, priority=5), job(3, priority=-1), job(4, priority=5))) == [
        "2",
        "4",
        "1",
        "3",
    ]


def test_a_job_that_has_waited_counts_for_more_so_that_nothing_starves() -> None:
    old = job(1, priority=-3, since=NOW - 4.5 * AGEING_SECONDS)
    assert in_turn(queue_of(job(2), old, job(3, priority=4))) == ["3", "1", "2"]


def test_users_of_the_same_priority_share_by_what_they_take() -> None:
    queue = queue_of(*(job(number, user="greedy") for number in range(6)), job(9, user="modest"))
    assert picked(queue, Room(jobs=2), greedy=3.0) == ["9", "0"]


def test_weights_are_the_users_shares() -> None:
    jobs = [job(number, user="one") for number in range(20)] + [job(number, user="three") for number in range(20, 40)]
    chosen = picked(queue_of(*jobs, weights={"three": 3.0}), Room(jobs=8))
    assert Counter(int(each) >= 20 for each in chosen) == {True: 6, False: 2}


def test_a_priority_goes_before_a_share() -> None:
    queue = queue_of(job(1, user="modest"), job(2, user="greedy", priority=1))
    assert picked(queue, Room(jobs=1), greedy=99.0) == ["2"]


def test_a_change_of_priority_moves_the_job() -> None:
    queue = queue_of(job(1), job(2), job(3))
    queue.add(replace(queue["3"], priority=9), {})
    queue.add(replace(queue["1"], priority=-9), {})
    assert [each.id for each in queue] == ["3", "2", "1"]
    assert in_turn(queue) == ["3", "2", "1"]


def test_a_held_job_waits_and_others_pass() -> None:
    queue = queue_of(job(1, held=True, priority=9), job(2))
    assert picked(queue, Room()) == ["2"]
    queue.add(replace(queue["1"], held=False), {})
    assert picked(queue, Room()) == ["1", "2"]


def test_a_job_waits_for_those_it_comes_after() -> None:
    queue = queue_of(job(1), job(2, after=frozenset({"1"})), job(3, after_ok=frozenset({"1"})))
    assert picked(queue, Room()) == ["1"]
    queue.remove("1")
    assert queue.ended("1", well=True) == []
    assert picked(queue, Room()) == ["2", "3"]


def test_a_job_whose_forerunner_failed_is_named_and_never_starts() -> None:
    queue = queue_of(job(1), job(2, after=frozenset({"1"})), job(3, after_ok=frozenset({"1"})))
    queue.remove("1")
    assert queue.ended("1", well=False) == ["3"]
    assert picked(queue, Room()) == ["2"]
    assert hopeless_from_start(job(4, after_ok=frozenset({"1"}), after=frozenset({"x", "2"})), {"1": False}, ["2"]) == [
        "1",
        "x",
    ]


def test_sites_and_users_have_limits_of_their_own_and_others_pass_by() -> None:
    queue = queue_of(
        job(1, site="hpc", priority=3), job(2, site="hpc", priority=2), job(3, user="b"), job(4, user="b"), job(5)
    )
    assert picked(queue, Room(sites={"hpc": SiteRoom(jobs=1)}, user_jobs={"b": 1})) == ["1", "3", "5"]
    assert picked(queue, Room(user_jobs={"": 1})) == ["1", "3"]


def test_what_is_too_big_is_passed_by_smaller_ones_but_not_for_ever() -> None:
    big, small = job(1, cores=4.0), job(2, cores=1.0)
    assert picked(queue_of(big, small), TWO_CORES) == ["2"]
    waited = replace(big, since=NOW - PATIENCE_SECONDS - 1)
    assert picked(queue_of(waited, small), TWO_CORES) == []
    assert picked(queue_of(waited, replace(small, site="hpc")), TWO_CORES) == ["2"]


jobs_of_any_kind = st.lists(
    st.builds(
        Waiting,
        id=st.just(""),
        order=st.just(0),
        since=st.floats(NOW - 10 * AGEING_SECONDS, NOW),
        user=st.sampled_from("abc"),
        site=st.sampled_from(["local", "hpc"]),
        priority=st.integers(-20, 20),
        cores=st.sampled_from([0.5, 1.0, 2.0, 8.0]),
        memory_mb=st.integers(0, 4000),
        held=st.booleans(),
    ),
    max_size=40,
).map(lambda found: [replace(each, id=str(at), order=at) for at, each in enumerate(found)])


@given(jobs_of_any_kind, st.integers(0, 10), st.floats(0, 16), st.integers(0, 8000))
def test_never_more_than_there_is_room_for_and_picking_changes_nothing(
    jobs: list[Waiting], most: int, cores: float, memory: int
) -> None:
    queue = queue_of(*jobs)
    room = Room(most, {"hpc": SiteRoom(jobs=2), "local": SiteRoom(cores=cores, memory_mb=memory)}, {"a": 1})
    chosen = queue.pick(room, {}, NOW)
    assert len({each.id for each in chosen}) == len(chosen) <= most
    assert sum(each.cores for each in chosen if each.site == "local") <= cores
    assert sum(each.memory_mb for each in chosen if each.site == "local") <= memory
    assert sum(each.site == "hpc" for each in chosen) <= 2
    assert sum(each.user == "a" for each in chosen) <= 1
    assert not any(each.held for each in chosen)
    assert queue.pick(room, {}, NOW) == chosen
    assert len(queue) == len(jobs)


@given(jobs_of_any_kind)
def test_every_job_that_may_start_starts_once_there_is_room(jobs: list[Waiting]) -> None:
    assert sorted(in_turn(queue_of(*jobs)), key=int) == [each.id for each in jobs if not each.held]


@given(jobs_of_any_kind, st.randoms(use_true_random=False))
def test_the_order_is_one_however_jobs_were_lined_up(jobs: list[Waiting], chance: random.Random) -> None:
    shuffled = chance.sample(jobs, len(jobs))
    assert list(queue_of(*shuffled)) == list(queue_of(*jobs))
    assert in_turn(queue_of(*shuffled)) == in_turn(queue_of(*jobs))


@given(st.integers(0, 5), st.integers(1, 20))
def test_a_job_is_overtaken_by_those_alone_that_come_while_their_priority_outweighs_its_age(
    gap: int, per_ageing: int
) -> None:
    queue = queue_of(job(0))
    step, order = AGEING_SECONDS / per_ageing, 1
    overtaking = 2 * (gap * per_ageing + 1)
    for each in range(overtaking + 1):
        now = NOW + each * step
        for _ in range(2):  # more come than can start
            queue.add(replace(job(order, priority=gap), since=now), {})
            order += 1
        (chosen,) = queue.pick(Room(jobs=1), {}, now)
        queue.remove(chosen.id)
        if chosen.id == "0":
            return
    raise AssertionError(f"more than {overtaking} jobs overtook it")


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 12))
def test_shares_of_running_jobs_come_to_the_weights_of_their_users(
    one: int, other: int, rounds: int, head_start: int
) -> None:
    slots = (one + other) * rounds
    jobs = [job(number, user="a" if number % 2 else "b") for number in range(400)]
    queue = queue_of(*jobs, weights={"a": one, "b": other})
    running = [replace(job(number), user="a") for number in range(1000, 1000 + min(head_start, slots))]
    for _ in range(2 * slots):
        taken = {user: float(sum(each.user == user for each in running)) for user in "ab"}
        chosen = queue.pick(Room(jobs=slots - len(running)), taken, NOW)
        running += [queue.remove(each.id) or each for each in chosen]
        shares = Counter(each.user for each in running)
        running.pop(0)  # the oldest ends
    assert abs(shares["a"] - one * rounds) <= 1
    assert shares.total() == slots
