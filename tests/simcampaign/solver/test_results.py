"""What is done with results: pictures, and files for other programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simcampaign import solver
from simcampaign.solver import (
    HeatConduction,
    LumpedPort,
    ModeSolver,
    OpticalMedium,
    Rectangle,
    TerminalComponentModeler,
    TerminalComponentModelerData,
    ThermalMedium,
    ThermalWalls,
)
from tests.simcampaign.solver.support import result


def component(ports: int, frequencies: list[float]) -> TerminalComponentModelerData:
    """Return results that nobody had to solve for: S[out, in] = (out + 1) / 10 + j (in + 1) / 10."""
    made = [
        LumpedPort(name=f"p{number}", x=(0, 0), y=(0, 0), z=(0, 1), direction="+z", impedance=50 + number)
        for number in range(ports)
    ]
    space = {"x": (0, 1), "y": (0, 1), "z": (0, 1)}
    simulation = TerminalComponentModeler(**space, cell=1, ports=made, frequencies=frequencies)
    s = np.add.outer(np.arange(1, ports + 1), 1j * np.arange(1, ports + 1)) / 10
    return TerminalComponentModelerData(
        simulation=simulation,
        frequencies=frequencies,
        s=s[:, :, None] * np.ones(len(frequencies)),
        field_decay=np.zeros(ports),
    )


@pytest.mark.parametrize("ports", [1, 2, 3])
def test_touchstone_names_rows_out_and_columns_in_with_the_impedance_of_each_port(tmp_path: Path, ports: int) -> None:
    component(ports, [2e9, 1e9]).to_touchstone(tmp_path / "part.ts")
    lines = (tmp_path / "part.ts").read_text().splitlines()
    assert f"[Number of Ports] {ports}" in lines
    assert ("[Two-Port Data Order] 12_21" in lines) == (ports == 2)
    assert f"[Reference] {' '.join(str(50 + number) for number in range(ports))}" in lines
    data = lines[lines.index("[Network Data]") + 1 : -1]
    numbers = np.array(" ".join(data).split(), float).reshape(2, 1 + 2 * ports**2)
    assert list(numbers[:, 0]) == [1e9, 2e9]
    s = (numbers[0, 1::2] + 1j * numbers[0, 2::2]).reshape(ports, ports)
    assert s == pytest.approx(component(ports, [1e9]).s[:, :, 0])
    assert lines[-1] == "[End]"


def test_every_result_draws_itself(tmp_path: Path) -> None:
    core = Rectangle(x=(-0.3, 0.3), y=(-0.2, 0.2), medium=OpticalMedium(index=2))
    space = {"x": (-1, 1), "y": (-1, 1), "cell": 0.2}
    glass = OpticalMedium(index=1.45)
    modes = result(ModeSolver(**space, background=glass, rectangles=[core], frequencies=[1.9e14], modes=2))
    heat = result(HeatConduction(**space, background=ThermalMedium(conductivity=1), walls=ThermalWalls(x_min=300)))
    for position, data in enumerate((modes, heat, component(2, [1e9, 2e9]), component(1, [5.0]))):
        path = tmp_path / f"{position}.png"
        data.plot().savefig(path)
        assert path.read_bytes().startswith(b"\x89PNG")
    assert [each.get_title() for each in modes.plot().axes[:2]] == [
        f"mode {mode}: n_eff = {modes.n_eff[0, mode]:.5f}, {modes.te_fraction[0, mode]:.0%} TE" for mode in (0, 1)
    ]
    labels = component(2, [1e9, 2e9]).plot().axes[0].get_legend_handles_labels()[1]
    assert labels == ["S(p0, p0)", "S(p0, p1)", "S(p1, p0)", "S(p1, p1)"]


def test_without_matplotlib_a_picture_is_refused_with_the_extra_to_install(tmp_path: Path) -> None:
    component(1, [1e9]).to_file(tmp_path / "result")
    program = (
        "import sys; sys.modules['matplotlib'] = sys.modules['matplotlib.figure'] = None\n"
        "from simcampaign import solver\n"
        "from simcampaign.errors import ConfigError\n"
        "data = solver.read_result(sys.argv[1])\n"
        "try: data.plot()\nexcept ConfigError as error: print(error)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "result")]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "needs matplotlib" in said
    assert "simcampaign[solver]" in said


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = component(3, [1e9, 2e9])
    written.to_file(tmp_path / "result")
    read = solver.read_result(tmp_path / "result")
    assert read == written
    assert np.array_equal(read.smatrix(), written.smatrix())
    assert read.ports == ("p0", "p1", "p2")
    with pytest.raises(ValueError, match="read-only"):
        read.smatrix()[0, 0, 0] = 1
