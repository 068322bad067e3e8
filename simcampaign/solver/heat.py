"""Steady conduction of heat in a cross-section; its temperature is what a mode solver may refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator
from scipy import sparse
from scipy.sparse.linalg import splu

from simcampaign.errors import SimulationError
from simcampaign.fields import Positive
from simcampaign.solver.arrays import PART, GridField
from simcampaign.solver.averages import Pieces
from simcampaign.solver.document import Document
from simcampaign.solver.kinds import Progress, Quote, SimulationType, Solved, quote
from simcampaign.solver.pictures import new_figure
from simcampaign.solver.spans import Span, count_cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_CELLS = 1_000_000
"""Cells that the cross-section may have."""

SOLVE_STEPS = 600
"""Time steps of one cell that the solve of one cell is worth, by CPU time: 13 µs."""

MICROMETRE = 1e-6


class ThermalMedium(BaseModel):
    """What conducts heat, and may be heated."""

    model_config = PART

    conductivity: Positive
    """Thermal conductivity in W/(m K)."""

    power_density: float = 0.0
    """Heat that is set free in it, in W/m³."""


class ThermalRectangle(BaseModel):
    """A part of the cross-section that a medium fills."""

    model_config = PART

    x: Span
    """From where to where in micrometres."""

    y: Span
    """From where to where in micrometres."""

    medium: ThermalMedium
    """What it is made of; a cell that holds several media has the mean of their conductivities."""


class ThermalWalls(BaseModel):
    """Temperature in K of each wall; none for a wall that lets no heat through."""

    model_config = PART

    x_min: Positive | None = None
    x_max: Positive | None = None
    y_min: Positive | None = None
    y_max: Positive | None = None

    @model_validator(mode="after")
    def _one_is_fixed(self) -> ThermalWalls:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("at least one wall must have a temperature")
        return self


class HeatConduction(Document):
    """Steady temperature of a cross-section, by finite volumes. Lengths are micrometres."""

    x: Span
    """Extent of the cross-section in micrometres."""

    y: Span
    """Extent of the cross-section in micrometres."""

    cell: Positive
    """Largest width of a cell in micrometres."""

    background: ThermalMedium
    """What is where no rectangle is."""

    rectangles: tuple[ThermalRectangle, ...] = Field(default=(), max_length=10_000)
    """What the cross-section is made of; later ones lie over earlier ones."""

    walls: ThermalWalls
    """What bounds the cross-section."""

    @model_validator(mode="after")
    def _fits(self) -> HeatConduction:
        nx, ny = self.shape
        if nx * ny > MAX_CELLS:
            raise ValueError(f"cell = {self.cell} gives {nx} × {ny} cells; at most {MAX_CELLS:,} are solved")
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along x and along y."""
        return count_cells(*self.x, self.cell), count_cells(*self.y, self.cell)


class HeatConductionData(Document):
    """The temperature of a cross-section."""

    simulation: HeatConduction
    """What was solved."""

    temperature: GridField
    """Temperature in K at the middles of the cells and at the walls."""

    def plot(self) -> Figure:
        """Draw it with the outlines of the rectangles and return the figure. Raises ConfigError without matplotlib."""
        width, height = np.ptp(self.simulation.x), np.ptp(self.simulation.y)
        figure = new_figure(5.2, min(8.0, max(2.2, 3.8 * float(height / width) + 0.6)))
        axes = figure.subplots()
        field = self.temperature
        image = axes.pcolormesh(field.x, field.y, field.values.T, cmap="inferno", shading="gouraud")
        for each in self.simulation.rectangles:
            xs, ys = np.array(each.x), np.array(each.y)
            axes.plot(xs[[0, 1, 1, 0, 0]], ys[[0, 0, 1, 1, 0]], color="white", linewidth=0.8, alpha=0.7)
        axes.set(xlim=self.simulation.x, ylim=self.simulation.y, xlabel="x (µm)", ylabel="y (µm)", aspect="equal")
        figure.colorbar(image, ax=axes, label="temperature (K)", shrink=0.9)
        return figure


def estimate(simulation: HeatConduction) -> Quote:
    """Return what the solve costs."""
    nx, ny = simulation.shape
    return quote(nx * ny, SOLVE_STEPS)


