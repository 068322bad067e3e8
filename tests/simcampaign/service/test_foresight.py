"""How many jobs a site here is handed beyond those that it runs."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from simcampaign.ledger.queuerows import Change, QueueState
from simcampaign.service.core.foresight import AHEAD_SECONDS, LATE_SECONDS, MOST, REMEMBERED, Foresight


def after(seconds: list[float], slots: int = 2) -> Foresight:
    """Return the foresight after jobs that ran for so long."""
    foresight = Foresight(slots)
    for number, each in enumerate(seconds):
        foresight.added(str(number), 1)
        foresight.seen([Change(str(number), QueueState.COMPLETED, started=0.0, ended=each)])
    return foresight


@given(st.lists(st.floats(0, 1e4), max_size=REMEMBERED - 1))
def test_nothing_is_handed_over_ahead_before_enough_jobs_have_ended(seconds: list[float]) -> None:
    assert after(seconds).ahead == 0


@example([1e-310] * REMEMBERED, 1)  # so short that more than any number of them would fit
@given(st.lists(st.floats(0, 1e4), min_size=REMEMBERED, max_size=3 * REMEMBERED), st.integers(1, 64))
def test_what_is_handed_over_ahead_starts_soon_if_jobs_stay_as_they_were(seconds: list[float], slots: int) -> None:
    ahead = after(seconds, slots).ahead
    mean = sum(seconds[-REMEMBERED:]) / REMEMBERED
    assert 0 <= ahead <= MOST
    assert ahead * mean / slots <= AHEAD_SECONDS + 1e-9


def test_jobs_that_have_no_slot_for_too_long_are_handed_back_once_and_others_stay() -> None:
    now = [0.0]
    foresight = Foresight(2, lambda: now[0])
    for name in "abcde":
        foresight.added(name, 1)
    foresight.seen([Change("c", QueueState.RUNNING)])
    assert foresight.late() == set()
    now[0] += LATE_SECONDS
    assert foresight.late() == {"d", "e"}
    assert foresight.late() == set()
    assert not foresight.some_wait
