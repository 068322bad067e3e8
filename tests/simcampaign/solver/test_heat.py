"""Steady temperatures, against what is known in closed form, and as what a mode solver refers to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simcampaign import solver
from simcampaign.errors import ConfigError
from simcampaign.solver import HeatConduction, ThermalMedium, ThermalRectangle, ThermalWalls
from tests.simcampaign.solver.support import result


def test_heat_through_two_layers_falls_along_straight_lines() -> None:
    """The flux is the same in both, so the temperature falls in proportion to width over conductivity."""
    layer = ThermalRectangle(x=(3, 10), y=(0, 1), medium=ThermalMedium(conductivity=4))
    data = result(
        HeatConduction(
            x=(0, 10), y=(0, 1), cell=0.25, background=ThermalMedium(conductivity=1), rectangles=[layer],
            walls=ThermalWalls(x_min=400, x_max=300),
        )
    )  # fmt: skip
    x = data.temperature.x
    flux = 100 / (3 / 1 + 7 / 4)
    expected = np.where(x < 3, 400 - flux * x, 300 + flux * (10 - x) / 4)
    assert data.temperature.values == pytest.approx(np.repeat(expected[:, None], len(data.temperature.y), 1), abs=1e-9)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_uniform_source_between_cold_walls_gives_a_parabola(axis: str) -> None:
    power, conductivity, width = 2e14, 1.5, 4.0
    spans = {"x": (0, 0.4), "y": (0, 0.4), axis: (0, width)}
    walls = ThermalWalls(**{f"{axis}_min": 300, f"{axis}_max": 300})
    medium = ThermalMedium(conductivity=conductivity, power_density=power)
    data = result(HeatConduction(**spans, cell=0.1, background=medium, walls=walls))
    place = getattr(data.temperature, axis)
    profile = data.temperature.values.mean(axis=1 if axis == "x" else 0)
    rise = power / (2 * conductivity) * place * (width - place) * 1e-12
    assert profile - 300 == pytest.approx(rise, rel=2e-3, abs=2e-3 * rise.max())


def test_a_cross_section_without_any_fixed_temperature_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one wall must have a temperature"):
        HeatConduction(x=(0, 1), y=(0, 1), cell=0.5, background={"conductivity": 1}, walls={})


def test_light_feels_the_heat_that_another_task_computed(tmp_path: Path) -> None:
    """The first task's result is handed over by its file; a uniform rise shifts the index as by a warmer medium."""
    spans = {"x": (-1, 1), "y": (-1, 1), "cell": 0.1}
    walls = ThermalWalls(x_min=350, x_max=350, y_min=350, y_max=350)
    HeatConduction(**spans, background=ThermalMedium(conductivity=1), walls=walls).to_file(tmp_path / "heat")

    def guide(index: float, **other: object) -> solver.ModeSolver:
        medium = solver.OpticalMedium(index=index, thermo_optic=2e-4, reference_temperature=300)
        core = solver.Rectangle(x=(-0.3, 0.3), y=(-0.2, 0.2), medium=medium)
        glass = solver.OpticalMedium(index=1.45)
        return solver.ModeSolver(**spans, background=glass, rectangles=[core], frequencies=[1.93e14], **other)

    guide(2, temperature=solver.Reference(task_id="heat-1", name="temperature")).to_file(tmp_path / "light")
    command = [sys.executable, "-m", "simcampaign.solver"]
    subprocess.run([*command, tmp_path / "heat", tmp_path / "heat.out"], check=True, stdout=subprocess.PIPE)
    parent = f"heat-1={tmp_path / 'heat.out'}"
    quoted = subprocess.run([*command, "--quote", tmp_path / "light"], check=True, stdout=subprocess.PIPE)
    assert json.loads(quoted.stdout)["cells"] == 400
    subprocess.run(
        [*command, tmp_path / "light", tmp_path / "light.out", "--parent", parent], check=True, stdout=subprocess.PIPE
    )
    warm = solver.read_result(tmp_path / "light.out").n_eff
    assert warm == pytest.approx(result(guide(2 + 2e-4 * 50)).n_eff, abs=1e-9)
    assert warm > result(guide(2)).n_eff + 1e-3