def solve(simulation: HeatConduction, progress: Progress) -> Solved:
    """Solve the balance of heat of all cells at once. Raises SimulationError if that is not possible."""
    progress(0, 0)
    (nx, ny), walls = simulation.shape, simulation.walls
    x, y = np.linspace(*simulation.x, nx + 1), np.linspace(*simulation.y, ny + 1)
    conductivity, heat = _cells(simulation, x, y)
    balance, inflow = _balance(conductivity, np.diff(x), np.diff(y), walls)
    try:
        found = splu(balance).solve((heat + inflow).ravel())
    except RuntimeError as error:
        raise SimulationError(f"the temperature cannot be solved for: {error}") from error
    progress(100, 0)
    field = _to_walls(found.reshape(nx, ny), x, y, walls)
    cost = estimate(simulation)
    log = f"{nx} × {ny} cells, {field.values.min():.4f} to {field.values.max():.4f} K"
    result = HeatConductionData(simulation=simulation, temperature=field)
    return Solved(result, cost.credits, log, cost.cells, cost.steps)


def _cells(
    simulation: HeatConduction, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the conductivity of each cell in W/(m K), and the heat that is set free in it in W/m."""
    across = Pieces(*simulation.x, [x, *(np.array(each.x) for each in simulation.rectangles)])
    along = Pieces(*simulation.y, [y, *(np.array(each.y) for each in simulation.rectangles)])
    exact = np.empty((2, len(across.middles), len(along.middles)))
    media = [(slice(None), slice(None), simulation.background)]
    media += [(across.inside(*each.x), along.inside(*each.y), each.medium) for each in simulation.rectangles]
    for columns, rows, medium in media:
        exact[:, columns, rows] = np.reshape([medium.conductivity, medium.power_density], (2, 1, 1))
    means = along.mean(across.mean(exact, x[:-1], x[1:], 1), y[:-1], y[1:], 2)
    area = np.outer(np.diff(x), np.diff(y)) * MICROMETRE**2
    return np.asarray(means[0], np.float64), np.asarray(means[1] * area, np.float64)


def _balance(
    conductivity: NDArray[np.float64], dx: NDArray[np.float64], dy: NDArray[np.float64], walls: ThermalWalls
) -> tuple[sparse.csc_array, NDArray[np.float64]]:
    """Return the matrix from temperatures to the heat that leaves each cell, and the heat that walls send in."""
    shape = conductivity.shape
    number = np.arange(conductivity.size).reshape(shape)
    diagonal, inflow = np.zeros(shape), np.zeros(shape)
    entries = []
    for axis, (along, across) in enumerate(((dx[:, None], dy[None, :]), (dy[None, :], dx[:, None]))):
        # Half a cell on either side of a face resists in series.
        half = np.moveaxis(along / (2 * conductivity * across), axis, 0)
        through = 1 / (half[:-1] + half[1:])
        total, into = np.moveaxis(diagonal, axis, 0), np.moveaxis(inflow, axis, 0)
        total[:-1] += through
        total[1:] += through
        cells = np.moveaxis(number, axis, 0)
        entries.append((through.ravel(), cells[:-1].ravel(), cells[1:].ravel()))
        for end, place in (("min", 0), ("max", -1)):
            if (fixed := getattr(walls, f"{'xy'[axis]}_{end}")) is not None:
                total[place] += 1 / half[place]
                into[place] += fixed / half[place]
    values, low, high = (np.concatenate(each) for each in zip(*entries, strict=True))
    every = number.ravel()
    matrix = sparse.coo_array(
        (
            np.concatenate([diagonal.ravel(), -values, -values]),
            (np.concatenate([every, low, high]), np.concatenate([every, high, low])),
        )
    )
    return matrix.tocsc(), inflow


def _to_walls(
    cells: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], walls: ThermalWalls
) -> GridField:
    """Return the temperature of the cells, and that of the walls around them."""
    whole = np.pad(cells, 1, mode="edge")
    for name, place in (("x_min", np.s_[0]), ("x_max", np.s_[-1]), ("y_min", np.s_[:, 0]), ("y_max", np.s_[:, -1])):
        if (fixed := getattr(walls, name)) is not None:
            whole[place] = fixed
    middles = [np.concatenate([line[:1], (line[:-1] + line[1:]) / 2, line[-1:]]) for line in (x, y)]
    return GridField(x=middles[0], y=middles[1], values=whole)


TYPE = SimulationType("HeatConduction", HeatConduction, HeatConductionData, estimate, solve)
