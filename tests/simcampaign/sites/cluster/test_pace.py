"""How often a scheduler is asked."""

from __future__ import annotations

import pytest

from simcampaign.sites.cluster.pace import Pace


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def asked_in(seconds: float, pace: Pace, clock: Clock) -> list[float]:
    """Ask whenever it is due, and return when that was."""
    times = []
    end = clock.now + seconds
    while (wait := pace.due_in()) < end - clock.now:
        clock.now += wait
        pace.asked()
        times.append(clock.now)
    clock.now = end
    return times


def in_any_minute(times: list[float]) -> int:
    return max(sum(start <= time < start + 60 for time in times) for start in times)


@pytest.mark.parametrize("news_each", [0.5, 3.0, 37.0])
@pytest.mark.parametrize("eager", [False, True])
def test_no_more_than_six_commands_run_in_any_minute(news_each: float, eager: bool) -> None:
    clock = Clock()
    pace = Pace(20.0, eager, clock)
    times = []
    while clock.now < 1000:
        pace.arrived()
        pace.news()
        times += asked_in(news_each, pace, clock)
    assert in_any_minute(times) <= 6


def test_a_quiet_cluster_is_asked_each_interval() -> None:
    clock = Clock()
    times = asked_in(300.0, Pace(20.0, False, clock), clock)
    assert times[:3] == [20.0, 40.0, 60.0]
    assert in_any_minute(times) == 3


def test_a_new_array_is_looked_at_soon_where_nothing_else_tells_of_its_end() -> None:
    clock = Clock()
    pace = Pace(20.0, True, clock)
    pace.arrived()
    assert asked_in(40.0, pace, clock)[:3] == [0.0, 2.0, 6.0]


def test_a_person_may_have_the_cluster_asked_more_often() -> None:
    clock = Clock()
    assert len(asked_in(60.0, Pace(1.0, False, clock), clock)) == 59
