"""The plan: which runs are done, in flight, missing or incomplete, and how the rest is packed."""

import copy

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.errors import ConfigError
from simcampaign.plan import Known, find_missing, find_missing_conditions, make_plan, selection
from simcampaign.runs import RunState
from simcampaign.series import Series, run_key

CONDITIONS = [{"key": "A", "x": 1}, {"key": "B.5", "x": 2, "group": "G"}]
EXTENSIONS = ["csv", "h5"]


def manifest(*files: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(files, schema={"KEY": pl.String, "EXTENSION": pl.String}, orient="row")


def series(**changes) -> Series:
    return Series(**{"name": "s", "conditions": CONDITIONS, "seeds": [3, 1], "extensions": EXTENSIONS, **changes})


def test_missing_conditions_are_those_given_with_the_seed_ordered_as_the_series_is():
    there = manifest(("s_A_0001", "csv"), ("s_A_0001", "h5"), ("s_B.5_0003", "csv"), ("other_A_0003", "csv"))
    assert find_missing_conditions(there, "s", CONDITIONS, [3, 1], EXTENSIONS) == [
        {"key": "A", "x": 1, "seed": 3},
        {"key": "B.5", "x": 2, "group": "G", "seed": 3},
        {"key": "B.5", "x": 2, "group": "G", "seed": 1},
    ]


def test_an_incomplete_run_names_the_extensions_that_lack():
    found = find_missing(manifest(("s_A_0003", "h5")), "s", CONDITIONS[:1], [3, 1], EXTENSIONS)
    assert found.rows() == [(0, "A", 3, "incomplete", ["csv"]), (0, "A", 1, "missing", ["csv", "h5"])]


def test_finding_what_is_missing_changes_nothing_that_was_given():
    conditions, there = copy.deepcopy(CONDITIONS), manifest(("s_A_0003", "h5"))
    before = there.clone()
    found = find_missing_conditions(there, "s", conditions, [3], EXTENSIONS)
    found[0]["x"] = 99
    assert conditions == CONDITIONS
    assert there.equals(before)


def test_only_the_padded_spelling_of_a_seed_is_its_key():
    there = manifest(("s_A_1", "csv"), ("s_A_00001", "csv"), ("s_A_0001", "csv"))
    assert [row["seed"] for row in find_missing_conditions(there, "s", CONDITIONS[:1], [1, 2], ["csv"])] == [2]
    assert find_missing_conditions(manifest(("s_A_12345", "csv")), "s", CONDITIONS[:1], [12345], ["csv"]) == []


KEYS = st.lists(st.text(st.sampled_from("aB1._-"), min_size=1, max_size=4), min_size=1, max_size=4, unique=True)


@given(KEYS, st.lists(st.integers(0, 20000), min_size=1, max_size=6, unique=True), st.data())
def test_the_vectorised_search_agrees_with_the_definition_of_a_done_run(keys, seeds, data):
    conditions = [{"key": key} for key in keys]
    files = [(run_key("s", key, seed), each) for key in keys for seed in seeds for each in EXTENSIONS]
    there = data.draw(st.lists(st.sampled_from(files), unique=True))
    expected = [
        {"key": key, "seed": seed}
        for key in keys
        for seed in seeds
        if not all((run_key("s", key, seed), each) in there for each in EXTENSIONS)
    ]
    assert find_missing_conditions(manifest(*there), "s", conditions, seeds, EXTENSIONS) == expected


def known(**runs: list[tuple[int, int]]) -> Known:
    nothing = Known.nothing(series())
    for mask, positions in runs.items():
        for position in positions:
            getattr(nothing, mask)[position] = True
    return nothing


def test_a_run_in_flight_is_not_submitted_even_if_some_of_its_files_exist():
    plan = make_plan(series(), manifest(("s_A_0003", "csv")), known(in_flight=[(0, 0), (0, 1), (1, 0), (1, 1)]))
    assert plan.counts == {"in flight": 4}
    assert plan.jobs == 0


def test_a_run_whose_last_job_failed_is_submitted_again_and_shown_as_failed():
    plan = make_plan(series(), manifest(), known(failed=[(0, 0)]))
    assert plan.counts == {"missing": 3, "failed": 1}
    assert plan.runs_to_do == 4


def test_a_finished_run_that_an_old_manifest_lacks_is_unlisted_not_run_again():
    finished = known(finished=[(0, 0)])
    assert make_plan(series(), manifest(), finished, refreshed=False).counts == {"missing": 3, "unlisted": 1}
    assert make_plan(series(), manifest(), finished, refreshed=True).counts == {"missing": 4}


def test_a_stale_run_is_run_again_only_if_asked_for():
    there = manifest(
        *((run_key("s", key, seed), each) for key in ("A", "B.5") for seed in (1, 3) for each in EXTENSIONS)
    )
    stale = known(stale=[(1, 0)])
    kept = make_plan(series(), there, stale)
    assert (kept.counts, kept.jobs, kept.complete) == ({"done": 3, "stale": 1}, 0, True)
    assert make_plan(series(), there, stale, rerun_stale=True).runs_to_do == 1


def test_groups_are_packed_apart_and_a_null_group_is_skipped():
    plan = make_plan(series(groups={"_": "", "G": ""}), manifest(), seeds_per_job=2)
    assert {group: packing.size for group, packing in plan.groups.items()} == {"_": 1, "G": 1}
    skipping = make_plan(series(groups={"_": "", "G": None}), manifest())
    assert (list(skipping.groups), skipping.skipped) == (["_"], 2)


def test_the_reasons_name_every_run_once_with_seeds_as_ranges():
    plan = make_plan(series(seeds=[0, 1, 2, 3]), manifest(("s_A_0001", "csv")))
    assert plan.reasons() == [
        {"condition": "A", "state": "incomplete", "reason": "lacks h5", "seeds": "1"},
        {"condition": "A", "state": "missing", "reason": "has no file", "seeds": "0,2-3"},
        {"condition": "B.5", "state": "missing", "reason": "has no file", "seeds": "0-3"},
    ]


def test_every_state_has_a_code_of_its_own_that_fits_three_bits():
    assert sorted(RunState) == list(np.arange(len(RunState)))
    assert max(RunState) < 8


def test_a_selection_limits_what_is_submitted_and_what_counts_as_complete():
    there = manifest(*((run_key("s", "A", 3), each) for each in EXTENSIONS))
    one = make_plan(series(), there, selected=selection(series(), ["s_B.5_0001"]))
    assert (one.runs_to_do, one.complete, one.counts) == (1, False, {"missing": 3, "done": 1})
    assert make_plan(series(), there, selected=selection(series(), ["s_A_0003"])).complete


def test_a_selected_key_that_is_no_run_is_refused_with_one_that_is():
    with pytest.raises(ConfigError) as caught:
        selection(series(), ["s_A_0007", "s_A_1", "s_B.5_0003", "x"])
    assert [problem.value for problem in caught.value.problems] == ["s_A_0007", "s_A_1", "x"]
    assert "s_A_0003" in str(caught.value)
