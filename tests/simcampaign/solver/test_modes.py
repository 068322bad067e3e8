"""Modes of waveguides, against what is known in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.constants import c, epsilon_0, mu_0
from scipy.optimize import brentq

from simcampaign import solver
from simcampaign.errors import ConfigError
from simcampaign.solver import ModeSolver, OpticalMedium, Rectangle, Walls
from tests.simcampaign.solver.support import result

FREQUENCY = c / 1.55e-6
CORE, CLAD = 3.45, 1.45
THICKNESS = 0.5


def slab_index(order: int, magnetic: bool, core: float = CORE, clad: float = CLAD, width: float = THICKNESS) -> float:
    """Solve κw = 2·atan(ρ·γ/κ) + order·π for the effective index of a symmetric slab (Marcuse, 1991).

    ρ is 1 for TE, and for TM the ratio of the permittivities.
    """
    k0 = 2 * np.pi * FREQUENCY / c * 1e-6
    ratio = (core / clad) ** 2 if magnetic else 1.0

    def mismatch(index: float) -> float:
        kappa, gamma = k0 * np.sqrt(core**2 - index**2), k0 * np.sqrt(index**2 - clad**2)
        return float(kappa * width - 2 * np.arctan(ratio * gamma / kappa) - order * np.pi)

    return float(brentq(mismatch, clad + 1e-12, core - 1e-12, xtol=1e-14))


def slab(cell: float, magnetic: bool, **other: Any) -> ModeSolver:
    """Return a slab across x, without change along y: two cells, between walls that its modes do not feel."""
    wall = "magnetic" if magnetic else "electric"
    core = Rectangle(x=(-THICKNESS / 2, THICKNESS / 2), y=(0, 0.4), medium=OpticalMedium(index=CORE))
    fields: dict[str, Any] = {"x": (-1.5, 1.5), "y": (0, 2 * cell), "modes": 3, "rectangles": [core]}
    fields |= {"walls": Walls(y_min=wall, y_max=wall), "frequencies": [FREQUENCY], **other}
    return ModeSolver(cell=cell, background=OpticalMedium(index=CLAD), **fields)


@pytest.mark.parametrize("magnetic", [False, True], ids=["TE", "TM"])
def test_a_slab_has_the_indices_of_the_closed_form(magnetic: bool) -> None:
    data = result(slab(0.01, magnetic, modes=2))
    assert data.n_eff[0] == pytest.approx([slab_index(order, magnetic) for order in (0, 1)], rel=1e-3)
    assert data.te_fraction[0] == pytest.approx([float(magnetic)] * 2, abs=1e-6)


@pytest.mark.parametrize("magnetic", [False, True], ids=["TE", "TM"])
def test_errors_fall_with_the_square_of_the_cell_wherever_the_interface_lies(magnetic: bool) -> None:
    cells = np.array([0.05, 0.025, 0.0125])
    errors = [abs(result(slab(cell, magnetic, modes=1)).n_eff[0, 0] - slab_index(0, magnetic)) for cell in cells]
    order = np.polyfit(np.log(cells), np.log(errors), 1)[0]
    assert 1.7 < order < 2.6


def strip(cell: float = 0.05, **other: Any) -> ModeSolver:
    core = Rectangle(x=(-0.25, 0.25), y=(-0.11, 0.11), medium=OpticalMedium(index=3.476))
    fields: dict[str, Any] = {"x": (-1.2, 1.2), "y": (-1.0, 1.0), "frequencies": [FREQUENCY], "modes": 2}
    fields |= {"rectangles": [core], **other}
    return ModeSolver(cell=cell, background=OpticalMedium(index=1.444), **fields)


def test_the_group_index_is_the_slope_of_the_index_over_frequency() -> None:
    step = 1e11
    data = result(strip(frequencies=[FREQUENCY - step, FREQUENCY, FREQUENCY + step], modes=1))
    index = data.n_eff[:, 0]
    slope = index[1] + FREQUENCY * (index[2] - index[0]) / (2 * step)
    assert data.n_group[1, 0] == pytest.approx(slope, rel=1e-4)


def test_a_wall_of_symmetry_gives_the_same_mode_on_half_of_the_grid() -> None:
    whole = result(strip())
    half = result(strip(x=(0, 1.2), walls=Walls(x_min="electric"), modes=1))
    assert half.n_eff[0, 0] == pytest.approx(whole.n_eff[0, 0], abs=1e-9)
    assert half.E.shape[-2:] == (24, 40)


def test_a_square_guide_has_two_modes_of_the_same_index() -> None:
    core = Rectangle(x=(-0.2, 0.2), y=(-0.2, 0.2), medium=OpticalMedium(index=3.476))
    data = result(strip(x=(-1, 1), y=(-1, 1), rectangles=[core]))
    assert data.n_eff[0, 0] == pytest.approx(data.n_eff[0, 1], abs=1e-8)


def test_fields_carry_one_watt_and_their_fraction_is_that_of_ex() -> None:
    data = result(strip())
    area = (data.x[1] - data.x[0]) * (data.y[1] - data.y[0]) * 1e-12
    for mode in range(2):
        e, h = data.E[0, mode], data.H[0, mode]
        power = 0.5 * np.real(e[0] * h[1].conj() - e[1] * h[0].conj()).sum() * area
        assert power == pytest.approx(1, rel=0.02)
        squares = (np.abs(e[:2]) ** 2).sum(axis=(1, 2))
        assert data.te_fraction[0, mode] == pytest.approx(squares[0] / squares.sum(), abs=0.03)
    assert data.te_fraction[0, 0] > 0.9
    assert data.te_fraction[0, 1] < 0.2


def test_a_lossy_core_damps_the_mode_by_what_it_confines() -> None:
    """All of the cross-section has the extinction k, so the field decays as in bulk: k_eff = k·n_g/n to first order."""
    lossy = [OpticalMedium(index=index, extinction=1e-4) for index in (3.476, 1.444)]
    core = Rectangle(x=(-0.25, 0.25), y=(-0.11, 0.11), medium=lossy[0])
    fields = {**strip(modes=1).model_dump(), "background": lossy[1].model_dump(), "rectangles": [core.model_dump()]}
    data = result(ModeSolver(**fields))
    clear = result(strip(modes=1))
    assert data.n_eff[0, 0] == pytest.approx(clear.n_eff[0, 0], abs=1e-6)
    # dn_eff/dn of each medium, by finite differences, weighs its extinction (Snyder and Love, 1983, chapter 18).
    shifted = [medium.model_dump() | {"extinction": 0, "index": medium.index + 1e-4} for medium in lossy]
    moved = {**fields, "background": shifted[1], "rectangles": [{**core.model_dump(), "medium": shifted[0]}]}
    assert data.k_eff[0, 0] == pytest.approx(result(ModeSolver(**moved)).n_eff[0, 0] - clear.n_eff[0, 0], rel=1e-3)


def test_a_permittivity_on_a_grid_stands_for_rectangles() -> None:
    x = np.linspace(-1.5, 1.5, 3001)
    values = np.where(np.abs(x) < THICKNESS / 2, CORE**2, CLAD**2)[:, None] * np.ones(2)
    field = solver.GridField(x=x, y=[0, 1], values=values)
    data = result(slab(0.02, False, rectangles=(), permittivity=field, modes=1))
    assert data.n_eff[0, 0] == pytest.approx(slab_index(0, False), rel=2e-3)
    with pytest.raises(ConfigError, match="takes the place of rectangles"):
        slab(0.02, False, permittivity=field)


def test_a_hollow_metal_guide_has_the_cutoff_of_the_closed_form() -> None:
    """TE10 of a rectangular waveguide: n = √(1 - (λ/2a)²); below cutoff the mode decays."""
    hollow = {"x": (0, 2), "y": (0, 1), "cell": 0.05, "background": OpticalMedium(index=1), "target_index": 1}
    data = result(ModeSolver(**hollow, frequencies=[c / 2.5e-6]))
    assert data.n_eff[0, 0] == pytest.approx(np.sqrt(1 - (2.5 / 4) ** 2), rel=1e-3)
    power = np.sqrt(mu_0 / epsilon_0)
    wave_impedance = np.abs(data.E[0, 0, 1]).max() / np.abs(data.H[0, 0, 0]).max()
    assert wave_impedance == pytest.approx(power / data.n_eff[0, 0], rel=1e-2)
    below = result(ModeSolver(**{**hollow, "target_index": 0.01}, frequencies=[c / 5e-6]))
    assert below.k_eff[0, 0] == pytest.approx(np.sqrt((5 / 4) ** 2 - 1), rel=1e-2)


def test_the_same_solve_gives_the_same_digest() -> None:
    first, second = result(strip(0.1)), result(strip(0.1))
    assert solver.digest(first) == solver.digest(second)
