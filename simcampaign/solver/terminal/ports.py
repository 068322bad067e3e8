"""Lumped ports on the grid: where they take and give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simcampaign.errors import ABSENT, ConfigError, Problem
from simcampaign.solver.terminal.grid import Grid
from simcampaign.solver.terminal.simulation import AXES, LumpedPort

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PlacedPort:
    """A port as resistors on parallel columns of edges, each in series with its part of the source."""

    axis: int
    """Along which its edges lie."""

    block: tuple[slice, slice, slice]
    """Its edges among those along the axis."""

    share: Array
    """Part of its current that each column carries; the sum is 1, and the shape broadcasts to that of the block."""

    conductance: Array
    """Conductance of each edge in siemens; shape of the block."""

    impedance: float
    """In ohms."""

    sign: int
    """1 if the positive terminal is at the upper end."""

    @property
    def injected(self) -> Array:
        """Current that flows in each column, along its edges, for one volt of the source with its ends shorted."""
        current: Array = -self.sign / self.impedance * self.share
        return current

    @property
    def weights(self) -> Array:
        """What the voltages of the edges are multiplied with; the sum is the voltage of the port."""
        weights: Array = -self.sign * np.broadcast_to(self.share, self.conductance.shape)
        return weights


def place_ports(ports: tuple[LumpedPort, ...], grid: Grid) -> list[PlacedPort]:
    """Return the ports on the grid. Raises ConfigError if the grid is too coarse to see one."""
    problems = [
        Problem(f"port {port.name}", ABSENT, f"is shorter than the grid can see along {port.axis}")
        for port in ports
        if len(set(grid.axes[AXES.index(port.axis)].find(getattr(port, port.axis)))) == 1
    ]
    if problems:
        raise ConfigError(problems, "make the cells smaller")
    return [_place(port, grid) for port in ports]


def _place(port: LumpedPort, grid: Grid) -> PlacedPort:
    axis = AXES.index(port.axis)
    spans = [grid.axes[other].find(getattr(port, AXES[other])) for other in range(3)]
    share = np.ones((1, 1, 1))
    for other, (first, last) in enumerate(spans):
        if other != axis:
            shape = [1, 1, 1]
            shape[other] = -1
            share = share * _parts(grid.axes[other].widths[first:last]).reshape(shape)
    lengths = grid.axes[axis].widths[slice(*spans[axis])]
    shape = [1, 1, 1]
    shape[axis] = -1
    # Columns are in parallel, the edges of a column in series.
    conductance = share / port.impedance * (lengths.sum() / lengths).reshape(shape)
    x, y, z = (slice(first, last + (other != axis)) for other, (first, last) in enumerate(spans))
    return PlacedPort(axis, (x, y, z), share, conductance, port.impedance, 1 if port.direction[0] == "+" else -1)


def _parts(widths: Array) -> Array:
    """Return which part of a stretch belongs to each of its nodes: half of the cell on either side."""
    if not len(widths):
        return np.ones(1)
    half: Array = widths / 2 / widths.sum()
    parts: Array = np.concatenate([half, [0.0]]) + np.concatenate([[0.0], half])
    return parts
