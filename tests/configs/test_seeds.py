import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.seeds import MAX_SEEDS, expand_seeds

PIECES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 30)), min_size=1, max_size=8)
GAPS = st.sampled_from(["", " ", "  "])


@given(PIECES, GAPS)
def test_text_expands_to_the_seeds_that_it_was_written_from(pieces: list[tuple[int, int]], gap: str) -> None:
    text = f",{gap}".join(str(first) if not more else f"{first}{gap}-{gap}{first + more}" for first, more in pieces)
    expected = [seed for first, more in pieces for seed in range(first, first + more + 1)]
    assert expand_seeds(text) == (expected, [])


@given(st.lists(st.integers(0, 99)), PIECES)
def test_a_list_may_mix_numbers_and_text(numbers: list[int], pieces: list[tuple[int, int]]) -> None:
    raw = [*numbers, *(f"{first}-{first + more}" for first, more in pieces)]
    expected = numbers + [seed for first, more in pieces for seed in range(first, first + more + 1)]
    assert expand_seeds(raw) == (expected, [])


@given(st.integers(0, 1000), st.integers(1, 1000), st.integers(1, 50))
def test_a_range_is_pythons_range(start: int, length: int, step: int) -> None:
    raw = {"start": start, "stop": start + length, "step": step}
    assert expand_seeds(raw) == (list(range(start, start + length, step)), [])


def test_one_integer_is_one_seed() -> None:
    assert expand_seeds(7) == ([7], [])


@pytest.mark.parametrize(
    ("raw", "path", "words"),
    [
        ("0-9,x", "series.seeds", "'x' is neither a seed"),
        ("", "series.seeds", "'' is neither a seed"),
        ("-1", "series.seeds", "must not be negative"),
        ("9-0", "series.seeds", "runs backwards"),
        ("0-9:2", "series.seeds", "neither a seed"),
        (["0-3", "q"], "series.seeds[1]", "'q' is neither"),
        (1.5, "series.seeds", "must be a list"),
        (True, "series.seeds", "must be a list"),
        (None, "series.seeds", "must be a list"),
        ({"start": 0}, "series.seeds.stop", "is missing"),
        ({"start": 0, "stop": 5, "stepp": 1}, "series.seeds.stepp", "no such field"),
        ({"start": 0, "stop": "5"}, "series.seeds.stop", "must be an integer"),
        ({"start": 0, "stop": 5, "step": 0}, "series.seeds.step", "1 or more"),
        ({"start": 5, "stop": 5}, "series.seeds", "holds no seed"),
        ({"start": 0, "stop": 10**12}, "series.seeds", f"more than {MAX_SEEDS}"),
        ("0-999999999999", "series.seeds", f"more than {MAX_SEEDS}"),
        (["0-999998", "5000000-5000009"], "series.seeds", f"more than {MAX_SEEDS}"),
    ],
)
def test_wrong_seeds_are_named_with_their_place(raw: object, path: str, words: str) -> None:
    _, problems = expand_seeds(raw)
    assert [problem.path for problem in problems] == [path]
    assert words in problems[0].reason


def test_every_wrong_piece_of_a_text_is_reported() -> None:
    assert len(expand_seeds("x,0-3,5-2,-7")[1]) == 3
