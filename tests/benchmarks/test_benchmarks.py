"""The benchmarks are alive: each runs with tiny sizes and prints its ratios. How fast anything is, is not tested."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import __main__ as every
from benchmarks import dispatch, overhead, plan, service, solver, storage
from benchmarks.peer import PeerUnavailable

FACTOR = r"\d+(\.\d+)?"


def test_plan_prints_time_and_memory_of_both_calls(capsys: pytest.CaptureFixture[str]) -> None:
    plan.main(["--sizes", "2000", "--rounds", "1", "--no-peer"])
    printed = capsys.readouterr().out
    for call in ("make_plan", "find_missing_conditions"):
        assert re.search(rf"200 × 10.*{call}(\D+{FACTOR}){{4}}.*1,100", printed), printed


def test_plan_is_measured_with_many_seeds_and_with_many_conditions() -> None:
    assert plan.shapes(1_000_000) == [plan.Shape(1000, 1000), plan.Shape(100_000, 10)]


def test_plan_says_whether_its_goal_is_met() -> None:
    light = plan.Measured(cpu=0.1, wall=0.1, peak=200, growth=50, found=1)
    slow = plan.Measured(cpu=0.4, wall=0.4, peak=200, growth=50, found=1)
    fat = plan.Measured(cpu=0.1, wall=0.1, peak=2000, growth=50, found=1)
    assert "met" in plan.judge(100_000, [light])
    assert "missed" in plan.judge(100_000, [light, slow])
    assert "missed" in plan.judge(100_000, [fat])


def test_plan_manifest_holds_half_of_the_files() -> None:
    shape = plan.Shape(20, 10)
    assert shape.manifest().height == shape.runs
    assert shape.manifest()["FULL_KEY"].n_unique() == shape.runs


def test_dispatch_prints_its_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    dispatch.main(["--jobs", "5", "--rounds", "1", "--no-peer"])
    printed = capsys.readouterr().out
    for way in dispatch.WAYS:
        assert re.search(rf"{way}\D+5\D+{FACTOR}\D+{FACTOR}", printed), printed
    assert "Goal" in printed


def test_dispatch_says_which_peers_are_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable() -> Path:
        raise PeerUnavailable("no network today")

    monkeypatch.setattr(dispatch, "environment", unavailable)
    dispatch.main(["--jobs", "3", "--rounds", "2"])
    printed = capsys.readouterr().out
    for name in dispatch.LAUNCHERS:
        assert f"{name} was not measured: no network today" in printed


def test_storage_prints_its_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    storage.main(["--files", "20"])
    assert len(re.findall(rf"simcampaign is {FACTOR}× as fast", capsys.readouterr().out)) == 2


def test_overhead_prints_its_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    """The ways that need a Prefect server take half a minute; the flow's own command is tried as a dry run."""
    overhead.main(["--jobs", "1", "3", "--rounds", "1", "--ways", "engine", "xargs"])
    printed = capsys.readouterr().out
    for way in ("engine", "xargs"):
        assert re.search(rf"{way}(\D+{FACTOR}){{5}}", printed), printed
    assert "--dryrun" in printed


def test_overhead_is_not_measured_of_jobs_that_leave_no_file(tmp_path: Path) -> None:
    (tmp_path / "install").symlink_to(str(shutil.which("true")))
    bench = overhead.Bench.at(tmp_path)
    idle = replace(bench, environment={**bench.environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    with pytest.raises(RuntimeError, match=r"engine_alone .* exit status 1"):
        idle.campaign("engine", 1)


def test_solver_prints_its_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    solver.main(["--sides", "6", "--modes", "10", "--rounds", "1"])
    printed = capsys.readouterr().out
    for wall in ("electric", "absorbing"):
        assert re.search(rf"FDTD {wall}(\D+{FACTOR})+ triads", printed), printed
    assert re.search(rf"dense eigenvalues {FACTOR} s, {FACTOR}×", printed), printed
    assert re.search(rf"modes 10 × 10: +{FACTOR} s, +\d+ µs per cell", printed), printed


def test_each_benchmark_is_listed_with_its_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        every.main(["--help"])
    printed = capsys.readouterr().out
    for name in every.NAMES:
        assert re.search(rf"^{name} +\S+", printed, re.MULTILINE), printed


def test_unknown_benchmark_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        every.main(["plans"])
    assert "plans" in (said := capsys.readouterr().err)
    assert "dispatch" in said


def test_service_prints_what_one_job_and_many_take(capsys: pytest.CaptureFixture[str]) -> None:
    service.main(["--singles", "3", "--few", "5", "--many", "10", "--no-peer"])
    printed = capsys.readouterr().out
    for label in ("p99, ms", "10 jobs, jobs/s", "memory idle"):
        assert re.search(rf"{label}\D+{FACTOR}", printed), printed
    assert printed.count("Goal") == 4
