"""The budget: money has a lid, and what does not fit under it is held back with a sentence."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.engine.budget import Held, hold_back
from simcampaign.plan import Plan, digest_of, make_plan
from simcampaign.series import Series

EMPTY = pl.DataFrame(schema={"KEY": pl.String, "EXTENSION": pl.String})
HOUR = 3600.0


def make(sizes: dict[str, int], seeds: int = 10, seeds_per_job: int = 1) -> Plan:
    """Plan groups of so many conditions, with a digest per input."""
    conditions = [{"key": f"{group}{index}", "group": group} for group in sizes for index in range(sizes[group])]
    groups = {group: group for group in sizes}
    series = Series("s", conditions, list(range(seeds)), ["csv"], template_key="t.xml", groups=groups)
    plan = make_plan(series, EMPTY, seeds_per_job=seeds_per_job)
    digests = {group: [digest_of(group, str(i)) for i in range(packing.size)] for group, packing in plan.groups.items()}
    return replace(plan, digests=digests)


def inputs(plan: Plan) -> list[tuple]:
    """Return group, runs and digest of each input that a plan would submit."""
    keys = [condition["key"] for condition in plan.series.conditions]
    return [
        (group, tuple(ranges), digest)
        for group, packing in plan.groups.items()
        for ranges, digest in zip(packing.inputs(keys), plan.digests[group], strict=True)
    ]


def test_without_a_budget_or_a_price_nothing_is_held_back():
    plan = make({"A": 2})
    for price, budget in ((1.0, None), (0.0, 0.0)):
        allowed, held = hold_back(plan, price, None, 5.0, budget, None)
        assert inputs(allowed) == inputs(plan)
        assert (held.runs, held.cost, str(held)) == (0, 0.0, "")


def test_what_fits_exactly_is_kept():
    allowed, held = hold_back(make({"A": 2}), 1.0, HOUR, 10.0, 30.0, None)
    assert allowed.runs_to_do == 20
    assert str(held) == ""


def test_an_array_that_would_exceed_the_budget_is_held_back_whole():
    plan = make({"A": 2, "B": 3})
    allowed, held = hold_back(plan, 1.0, HOUR, 0.0, 49.0, None)
    assert list(allowed.groups) == ["A"]
    assert (held.runs, held.jobs, held.cost) == (30, 30, 30.0)


def test_arrays_are_those_that_the_site_takes():
    allowed, held = hold_back(make({"A": 2}), 1.0, HOUR, 0.0, 15.0, 6)
    assert allowed.jobs == 12
    assert held.jobs == 8


def test_the_first_array_that_does_not_fit_ends_it():
    """A small array behind a big one does not overtake it."""
    allowed, held = hold_back(make({"A": 1, "B": 5, "C": 1}), 1.0, HOUR, 0.0, 30.0, None)
    assert list(allowed.groups) == ["A"]
    assert held.runs == 60


def test_what_was_used_counts():
    allowed, held = hold_back(make({"A": 1}), 1.0, HOUR, 95.0, 100.0, None)
    assert not allowed.jobs
    assert str(held) == (
        "10 runs (10 jobs) are held back: an estimated 10.00 more than the 95.00 already used or planned would exceed "
        "parameters.budget = 100.00; raise it, or run fewer at a time"
    )


def test_small_amounts_are_not_shown_as_zero():
    _, held = hold_back(make({"A": 1}), 0.01, 1.0, 0.0, 0.00001, None)
    assert "an estimated 2.8e-05 more than the 0.00 already used" in str(held)


def test_runs_of_unknown_length_are_all_held_back_and_the_way_out_is_named():
    allowed, held = hold_back(make({"A": 1, "B": 1}), 1.0, None, 0.0, 1e9, 1)
    assert not allowed.groups
    assert held == Held(20, 20, None, 0.0, 1e9)
    assert "declare parameters.seconds_per_run" in str(held)


@pytest.mark.parametrize("digests", [True, False])
def test_a_plan_that_was_not_rendered_yet_can_be_cut_too(digests):
    plan = make({"A": 1, "B": 1})
    plan = plan if digests else make_plan(plan.series, EMPTY)
    allowed, _ = hold_back(plan, 1.0, HOUR, 0.0, 10.0, None)
    assert list(allowed.digests) == (["A"] if digests else [])


@given(
    st.fixed_dictionaries({"A": st.integers(1, 4), "B": st.integers(1, 4), "C": st.integers(1, 4)}),
    st.integers(1, 12),
    st.integers(1, 5),
    st.floats(0.001, 10),
    st.floats(0.1, 1e5),
    st.floats(0, 100),
    st.floats(0, 1000),
    st.one_of(st.none(), st.integers(1, 50)),
)
def test_never_over_the_budget_and_nothing_is_lost(sizes, seeds, per_job, price, seconds, used, budget, array_size):
    plan = make(sizes, seeds, per_job)
    before = inputs(plan)
    allowed, held = hold_back(plan, price, seconds, used, budget, array_size)
    kept = inputs(allowed)
    assert kept == before[: len(kept)]
    assert allowed.runs_to_do + held.runs == plan.runs_to_do
    assert allowed.jobs + held.jobs == plan.jobs
    assert inputs(plan) == before
    if kept:
        assert used + allowed.runs_to_do * (price * seconds / HOUR) <= budget
    if held.runs:
        first_held = min(array_size or len(before), len(before))
        following = sum(each.size for _, ranges, _ in before[len(kept) : len(kept) + first_held] for each in ranges)
        assert used + (allowed.runs_to_do + following) * (price * seconds / HOUR) > budget
    assert bool(str(held)) == bool(held.runs)
