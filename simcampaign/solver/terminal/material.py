"""Capacitance, conductance and inductance of the grid's edges and faces.

The fields are kept as voltages along edges (E times length) and magnetomotive forces along the edges of the dual grid
(H times length). Then a curl is a sum of differences, and all lengths and materials are in the coefficient of an edge
or a face (Weiland's finite integration technique, the same scheme as Yee's). An edge at the end of the grid has half a
dual face, which makes that end a magnetic wall; an electric one sets its edges to zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.constants import epsilon_0, mu_0

from simcampaign.solver.terminal.grid import Grid
from simcampaign.solver.terminal.simulation import AXES, PERFECT_CONDUCTOR, Box, Dielectric, TerminalComponentModeler

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Edges:
    """The edges along one axis; arrays have the shape of the nodes, less one along the axis."""

    capacitance: Array
    """In farads."""

    conductance: Array
    """In siemens."""

    free: NDArray[np.bool_]
    """False in conductors and at electric walls, where the voltage is zero."""


def make_edges(simulation: TerminalComponentModeler, grid: Grid) -> tuple[Edges, Edges, Edges]:
    """Return the edges along x, y and z, without ports."""
    permittivity, conductivity = _fill(simulation, grid)
    x, y, z = (
        Edges(
            epsilon_0 * _dual(permittivity, grid, axis), _dual(conductivity, grid, axis), _free(simulation, grid, axis)
        )
        for axis in range(3)
    )
    return x, y, z


def make_inductances(grid: Grid) -> tuple[Array, Array, Array]:
    """Return the inductances, in henrys, of the faces across x, y and z: nodes along that axis, cells else."""
    inductances = []
    for axis in range(3):
        across = np.expand_dims(1 / grid.axes[axis].spacings, tuple({0, 1, 2} - {axis}))
        first, second = (_along(grid.axes[other].widths, other) for other in range(3) if other != axis)
        inductances.append(mu_0 * across * first * second)
    x, y, z = inductances
    return x, y, z


def _along(values: Array, axis: int) -> Array:
    """Return values along an axis as an array of three axes."""
    expanded: Array = np.expand_dims(values, tuple({0, 1, 2} - {axis}))
    return expanded


def _fill(simulation: TerminalComponentModeler, grid: Grid) -> tuple[Array, Array]:
    """Return relative permittivity and conductivity of each cell."""
    permittivity = np.full(grid.shape, simulation.background.permittivity)
    conductivity = np.full(grid.shape, simulation.background.conductivity)
    for box in simulation.boxes:
        if isinstance(box.material, Dielectric):
            place = tuple(slice(*_cover(box, grid, axis)) for axis in range(3))
            permittivity[place] = box.material.permittivity
            conductivity[place] = box.material.conductivity
    return permittivity, conductivity


def _cover(box: Box, grid: Grid, axis: int) -> tuple[int, int]:
    return grid.axes[axis].cover(getattr(box, AXES[axis]))


def _dual(cells: Array, grid: Grid, axis: int) -> Array:
    """Return the integral over the dual face of each edge along ``axis``, per length of the edge."""
    total = cells / _along(grid.axes[axis].widths, axis)
    for other in range(3):
        if other != axis:
            half = total * _along(grid.axes[other].widths / 2, other)
            total = np.concatenate([half, np.zeros_like(np.take(half, [0], other))], axis=other)
            np.moveaxis(total, other, 0)[1:] += np.moveaxis(half, other, 0)
    return total


def _free(simulation: TerminalComponentModeler, grid: Grid, axis: int) -> NDArray[np.bool_]:
    free = np.ones([count + (other != axis) for other, count in enumerate(grid.shape)], np.bool_)
    for other in range(3):
        for end, place in (("min", 0), ("max", -1)):
            if other != axis and getattr(simulation.walls, f"{AXES[other]}_{end}") != "magnetic":
                np.moveaxis(free, other, 0)[place] = False
    for box in simulation.boxes:
        if box.material == PERFECT_CONDUCTOR:
            spans = [_cover(box, grid, other) for other in range(3)]
            free[tuple(slice(low, high + (other != axis)) for other, (low, high) in enumerate(spans))] = False
    return free
