"""The command that solves files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simcampaign import solver

GLASS = solver.OpticalMedium(index=1.5)


def waveguide(cell: float = 0.1, **other: Any) -> solver.ModeSolver:
    core = solver.Rectangle(x=(-0.5, 0.5), y=(-0.3, 0.3), medium=solver.OpticalMedium(index=2, thermo_optic=1e-4))
    return solver.ModeSolver(
        x=(-2, 2), y=(-2, 2), cell=cell, background=GLASS, rectangles=[core], frequencies=[1.9e14, 2e14], **other
    )


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "simcampaign.solver", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(*arguments: object) -> tuple[int, str, str]:
    process = start(*arguments)
    said, complained = process.communicate()
    return process.returncode, said, complained


def test_a_file_is_quoted_solved_and_its_cost_written_beside_the_result(tmp_path: Path) -> None:
    waveguide().to_file(tmp_path / "in.hdf5")
    status, said, _ = run("--quote", tmp_path / "in.hdf5")
    quoted = json.loads(said)
    assert status == 0
    assert quoted["type"] == "ModeSolver"
    assert quoted["cells"] == 40 * 40
    assert quoted["credits"] == pytest.approx(quoted["cells"] * quoted["steps"] * solver.RATE)
    status, said, complained = run(tmp_path / "in.hdf5", tmp_path / "out.hdf5")
    assert (status, complained) == (0, "")
    progress = [line.split() for line in said.splitlines() if line.startswith("progress ")]
    assert [float(percent) for _, percent, _ in progress] == [0, 50, 100]
    assert json.loads((tmp_path / "out.hdf5.json").read_text()) == quoted
    result = solver.read_result(tmp_path / "out.hdf5")
    assert result.n_eff.shape == (2, 1)
    assert 1.5 < result.n_eff[0, 0] < result.n_eff[1, 0] < 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.hdf5", "out.hdf5", "out.hdf5.json"]


def test_wrong_input_ends_with_2_and_a_message_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"type": "ModeSolver", "x": [0, 1]}')
    status, _, complained = run(tmp_path / "in.json", tmp_path / "out")
    assert status == 2
    assert "ModeSolver.cell: is missing" in complained
    assert run(tmp_path / "absent", tmp_path / "out")[0] == 2
    assert run(tmp_path / "in.json")[0] == 2
    waveguide(temperature=solver.Reference(task_id="heat", name="temperature")).to_file(tmp_path / "in.h5")
    status, _, complained = run(tmp_path / "in.h5", tmp_path / "out")
    assert status == 2
    assert "--parent TASK_ID=FILE" in complained
    assert not (tmp_path / "out").exists()


def test_a_worker_told_to_stop_ends_without_half_a_file(tmp_path: Path) -> None:
    waveguide(0.05, modes=30).to_file(tmp_path / "in")
    process = start(tmp_path / "in", tmp_path / "out")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("progress 0")
    process.send_signal(signal.SIGTERM)
    _, complained = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert "told to stop" in complained
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_run_in_time_told_to_stop_ends_without_half_a_file(tmp_path: Path) -> None:
    port = solver.LumpedPort(name="a", x=(0, 0), y=(0, 0), z=(0, 1e-3), direction="+z")
    space: dict[str, Any] = dict.fromkeys("xyz", (-0.001, 0.001))
    endless = {"ports": [port], "frequencies": [1e10], "run_time": 1e-3, "shutoff": 1e-300}
    solver.TerminalComponentModeler(**space, cell=1e-3, **endless).to_file(tmp_path / "in")
    process = start(tmp_path / "in", tmp_path / "out")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("progress 0")
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
