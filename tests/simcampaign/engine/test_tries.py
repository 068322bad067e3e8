"""Counting tries: how each run's tries ended, and what follows from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.engine.tries import count_tries
from simcampaign.jobs import Cause, JobState, Resources
from simcampaign.ledger import RunRow
from simcampaign.retry import Limits, next_try
from simcampaign.series import Series

SERIES = Series("s", [{"key": "a"}, {"key": "b"}], [0, 1, 2, 5], ["csv"])
ENDS = [
    (JobState.FINISHED, None),
    (JobState.CANCELLED, None),
    (JobState.LOST, Cause.LOST),
    *((JobState.FAILED, cause) for cause in Cause),
]
SMALL = Resources(memory_mb=100, timeout_seconds=10.0)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 2), st.sampled_from(ENDS)), max_size=30
    ),
    st.integers(0, 30),
)
def test_the_history_of_a_run_is_how_its_jobs_ended_in_their_order(
    jobs: list[tuple[str, int, int, tuple[JobState, Cause | None]]], since: int
) -> None:
    rows: list[RunRow] = [
        (key, start, start + more, str(state), "", "", number, cause and str(cause))
        for number, (key, start, more, (state, cause)) in enumerate(jobs, 1)
    ]
    tries = count_tries(rows, SERIES, since, lambda row: False)
    for condition, key in enumerate("ab"):
        for column, seed in enumerate(SERIES.seeds):
            expected = [
                cause
                for number, (of, start, more, (_, cause)) in enumerate(jobs, 1)
                if number > since and of == key and start <= seed <= start + more
            ]
            assert list(tries.histories[tries.of_run[condition, column]]) == expected


def test_jobs_that_have_not_ended_and_those_of_another_input_are_no_tries() -> None:
    rows: list[RunRow] = [
        ("a", 0, 0, "running", "", "", 1, None),
        ("a", 0, 0, "failed", "old", "", 2, "timeout"),
        ("a", 0, 0, "failed", "", "", 3, "timeout"),
    ]
    tries = count_tries(rows, SERIES, 0, lambda row: row[4] == "old")
    given_next = tries.next(SMALL, Limits(3))
    assert np.argwhere(given_next[Resources(memory_mb=100, timeout_seconds=20.0)]).tolist() == [[0, 0]]
    assert int(given_next[SMALL].sum()) == 7


@pytest.mark.parametrize(
    ("history", "attempts", "given_next"),
    [
        ((), 1, SMALL),
        ((Cause.LOST,), 1, None),
        ((Cause.LOST,), 2, SMALL),
        ((Cause.OUT_OF_MEMORY, Cause.TIMEOUT), 3, Resources(memory_mb=200, timeout_seconds=20.0)),
        ((Cause.LOST, Cause.APPLICATION), 9, None),
        ((None,), 9, None),
        ((Cause.LOST, None), 9, None),
    ],
)
def test_what_the_next_try_is_given_follows_from_all_earlier_ones(
    history: tuple[Cause | None, ...], attempts: int, given_next: Resources | None
) -> None:
    assert next_try(history, SMALL, Limits(attempts)) == given_next
