"""The program that reads tidy3d's files, as far as nothing of tidy3d is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simcampaign.service.tidy3d import worker
from tests.packages import install

SOLVER = """
class Broken:
    def estimate(self, simulation):
        return simulation.cells, 1

broken = Broken()
"""


class Antenna:
    """What somebody registered a solver for."""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register a solver that fails."""
    entries = {"Antenna": "broken_solver:broken"}
    monkeypatch.syspath_prepend(install(tmp_path, "broken_solver", SOLVER, worker.GROUP, entries))
    worker.solvers.cache_clear()
    yield
    worker.solvers.cache_clear()


@pytest.mark.usefixtures("broken")
def test_a_registered_solver_that_fails_is_the_fault_of_the_file_alone() -> None:
    with pytest.raises(worker.WrongFile, match=r"the solver registered for tidy3d\.Antenna cannot quote it: .*'cells'"):
        worker.quote(Antenna())
