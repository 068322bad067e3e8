"""Types of simulations: those that come along, and those of other packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simcampaign import solver
from simcampaign.errors import ConfigError
from tests.packages import install

DOUBLING = '''
from simcampaign.solver import Document, Quote, SimulationType, Solved


class Doubling(Document):
    """A number to double."""

    number: float


class Doubled(Document):
    """Twice a number."""

    number: float


def solve(simulation, progress):
    progress(100, 0)
    return Solved(Doubled(number=2 * simulation.number), 1.0, "doubled", 1, 1)


TYPE = SimulationType("Doubling", Doubling, Doubled, lambda simulation: Quote(1, 1, 1.0), solve)
TEXT = "no type"
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a package with types on the path: one that works and three that do not."""
    types = {"Doubling": "doubling:TYPE", "Other": "doubling:TYPE", "Text": "doubling:TEXT", "Absent": "nowhere:TYPE"}
    folder = install(tmp_path / "packages", "doubling", DOUBLING, "simcampaign.solver_types", types)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_three_types_come_along_and_each_is_called_as_its_files_are() -> None:
    types = solver.types()
    assert set(types) == {"HeatConduction", "ModeSolver", "TerminalComponentModeler"}
    for name, kind in types.items():
        assert kind.name == name == kind.simulation.type_name()
        assert kind.result.type_name() == f"{name}Data"


def test_another_package_adds_a_type_and_what_is_broken_is_listed_with_the_reason(
    package: Path, tmp_path: Path
) -> None:
    assert "Doubling" in solver.types()
    assert not {"Other", "Text", "Absent"} & set(solver.types())
    installed = solver.installed()
    reasons = {name: kind.reason for name in installed if isinstance(kind := installed[name], solver.Broken)}
    assert set(reasons) == {"Other", "Text", "Absent"}
    assert "No module named 'nowhere'" in reasons["Absent"]
    assert "is no SimulationType" in reasons["Text"]
    (tmp_path / "in.json").write_text('{"type": "Doubling", "number": 21}')
    assert solver.read(tmp_path / "in.json").number == 21
    (tmp_path / "broken.json").write_text('{"type": "Absent"}')
    with pytest.raises(ConfigError, match="this type cannot be used: nowhere:TYPE"):
        solver.read(tmp_path / "broken.json")


def test_the_worker_solves_a_type_of_another_package(package: Path, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"type": "Doubling", "number": 21}')
    command = [sys.executable, "-m", "simcampaign.solver", tmp_path / "in.json", tmp_path / "out"]
    path = {"PYTHONPATH": f"{package}:{Path(__file__).parents[3]}"}
    said = subprocess.run(command, env=path, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert said.splitlines() == ["progress 100.0 0", "doubled"]
    assert solver.read_result(tmp_path / "out").number == 42
