"""The permittivity that each field component of the mode solver sees."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcampaign.solver.arrays import GridField
from simcampaign.solver.averages import Line, Pieces
from simcampaign.solver.mode.simulation import ModeSolver, OpticalMedium


class Permittivity(NamedTuple):
    """Relative permittivity where Ex, Ey and Ez lie; shapes (nx, ny+1), (nx+1, ny) and (nx+1, ny+1).

    An average over the cell of a component: of 1/ε across interfaces that the component crosses, of ε along those that
    it is parallel to. So the error falls with the square of the cell although interfaces lie anywhere (Farjadpour et
    al., Optics Letters 31, 2972, 2006).
    """

    x: NDArray[np.inexact]
    y: NDArray[np.inexact]
    z: NDArray[np.inexact]


def average(simulation: ModeSolver) -> Permittivity:
    """Return the permittivity at each place of the grid."""
    x, y = simulation.nodes
    (x_low, x_high), (y_low, y_high) = around(x), around(y)
    across = Pieces(*simulation.x, [x, x_low, x_high, *(np.array(each.x) for each in simulation.rectangles)])
    along = Pieces(*simulation.y, [y, y_low, y_high, *(np.array(each.y) for each in simulation.rectangles)])
    exact = _exact(simulation, across, along)
    mean_y_nodes = along.mean(exact, y_low, y_high, 1)
    mean_x_nodes = across.mean(exact, x_low, x_high, 0)
    return Permittivity(
        1 / across.mean(1 / mean_y_nodes, x[:-1], x[1:], 0),
        1 / along.mean(1 / mean_x_nodes, y[:-1], y[1:], 1),
        along.mean(mean_x_nodes, y_low, y_high, 1),
    )


def around(nodes: Line) -> tuple[Line, Line]:
    """Return where the cell around each node begins and ends; those at the walls are halves."""
    middles = (nodes[:-1] + nodes[1:]) / 2
    return np.concatenate([nodes[:1], middles]), np.concatenate([middles, nodes[-1:]])


def largest_index(simulation: ModeSolver) -> float:
    """Return the largest refractive index there is, at the reference temperature."""
    if isinstance(simulation.permittivity, GridField):
        return float(np.sqrt(simulation.permittivity.values.max()))
    return max(medium.index for medium in (simulation.background, *(each.medium for each in simulation.rectangles)))


def _exact(simulation: ModeSolver, across: Pieces, along: Pieces) -> NDArray[np.inexact]:
    """Return the permittivity of each piece."""
    if isinstance(simulation.permittivity, GridField):
        return simulation.permittivity.at(across.middles, along.middles)
    warmth = simulation.temperature
    kelvin = warmth.at(across.middles, along.middles) if isinstance(warmth, GridField) else None
    media = (simulation.background, *(each.medium for each in simulation.rectangles))
    lossy = any(medium.extinction for medium in media)
    exact = np.empty((len(across.middles), len(along.middles)), np.complex128 if lossy else np.float64)
    exact[:] = _permittivity(simulation.background, kelvin, lossy)
    for each in simulation.rectangles:
        place = across.inside(*each.x), along.inside(*each.y)
        exact[place] = _permittivity(each.medium, None if kelvin is None else kelvin[place], lossy)
    return exact


def _permittivity(medium: OpticalMedium, kelvin: NDArray[np.float64] | None, lossy: bool) -> Any:
    warmer = 0.0 if kelvin is None else kelvin - medium.reference_temperature
    index = medium.index + medium.thermo_optic * warmer
    return (index - 1j * medium.extinction) ** 2 if lossy else index**2
