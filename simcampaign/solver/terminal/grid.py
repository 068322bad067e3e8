"""The grid: lines at all faces, equal cells in between, absorbers outside."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.constants import c

from simcampaign.errors import ConfigError, Problem
from simcampaign.solver.kinds import MAX_CELLS
from simcampaign.solver.spans import count_cells
from simcampaign.solver.terminal.simulation import AXES, TerminalComponentModeler

Line = NDArray[np.float64]

SAME = 1e-3
"""Faces nearer to each other than this part of a cell are one line of the grid."""

COURANT = 0.99
"""Part of the largest time step that is stable."""


@dataclass(frozen=True)
class GridAxis:
    """Lines of the grid along one axis."""

    nodes: Line
    """Where cells begin and end, absorbers included, in metres."""

    before: int
    """Cells of the absorber at the lower end; 0 if there is none."""

    after: int
    """Cells of the absorber at the upper end; 0 if there is none."""

    @property
    def widths(self) -> Line:
        """Width of each cell."""
        return np.diff(self.nodes)

    @property
    def spacings(self) -> Line:
        """Width of the cell around each node; half a cell at the ends."""
        half = self.widths / 2
        around: Line = np.concatenate([half, [0.0]]) + np.concatenate([[0.0], half])
        return around

    @property
    def inner(self) -> tuple[float, float]:
        """From where to where the simulated space goes."""
        return float(self.nodes[self.before]), float(self.nodes[len(self.nodes) - 1 - self.after])

    def find(self, span: tuple[float, float]) -> tuple[int, int]:
        """Return the nodes nearest to both ends, within the simulated space."""
        first, last = (int(np.argmin(np.abs(self.nodes - np.clip(end, *self.inner)))) for end in span)
        return first, last

    def cover(self, span: tuple[float, float]) -> tuple[int, int]:
        """Return the nodes nearest to both ends; what reaches to an absorber goes on through it."""
        first, last = self.find(span)
        return (0 if first == self.before else first), (
            len(self.nodes) - 1 if last == len(self.nodes) - 1 - self.after else last
        )


@dataclass(frozen=True)
class Grid:
    """A grid and its time step."""

    axes: tuple[GridAxis, GridAxis, GridAxis]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along each axis, absorbers included."""
        nx, ny, nz = (len(axis.widths) for axis in self.axes)
        return nx, ny, nz

    @property
    def cells(self) -> int:
        """Cells altogether."""
        nx, ny, nz = self.shape
        return nx * ny * nz

    @property
    def time_step(self) -> float:
        """Seconds of a step, stable for any material whose permittivity is 1 or more."""
        return float(COURANT / (c * np.sqrt(sum(1 / axis.widths.min() ** 2 for axis in self.axes))))


def make_grid(simulation: TerminalComponentModeler) -> Grid:
    """Return the grid of a simulation. Raises ConfigError if it has too many cells."""
    lines = [_lines(simulation, axis, cell) for axis, cell in zip(AXES, simulation.cells, strict=True)]
    walls = [[getattr(simulation.walls, f"{axis}_{end}") == "absorbing" for end in ("min", "max")] for axis in AXES]
    counts = [
        sum(count_cells(a, b, cell) for a, b in pairwise(line)) + simulation.absorber_cells * sum(wall)
        for line, cell, wall in zip(lines, simulation.cells, walls, strict=True)
    ]
    if (cells := counts[0] * counts[1] * counts[2]) > MAX_CELLS:
        reason = f"gives {' × '.join(map(str, counts))} = {cells:,} cells; at most {MAX_CELLS:,} are solved"
        raise ConfigError([Problem("cell", simulation.cell, reason, "make it larger")])
    x, y, z = (
        _cut(line, cell, *(simulation.absorber_cells * absorbs for absorbs in wall))
        for line, cell, wall in zip(lines, simulation.cells, walls, strict=True)
    )
    return Grid((x, y, z))


def _lines(simulation: TerminalComponentModeler, axis: str, cell: float) -> list[float]:
    """Return where the grid must have lines: the ends of the space and the faces within, each once."""
    low, high = getattr(simulation, axis)
    faces = sorted({end for part in (*simulation.boxes, *simulation.ports) for end in getattr(part, axis)})
    lines = [low]
    for face in faces:
        if lines[-1] + SAME * cell < face < high - SAME * cell:
            lines.append(face)
    return [*lines, high]


def _cut(lines: list[float], cell: float, before: int, after: int) -> GridAxis:
    parts = [np.linspace(a, b, count_cells(a, b, cell) + 1)[:-1] for a, b in pairwise(lines)]
    nodes = np.concatenate([*parts, lines[-1:]])
    first, last = nodes[1] - nodes[0], nodes[-1] - nodes[-2]
    nodes = np.concatenate(
        [nodes[0] - first * np.arange(before, 0, -1), nodes, nodes[-1] + last * np.arange(1, after + 1)]
    )
    return GridAxis(nodes, before, after)
