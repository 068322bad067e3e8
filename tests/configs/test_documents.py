import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.documents import read_yaml, read_yaml_file, write_yaml
from simcampaign.errors import ConfigError

TEXT = st.one_of(
    st.sampled_from(
        [
            "no",
            "1e3",
            "08:30",
            "18:30",
            "1_000",
            "0o17",
            "0x1F",
            "~",
            "",
            " a",
            "a: b",
            "#",
            "-",
            "<<",
            ".inf",
            "=",
            "1.",
            "é",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=20),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False), TEXT)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
)


def read(text: str) -> Any:
    value, problems = read_yaml(text, "f.yaml")
    assert not problems
    return value


def typed(value: Any) -> Any:
    """The value with types, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return [typed(item) for item in value] if isinstance(value, list) else (type(value), value)


@given(VALUES)
def test_what_is_written_reads_back_the_same(value: Any) -> None:
    assert typed(read(write_yaml(value))) == typed(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0),
        ("1_000", "1_000"),
        ("08:30", "08:30"),
        ("18:30", "18:30"),
        ("no", "no"),
        ("on", "on"),
        ("2026-01-02", "2026-01-02"),
        ("0-9", "0-9"),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("-.5", -0.5),
        ("~", None),
        ("", None),
        ("True", True),
        ("'5'", "5"),
        ("-.inf", -math.inf),
        ("1.2.3", "1.2.3"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert typed(read(text)) == typed(value)


def test_anchors_and_merges_give_independent_copies() -> None:
    value = read("a: &a {x: [1]}\nb: {<<: *a, y: 2}\nc: *a")
    value["c"]["x"].append(2)
    assert value == {"a": {"x": [1]}, "b": {"x": [1], "y": 2}, "c": {"x": [1, 2]}}


def test_own_fields_win_over_merged_ones() -> None:
    assert read("a: &a {x: 1}\nb: &b {x: 2, z: 3}\nc: {x: 9, <<: [*a, *b]}")["c"] == {"x": 9, "z": 3}


def test_every_duplicate_key_is_reported_with_both_lines() -> None:
    _, problems = read_yaml("a: 1\nb: {c: 1, c: 2}\na: 2\n", "f.yaml")
    assert [(problem.path, problem.value) for problem in problems] == [
        ("f.yaml, line 2, column 11", "c"),
        ("f.yaml, line 3, column 1", "a"),
    ]
    assert "first on line 1" in problems[1].reason


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: [1\nb: 2", "line 2, column 2", "'b: 2'"),
        ("a: 1\n\tb: 2", "line 2, column 1", "not tabs"),
        ("a: b: c", "line 1, column 5", "'a: b: c'"),
        ("a: 1\nb: 'x\x01'", "line 2, column 6", "control characters"),
        ("? [a]\n: b", "line 1, column 3", "cannot be a key"),
        ("a: *x", "line 1, column 4", "no finished anchor"),
        ("&a [*a]", "line 1, column 5", "no finished anchor"),
        ("- 1\n---\n- 2", "line 2, column 1", "second document"),
        ("a: &a 1\nb: {<<: *a}", "line 2", "<< takes a mapping"),
        ("[" * 100 + "]" * 100, "line 1, column 65", "levels deep"),
    ],
)
def test_malformed_text_is_refused_with_line_column_and_text(text: str, place: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(text, "f.yaml")
    assert f"f.yaml, {place}" in str(caught.value)
    assert words in str(caught.value)


def test_a_few_lines_of_aliases_cannot_fill_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match="aliases stand for more than"):
        read_yaml("\n".join(lines), "f.yaml")


def test_objects_are_never_built_from_tags() -> None:
    value, problems = read_yaml("a: !!python/object/apply:os.getcwd []", "f.yaml")
    assert value == {"a": []}
    assert "tags are not used" in problems[0].reason


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_yaml_file(tmp_path / "f.yaml")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_yaml_file(tmp_path / "f.yaml") == ({"a": 1}, [])
