"""A series: keys of runs and groups, and everything that can be wrong with one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.series import Init, Series, fold, group_key, key_fault, run_key


def series(**changes) -> Series:
    given = {"name": "s", "conditions": [{"key": "A"}], "seeds": [0, 1], "extensions": ["csv"]}
    return Series(**{**given, **changes})


def paths(series: Series) -> list[str]:
    return [problem.path for problem in series.problems()]


def test_a_run_key_pads_the_seed_to_four_digits_or_more():
    assert run_key("colony", "A", 7) == "colony_A_0007"
    assert run_key("colony", "A", 123456) == "colony_A_123456"


def test_keys_fold_double_underscores_and_underscores_before_dots():
    assert run_key("colony", "A_", 7) == "colony_A_0007"
    assert fold("a___b") == "a_b"
    assert fold("a_.csv") == "a.csv"


def test_the_group_underscore_is_left_out_of_names():
    assert group_key("colony", "_") == "colony"
    assert group_key("colony", "treated") == "colony_treated"


@pytest.mark.parametrize("key", ["a/b", "..", "a..b", "/a", "a\nb", "a'b", 'a"b', "é", "", "a b", ".hidden", 3, None])
def test_a_key_that_is_unsafe_in_file_names_is_refused(key):
    found = series(conditions=[{"key": key}]).problems()
    assert [problem.path for problem in found] == ["series.conditions[0].key"]
    assert found[0].value == key
    assert found[0].reason


@pytest.mark.parametrize("key", ["T0.5", "a-b", "a=b,c", "x@y", "low_dose", "1", "a+b"])
def test_keys_of_the_field_are_accepted(key):
    assert key_fault(key) == ""


def test_every_mistake_is_reported_at_once_with_its_path():
    wrong = series(
        conditions=[{"key": "A"}, {"x": 1}, {"key": "A"}], seeds=[0, -1, 0, "2", True], extensions=[], groups={"G": ""}
    )
    assert paths(wrong) == [
        "series.seeds[1]",
        "series.seeds[2]",
        "series.seeds[3]",
        "series.seeds[4]",
        "series.conditions[1].key",
        "series.conditions[2].key",
        "series.extensions",
        "series.groups.G",
    ]


def test_conditions_whose_keys_fold_to_the_same_name_are_refused():
    assert paths(series(conditions=[{"key": "A_B"}, {"key": "A__B"}])) == ["series.conditions[1].key"]


def test_a_group_without_conditions_is_refused_and_a_null_group_is_not():
    conditions = [{"key": "A", "group": "G"}]
    assert paths(series(conditions=conditions, groups={"G": "", "H": ""})) == ["series.groups.H"]
    assert paths(series(conditions=conditions, groups={"G": "", "H": None})) == []


def test_a_condition_belongs_to_its_listed_group_and_the_group_underscore_takes_the_rest():
    both = series(groups={"G": "", "_": "", "off": None})
    assert both.group_of({"key": "A", "group": "G"}) == "G"
    assert both.group_of({"key": "A", "group": "other"}) == "_"
    assert both.group_of({"key": "A"}) == "_"
    assert both.group_of({"key": "A", "group": "off"}) is None
    assert series(groups={"G": ""}).group_of({"key": "A"}) is None


def test_an_init_of_an_unknown_group_is_refused_unless_the_group_underscore_takes_it():
    init = Init("i", "k", "X", (0,), ("csv",))
    assert series(inits=[init]).problems() == []
    assert series(inits=[init]).inits_of("_") == [init]
    conditions = [{"key": "A", "group": "G"}]
    assert paths(series(inits=[init], conditions=conditions, groups={"G": ""})) == ["series.inits[0].group"]


@given(st.text(st.sampled_from("Ab1._-"), min_size=1), st.integers(0, 10**9))
def test_folding_a_run_key_again_changes_nothing(key, seed):
    assert fold(run_key("name", key, seed)) == run_key("name", key, seed)
