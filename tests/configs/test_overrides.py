import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from configs.documents import write_yaml
from configs.overrides import apply_override, get_path, split_path
from simcampaign.errors import ConfigError

NAMES = st.text("abcxyz_", min_size=1, max_size=4)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text("ab:{}[]#'\" ,-0é", max_size=8)
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(NAMES, TREES, max_size=3), st.lists(NAMES, min_size=1, max_size=4), TREES)
def test_what_was_set_is_there_and_nothing_else_changed(config: dict[str, Any], steps: list[str], value: Any) -> None:
    assume(leads_through_mappings(config, steps))
    before = copy.deepcopy(config)
    changed = apply_override(config, f"{'.'.join(steps)}={quoted(value)}")
    assert config == before
    assert get_path(changed, list(steps)) == value
    assert {name: item for name, item in changed.items() if name != steps[0]} == {
        name: item for name, item in before.items() if name != steps[0]
    }


def leads_through_mappings(node: Any, steps: list[str]) -> bool:
    for step in steps:
        if node is not None and not isinstance(node, dict):
            return False
        node = (node or {}).get(step)
    return True


def quoted(value: Any) -> str:
    """The value as a YAML flow, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {quoted(item)}' for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(quoted, value)) + "]"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return write_yaml({"v": value}).removeprefix("v:").strip()


@given(st.lists(st.one_of(NAMES, st.integers(0, 99)), min_size=1, max_size=5))
def test_dotted_and_bracketed_indices_are_the_same_path(steps: list[str | int]) -> None:
    steps = ["top", *steps]
    dotted = ".".join(map(str, steps))
    bracketed = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")
    assert list(map(str, split_path(dotted))) == list(map(str, split_path(bracketed))) == list(map(str, steps))


@pytest.mark.parametrize("path", ["series.conditions.1.p", "series.conditions[1].p"])
def test_one_value_of_a_list_is_set(path: str) -> None:
    config = {"series": {"conditions": [{"p": 1}, {"p": 2}]}}
    assert apply_override(config, f"{path}=7")["series"]["conditions"] == [{"p": 1}, {"p": 7}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0-9", "0-9"),
        ("1e3", 1000.0),
        ("no", "no"),
        ("", ""),
        ("null", None),
        ("a: b", "a: b"),
        ("ERROR #1", "ERROR #1"),
        ("a=b", "a=b"),
        ("[1, x]", [1, "x"]),
        ("{a: 1}", {"a": 1}),
        ("{python} model.py {input}", "{python} model.py {input}"),
        ('"5"', "5"),
    ],
)
def test_values_are_read_as_people_mean_them(text: str, value: object) -> None:
    assert apply_override({}, f"series.x={text}") == {"series": {"x": value}}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("series.seeds.start=3", "series.seeds is neither a mapping nor a list"),
        ("series.conditions.5.p=3", "list of 1"),
        ("series.conditions.x=3", "'x' is no index"),
        ("series..seeds=3", "no dotted path"),
        ("series[x]=3", "no dotted path"),
        ("series.x=[1", "is not YAML"),
        ("series.x={a: 1, a: 2}", "given twice"),
    ],
)
def test_what_cannot_be_set_is_refused_with_its_path(override: str, words: str) -> None:
    with pytest.raises(ConfigError, match="series") as caught:
        apply_override({"series": {"seeds": "0-9", "conditions": [{"key": "a"}]}}, override)
    assert words in str(caught.value)
