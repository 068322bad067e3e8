"""The summary of a series as text."""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcampaign.manifest import SCHEMA, build, empty
from simcampaign.series import Series, run_key
from simcampaign.summary import fraction, render_text, summarise


def series(keys=("A", "B"), seeds=range(16), extensions=("csv",), name="colony") -> Series:
    return Series(name, [{"key": key} for key in keys], list(seeds), list(extensions))


def manifest(*names: str, location: str = "out") -> pl.DataFrame:
    return build([(location, [f"colony/2026-01-31/outputs/{name}" for name in names])], series())


def cells(text: str, condition: str) -> list[str]:
    row = next(line for line in text.splitlines() if line.split("  ")[0].strip() == condition)
    return [cell for cell in re.split(r"\s{2,}", row) if cell][1:]


def test_a_seeded_file_shows_its_share_and_one_without_seed_a_check():
    files = manifest(*(f"colony_A_{seed:04d}.csv" for seed in range(12)), "colony_A.tar.xz", "colony_B.tar.xz")
    text = render_text(summarise(files, series()))
    assert text.splitlines()[0] == "colony: 2 conditions × 16 seeds = 32 runs"
    assert cells(text, "condition") == ["csv", "tar.xz"]
    assert cells(text, "A") == ["12/16 (75.00 %)", "✓"]
    assert cells(text, "B") == ["✓"]
    assert cells(text, "total") == ["12/32 (37.50 %)", "✓ 2/2"]


def test_without_a_manifest_the_expected_extensions_are_shown_with_nothing():
    text = render_text(summarise(empty(), series(extensions=("csv", "h5"))))
    assert cells(text, "condition") == ["csv", "h5"]
    assert cells(text, "A") == []
    assert cells(text, "total") == ["0/32 (0.00 %)", "0/32 (0.00 %)"]


def test_foreign_files_seeds_and_spellings_do_not_count():
    files = manifest(
        "colony_A_0099.csv", "colony_A_00001.csv", "colony_A_1.csv", "colony_AB_0001.csv", "other_A_0001.png"
    )
    summary = summarise(files, series())
    assert list(summary.extensions) == ["csv"]
    assert summary.counts.sum() == 0


def test_a_file_at_two_locations_counts_once():
    name = "colony_A_0001.csv"
    files = pl.concat([manifest(name), manifest(name, location="elsewhere")])
    assert summarise(files, series()).cell(0, 0) == "1/16 (6.25 %)"


def test_a_condition_key_with_a_dot_and_one_that_ends_in_digits_are_counted():
    wanted = series(keys=("T0.5", "dose_0002"), seeds=[0, 10000])
    names = ["colony_T0.5_0000.csv", "colony_T0.5_10000.csv", "colony_dose_0002_0000.csv", "colony_dose_0002.tar.xz"]
    summary = summarise(build([("out", names)], wanted), wanted)
    assert [summary.cell(0, 0), summary.cell(1, 0), summary.cell(1, 1)] == ["2/2 (100.00 %)", "1/2 (50.00 %)", "✓"]


def test_columns_are_aligned_and_a_limit_says_what_is_left_out():
    keys = [f"condition_{index}" for index in range(1000)]
    files = manifest(*(f"colony_condition_{index}_0000.csv" for index in range(0, 1000, 3)))
    summary = summarise(files, series(keys=keys))
    assert [line.split()[0] for line in render_text(summary).splitlines()[4:-2]] == keys
    lines = render_text(summary, limit=10).splitlines()
    assert len(lines) == 2 + 2 + 10 + 1 + 2
    assert "… 990 more conditions" in lines
    table = [line for line in lines if line.endswith("%)")]
    assert len({len(line) for line in table}) == 1


def test_a_name_that_would_move_the_cursor_is_made_harmless():
    files = pl.DataFrame([["colony_A", "x\x1b[2J\ny", "out", "k"]], schema=SCHEMA, orient="row")
    text = render_text(summarise(files, series()))
    assert "\x1b" not in text
    assert "x�[2J�y" in text


@pytest.mark.parametrize(
    ("count", "total", "shown"),
    [(12, 16, "12/16 (75.00 %)"), (999_999, 1_000_000, "999,999/1,000,000 (99.99 %)"), (3, 3, "3/3 (100.00 %)")],
)
def test_only_all_of_them_is_100_percent(count, total, shown):
    assert fraction(count, total) == shown


@settings(max_examples=25)
@given(
    seeds=st.lists(st.integers(0, 20_000), unique=True, min_size=1, max_size=6),
    keys=st.lists(st.from_regex(r"[A-C]_?[0-9]{0,5}(\.[0-9])?", fullmatch=True), unique=True, min_size=1, max_size=4),
    data=st.data(),
)
def test_counts_are_those_of_a_plain_loop(seeds, keys, data):
    wanted = Series("n", [{"key": key} for key in keys], seeds, ["csv", "h5"])
    if wanted.problems():
        return
    runs = [(key, seed, extension) for key in keys for seed in seeds for extension in ("csv", "h5")]
    there = data.draw(st.sets(st.sampled_from(runs)))
    rows = [[run_key("n", key, seed), extension, "out", ""] for key, seed, extension in there]
    summary = summarise(pl.DataFrame(rows, schema=SCHEMA, orient="row"), wanted)
    expected = [[sum((key, seed, e) in there for seed in seeds) for e in ("csv", "h5")] for key in keys]
    assert np.array_equal(summary.counts, expected)
