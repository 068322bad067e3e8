"""The report on how a value spreads over seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import spread


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Two days of a series with three conditions; one run was done on both."""
    for day, runs in {
        "2026-01-30": {"t10_0000": [9.0, 9.0], "t2_0000": [0.0, 1.0]},
        "2026-01-31": {"t10_0000": [0.0, 3.0], "t10_0001": [0.0, 5.0], "t2.5_0000": [0.0, 2.0]},
    }.items():
        folder = tmp_path / "melt" / day / "outputs"
        folder.mkdir(parents=True)
        for run, values in runs.items():
            rows = "".join(f"{step},{value}\n" for step, value in enumerate(values))
            (folder / f"melt_{run}.csv").write_text(f"step,energy\n{rows}")
    return tmp_path


def pictures(series: Path) -> Path:
    return series / "melt" / "2026-01-31" / "pictures"


def test_values_of_all_days_are_summarised_per_condition_in_natural_order(series: Path) -> None:
    assert spread.main([str(series), "--value", "energy"]) == 0
    assert (pictures(series) / "energy.csv").read_text().splitlines() == [
        "condition,seeds,mean,deviation,least,greatest",
        "t2,1,1,0,1,1",
        "t2.5,1,2,0,2,2",
        "t10,2,4,1.41421,3,5",
    ]


def test_a_picture_is_drawn_and_said_in_words(series: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dated = series / "melt" / "2026-01-31"
    assert spread.main([str(dated), "--value", "energy", "--label", "energy (ε)"]) == 0
    assert capsys.readouterr().out == f"picture: {dated}/pictures/energy.png\n"
    assert (pictures(series) / "energy.png").read_bytes().startswith(b"\x89PNG")
    text = (pictures(series) / "energy.txt").read_text()
    assert text.startswith("energy (ε) of melt against seeds")
    assert "t10 4 ± 1.4 (2 seeds)" in text


def test_the_part_of_a_table_that_counts_can_be_chosen(series: Path) -> None:
    assert spread.main([str(series), "--value", "energy", "--last", "1"]) == 0
    assert "t10,2,2," in (pictures(series) / "energy.csv").read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("step,other\n0,1\n", "has no column energy"),
        ("step,energy\n", "has no rows"),
        ("step,energy\n0,much\n", "cannot be read"),
        ("step,energy\n0\n", "cannot be read"),
        ("step,energy\n0,nan\n", "energy is nan"),
    ],
)
def test_a_table_that_is_none_is_named_with_the_reason(
    series: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    (series / "melt" / "2026-01-31" / "outputs" / "melt_t10_0007.csv").write_text(content)
    assert spread.main([str(series), "--value", "energy"]) == 2
    error = capsys.readouterr().err
    assert "melt_t10_0007.csv" in error
    assert said in error
    assert not (pictures(series) / "energy.png").exists()


def test_a_place_without_outputs_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spread.main([str(tmp_path), "--value", "energy"]) == 2
    assert "no dated folder" in capsys.readouterr().err
