"""Solve for the modes of a cross-section."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.constants import c, epsilon_0, mu_0
from scipy.sparse.linalg import ArpackError, eigs

from simcampaign.errors import ConfigError, Problem, SimulationError
from simcampaign.solver.kinds import Progress, Quote, Solved, quote
from simcampaign.solver.mode import material
from simcampaign.solver.mode.data import ModeSolverData
from simcampaign.solver.mode.operators import Axis, Operators, build, spread
from simcampaign.solver.mode.simulation import ModeSolver

SOLVE_STEPS = 10_000
"""Time steps of one cell that the solve of one cell at one frequency is worth, by CPU time: 0.2 ms."""

MICROMETRE = 1e-6
IMPEDANCE = float(np.sqrt(mu_0 / epsilon_0))


def estimate(simulation: ModeSolver) -> Quote:
    """Return what the solve costs: a solve for each frequency."""
    nx, ny = simulation.shape
    return quote(nx * ny, SOLVE_STEPS * len(simulation.frequencies))


@dataclass(frozen=True)
class _Modes:
    """Modes at one frequency."""

    index: NDArray[np.complex128]
    group: NDArray[np.float64]
    te_fraction: NDArray[np.float64]
    electric: NDArray[np.complex128]
    magnetic: NDArray[np.complex128]


def solve(simulation: ModeSolver, progress: Progress) -> Solved:
    """Solve frequency after frequency. Raises SimulationError where no modes are found."""
    if waiting := simulation.references():
        problems = [Problem(each.name, each.task_id, "is still a reference") for each in waiting]
        raise ConfigError(problems, "put data in by resolved({task_id: result})")
    permittivity = material.average(simulation)
    found = []
    for done, frequency in enumerate(simulation.frequencies):
        progress(100 * done / len(simulation.frequencies), 0.0)
        found.append(_at(simulation, frequency, permittivity))
    progress(100, 0.0)
    x, y = simulation.nodes
    index = np.stack([each.index for each in found])
    result = ModeSolverData(
        simulation=simulation,
        n_eff=index.real,
        k_eff=-index.imag,
        n_group=np.stack([each.group for each in found]),
        te_fraction=np.stack([each.te_fraction for each in found]),
        x=(x[:-1] + x[1:]) / 2,
        y=(y[:-1] + y[1:]) / 2,
        E=np.stack([each.electric for each in found]),
        H=np.stack([each.magnetic for each in found]),
    )
    cost = estimate(simulation)
    lines = [
        f"{frequency:.6g} Hz: n_eff {', '.join(f'{value:.6f}' for value in each.index.real)}"
        for frequency, each in zip(simulation.frequencies, found, strict=True)
    ]
    return Solved(result, cost.credits, "\n".join(lines), cost.cells, cost.steps)


def _at(simulation: ModeSolver, frequency: float, permittivity: material.Permittivity) -> _Modes:
    wavenumber = 2 * np.pi * frequency / c
    scale = MICROMETRE * wavenumber
    walls = simulation.walls
    x, y = simulation.nodes
    axes = Axis(x * scale, walls.x_min, walls.x_max), Axis(y * scale, walls.y_min, walls.y_max)
    operators = build(*axes, permittivity)
    squares, vectors = _eigen(simulation, frequency, operators)
    # Waves that decay go to zero along +z.
    index = np.sqrt(squares.astype(np.complex128))
    index = np.where(index.imag > 0, -index, index)
    index = np.where((index.real < 0) & (np.abs(index.imag) < 1e-9 * np.abs(index.real)), -index, index)
    order = np.argsort(-squares.real, kind="stable")
    index, vectors = index[order], vectors[:, order]
    modes = [_normalise(vectors[:, k], index[k], operators, axes, permittivity, wavenumber) for k in range(len(index))]
    return _Modes(
        index,
        np.array([each[0] for each in modes]),
        np.array([each[1] for each in modes]),
        np.stack([each[2] for each in modes]),
        np.stack([each[3] for each in modes]),
    )


def _eigen(
    simulation: ModeSolver, frequency: float, operators: Operators
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Return the squares of the effective indices nearest to the target, and (Ex, Ey) as columns."""
    target = simulation.target_index or material.largest_index(simulation)
    start = np.random.default_rng(0).standard_normal(operators.q.shape[1])
    matrix = (operators.p @ operators.q).tocsc()
    try:
        squares, vectors = eigs(matrix, simulation.modes, sigma=target**2, which="LM", v0=start)
    except (ArpackError, RuntimeError) as error:
        raise SimulationError(
            f"no {simulation.modes} modes were found near the index {target:.4g} at {frequency:.6g} Hz: {error}",
            "set another target_index, or fewer modes",
        ) from error
    return squares, vectors


def _normalise(
    electric: NDArray[np.complex128],
    index: complex,
    operators: Operators,
    axes: tuple[Axis, Axis],
    permittivity: material.Permittivity,
    wavenumber: float,
) -> tuple[float, float, NDArray[np.complex128], NDArray[np.complex128]]:
    """Return group index, TE fraction, E in V/m and H in A/m of a mode that carries 1 W, its strongest part real."""
    x, y = axes
    magnetic = operators.q @ electric / index
    count = len(x.widths) * len(y.spacings)
    at_middle_node = np.outer(x.widths, y.spacings).ravel()
    at_node_middle = np.outer(x.spacings, y.widths).ravel()
    ex, ey = electric[:count], electric[count:]
    hx, hy = magnetic[: len(ey)], magnetic[len(ey) :]
    ez, hz = operators.ez @ magnetic, operators.hz @ electric
    power = float((ex * hy.conj() * at_middle_node).sum().real - (ey * hx.conj() * at_node_middle).sum().real)
    share_x = (np.abs(ex) ** 2 * at_middle_node).sum()
    share_y = (np.abs(ey) ** 2 * at_node_middle).sum()
    stored = (
        (permittivity.x[:, y.kept].ravel().real * np.abs(ex) ** 2 * at_middle_node).sum()
        + (permittivity.y[x.kept].ravel().real * np.abs(ey) ** 2 * at_node_middle).sum()
        + (
            permittivity.z[x.kept, y.kept].real
            * np.abs(ez.reshape(len(x.spacings), -1)) ** 2
            * np.outer(x.spacings, y.spacings)
        ).sum()
        + (np.abs(hx) ** 2 * at_node_middle).sum()
        + (np.abs(hy) ** 2 * at_middle_node).sum()
        + (np.abs(hz) ** 2 * np.outer(x.widths, y.widths).ravel()).sum()
    )
    # An evanescent mode carries no power; it is scaled as if its stored energy travelled at the speed of light.
    carried = power if power > 1e-9 * stored else stored / 2
    watts = carried / (2 * IMPEDANCE * wavenumber**2)
    strongest = electric[np.argmax(np.abs(electric))]
    factor = np.exp(-1j * np.angle(strongest)) / np.sqrt(watts)
    e = np.stack([spread(ex, x, y, (False, True)), spread(ey, x, y, (True, False)), spread(ez, x, y, (True, True))])
    h = np.stack([spread(hx, x, y, (True, False)), spread(hy, x, y, (False, True)), spread(hz, x, y, (False, False))])
    return stored / 2 / carried, share_x / (share_x + share_y), e * factor, h * factor / IMPEDANCE
