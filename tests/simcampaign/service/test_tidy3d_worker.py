"""The program that reads tidy3d's files, as far as nothing of tidy3d is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from simcampaign.service.tidy3d import worker

SOLVER = """
class Broken:
    def estimate(self, simulation):
        return simulation.cells, 1

broken = Broken()
"""


class Antenna:
    """What somebody registered a solver for."""


def test_a_registered_solver_that_fails_is_the_fault_of_the_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "broken_solver-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-solver\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[{worker.GROUP}]\nAntenna = broken_solver:broken\n")
    (tmp_path / "broken_solver.py").write_text(SOLVER)
    monkeypatch.syspath_prepend(tmp_path)
    worker.solvers.cache_clear()
    with pytest.raises(worker.WrongFile, match=r"the solver registered for tidy3d\.Antenna cannot quote it: .*'cells'"):
        worker.quote(Antenna())
