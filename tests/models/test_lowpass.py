"""Low-pass filters by ngspice: what a run leaves, and what is said if it leaves nothing."""

from __future__ import annotations

import csv
import math
import shutil
from pathlib import Path

import pytest

from models.lowpass.__main__ import BAD_INPUT, BROKE_DOWN, main
from simcampaign.jobs import RunRange
from simcampaign.templates import Template, context

TEMPLATE = Path(__file__).parents[2] / "templates" / "lowpass.cir.j2"
CONDITIONS = {
    "exact": {"key": "exact", "resistance": 1000.0, "capacitance": 1e-6, "tolerance": 0.0},
    "Loose": {"key": "Loose", "resistance": 2000.0, "capacitance": 1e-6, "tolerance": 0.1},
}

pytestmark = pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    ranges = [RunRange("exact", 0, 0), RunRange("Loose", 3, 5)]
    text = Template.compile(TEMPLATE.read_text(), "lowpass.cir.j2").render(context("rc", "_", ranges, CONDITIONS))
    path = tmp_path / "in put.cir"
    path.write_text(text)
    return path


def row(path: Path) -> dict[str, float]:
    (only,) = csv.DictReader(path.open())
    return {name: float(value) for name, value in only.items()}


def test_each_run_leaves_its_parts_and_cutoff_and_its_gain(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "the outputs"
    assert main([str(source), str(output)]) == 0
    keys = ["rc_Loose_0003", "rc_Loose_0004", "rc_Loose_0005", "rc_exact_0000"]
    assert sorted(path.name for path in output.iterdir()) == [f"{key}.{end}" for key in keys for end in ("csv", "tsv")]
    for key in keys:
        parts = row(output / f"{key}.csv")
        expected = 1 / (2 * math.pi * parts["resistance_ohm"] * parts["capacitance_f"])
        assert parts["cutoff_hz"] == pytest.approx(expected, rel=1e-3)
    assert row(output / "rc_exact_0000.csv")["resistance_ohm"] == 1000
    gain = [[float(value) for value in line.split()] for line in (output / "rc_exact_0000.tsv").open().readlines()[1:]]
    assert gain[0][0] == 1
    assert gain[-1][1] < -70


def test_parts_differ_between_seeds_and_are_the_same_for_the_same(source: Path, tmp_path: Path) -> None:
    for output in ("first", "second"):
        assert main([str(source), str(tmp_path / output)]) == 0
    cutoffs = [row(tmp_path / "first" / f"rc_Loose_000{seed}.csv")["cutoff_hz"] for seed in (3, 4, 5)]
    assert len(set(cutoffs)) == 3
    assert row(tmp_path / "second" / "rc_Loose_0003.csv")["cutoff_hz"] == cutoffs[0]


def test_a_circuit_without_a_cutoff_breaks_down_and_leaves_nothing(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write_text(source.read_text().replace("R1 in out 1k\n", ""))
    assert main([str(source), str(tmp_path / "out")]) == BROKE_DOWN
    assert "rc_exact_0000: ngspice" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_an_input_that_names_no_runs_or_paths_outside_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("* nothing\n.end\n", "*run ../up\n.end\n"):
        (tmp_path / "bad.cir").write_text(text)
        assert main([str(tmp_path / "bad.cir"), str(tmp_path / "out")]) == BAD_INPUT
        assert "bad.cir: names no runs" in capsys.readouterr().err
    assert main([str(tmp_path / "absent.cir"), str(tmp_path / "out")]) == BAD_INPUT
