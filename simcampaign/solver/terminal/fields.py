"""The fields and their step in time: a fixed list of NumPy calls on arrays that exist already.

All components are flat arrays of one shape, that of the nodes, and a layer of nodes more at both ends; a neighbour
along an axis is a fixed distance away. Places that a component does not have get the coefficient 0 and stay 0, so that
no border needs care. A call works on a piece that fits in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcampaign.solver.terminal.absorber import Layer, lowest_absorbed, make_layers
from simcampaign.solver.terminal.grid import Grid
from simcampaign.solver.terminal.material import make_edges, make_inductances
from simcampaign.solver.terminal.ports import PlacedPort
from simcampaign.solver.terminal.simulation import TerminalComponentModeler

Flat = NDArray[np.float32]
Call = tuple[Callable[..., Any], Any, Any, Any]
"""A function of two arrays and the array for its result."""

PIECE = 16384
"""Values that one call works on."""


class Fields:
    """Voltages ``e`` of edges and magnetomotive forces ``h`` of faces, with everything that a step needs."""

    def __init__(self, simulation: TerminalComponentModeler, grid: Grid, ports: Sequence[PlacedPort]) -> None:
        self._shape = tuple(count + 1 for count in grid.shape)
        # The longest axis comes last in memory, so that layers across it, which touch short rows, are the smallest.
        self._order = sorted(range(3), key=lambda axis: self._shape[axis])
        slow, middle, fast = self._order
        self._steps = {fast: 1, middle: self._shape[fast], slow: self._shape[fast] * self._shape[middle]}
        self._margin = self._steps[slow]
        self._size = int(np.prod(self._shape))
        self._scratch = np.zeros((2, PIECE), np.float32)
        self._e, self._h = ([self._zeros() for _ in range(3)] for _ in range(2))
        self._to_e, kept = self._edge_coefficients(simulation, grid, ports)
        self._to_h = [self._flat(grid.time_step / each) for each in make_inductances(grid)]
        self._memories: list[NDArray[np.float32]] = []
        self._loads = [_inverse(each) for each in (*self._to_e, *self._to_h)]
        self._calls = [
            *self._update(self._h, self._e, self._to_h, 1, np.subtract, [None] * 3),
            *self._absorb(simulation, grid, of_h=True),
            *self._update(self._e, self._h, self._to_e, 0, np.add, kept),
            *self._absorb(simulation, grid, of_h=False),
        ]
        self._ports = [_Contact(port, self._block(self._e, port), self._block(self._to_e, port)) for port in ports]

    def step(self, driven: int, volts: float) -> None:
        """Go on by one time step, in which the source of the port at ``driven`` has so many volts."""
        for function, first, second, result in self._calls:
            function(first, second, result)
        self._ports[driven].inject(volts)

    def voltages(self) -> list[float]:
        """Return the voltage of each port."""
        return [port.voltage() for port in self._ports]

    def energy(self) -> float:
        """Return a measure of the energy in the fields; only its change in time means something."""
        total = 0.0
        square = self._scratch[0]
        for field, load in zip((*self._e, *self._h), self._loads, strict=True):
            for piece in self._pieces():
                part = np.multiply(field[piece], field[piece], square[: piece.stop - piece.start])
                total += float(np.dot(part, load[piece]))
        return total

    def clear(self) -> None:
        """Set all fields to zero, as before the first step."""
        for array in (*self._e, *self._h, *self._memories):
            array[...] = 0

    def _zeros(self) -> Flat:
        return np.zeros(self._size + 2 * self._margin, np.float32)

    def _whole(self, flat: Flat) -> NDArray[np.float32]:
        """Return the view of a flat array with the axes x, y and z."""
        stored = flat[self._margin : -self._margin].reshape([self._shape[axis] for axis in self._order])
        return np.moveaxis(stored, [0, 1, 2], self._order)

    def _flat(self, values: NDArray[np.float64]) -> Flat:
        """Return values as a flat array; zero where they do not reach."""
        flat = self._zeros()
        self._whole(flat)[tuple(slice(count) for count in values.shape)] = values
        return flat

    def _pieces(self) -> list[slice]:
        first = self._margin
        last = first + self._size
        return [slice(low, min(low + PIECE, last)) for low in range(first, last, PIECE)]

    def _block(self, arrays: Sequence[Flat], port: PlacedPort) -> NDArray[np.float32]:
        return self._whole(arrays[port.axis])[port.block]

    def _edge_coefficients(
        self, simulation: TerminalComponentModeler, grid: Grid, ports: Sequence[PlacedPort]
    ) -> tuple[list[Flat], list[Flat | None]]:
        """Return what currents are multiplied with, and what is kept of the voltages; None where all is kept."""
        added: list[Flat] = []
        kept: list[Flat | None] = []
        for axis, edges in enumerate(make_edges(simulation, grid)):
            for port in ports:
                if port.axis == axis:
                    edges.conductance[port.block] += port.conductance
            rate = edges.capacitance / grid.time_step
            added.append(self._flat(edges.free / (rate + edges.conductance / 2)))
            lossy = edges.conductance.any()
            factor = (rate - edges.conductance / 2) / (rate + edges.conductance / 2)
            kept.append(self._flat(factor - 1) + np.float32(1) if lossy else None)
        return added, kept

    def _update(
        self,
        target: list[Flat],
        source: list[Flat],
        factors: list[Flat],
        ahead: int,
        apply: Callable[..., Any],
        kept: list[Flat | None],
    ) -> list[Call]:
        """Return the calls that bring ``target`` one step on by the curl of ``source``.

        ``ahead`` is 1 where a difference is to the next neighbour, 0 where it is from the one before.
        """
        calls: list[Call] = []
        for piece in self._pieces():
            curl = self._scratch[0, : piece.stop - piece.start]
            for axis in range(3):
                second, third = (axis + 1) % 3, (axis + 2) % 3
                near_third, far_third = self._pair(source[third], piece, second, ahead)
                near_second, far_second = self._pair(source[second], piece, third, ahead)
                mine = target[axis][piece]
                calls += [
                    (np.subtract, far_third, near_third, curl),
                    (np.subtract, curl, far_second, curl),
                    (np.add, curl, near_second, curl),
                    (np.multiply, curl, factors[axis][piece], curl),
                    *self._decay(mine, kept[axis], piece),
                    (apply, mine, curl, mine),
                ]
        return calls

    def _pair(self, source: Flat, piece: slice, axis: int, ahead: int) -> tuple[Flat, Flat]:
        """Return a piece's neighbours along an axis: the lower and the upper ones."""
        low = (ahead - 1) * self._steps[axis]
        high = ahead * self._steps[axis]
        return source[piece.start + low : piece.stop + low], source[piece.start + high : piece.stop + high]

    @staticmethod
    def _decay(mine: Flat, kept: Flat | None, piece: slice) -> list[Call]:
        """Return the call that takes away what conductors of the piece consume, from the first to the last of them."""
        if kept is None or not len(lossy := np.flatnonzero(kept[piece] != 1)):
            return []
        part = slice(int(lossy[0]), int(lossy[-1]) + 1)
        return [(np.multiply, mine[part], kept[piece][part].copy(), mine[part])]

    def _absorb(self, simulation: TerminalComponentModeler, grid: Grid, of_h: bool) -> list[Call]:
        """Return the calls that add what absorbers do to H or to E."""
        size = max(high - low for low, high in (axis.inner for axis in grid.axes))
        lowest = lowest_absorbed(simulation.frequencies, size)
        calls: list[Call] = []
        for axis in range(3):
            for layer in make_layers(
                grid.axes[axis], not of_h, grid.time_step, simulation.background.permittivity, lowest
            ):
                second, third = (axis + 1) % 3, (axis + 2) % 3
                calls += self._absorb_one(axis, layer, of_h, third, second, 1.0)
                calls += self._absorb_one(axis, layer, of_h, second, third, -1.0)
        return calls

    def _absorb_one(self, axis: int, layer: Layer, of_h: bool, target: int, source: int, sign: float) -> list[Call]:
        """Return the calls for one component: that of ``source`` has ``sign`` in the curl that ``target`` follows."""
        targets, sources, factors = (self._h, self._e, self._to_h) if of_h else (self._e, self._h, self._to_e)
        here = self._layer(targets[target], axis, layer.places)
        low, high = (
            self._layer(sources[source], axis, slice(layer.places.start + by, layer.places.stop + by))
            for by in ((0, 1) if of_h else (-1, 0))
        )
        along = [1, 1, 1]
        along[axis] = -1
        difference, memory, a, b, factor = (np.zeros_like(here) for _ in range(5))
        self._memories.append(memory)
        a[...], b[...] = layer.a.reshape(along), layer.b.reshape(along)
        factor[...] = self._layer(factors[target], axis, layer.places) * (-sign if of_h else sign)
        return [
            (np.subtract, high, low, difference),
            (np.multiply, difference, a, difference),
            (np.multiply, memory, b, memory),
            (np.add, memory, difference, memory),
            (np.multiply, memory, factor, difference),
            (np.add, here, difference, here),
        ]

    def _layer(self, flat: Flat, axis: int, places: slice) -> NDArray[np.float32]:
        index = [slice(None)] * 3
        index[axis] = places
        return self._whole(flat)[tuple(index)]


class _Contact:
    """A port and its edges in the fields."""

    def __init__(self, port: PlacedPort, edges: NDArray[np.float32], factors: NDArray[np.float32]) -> None:
        self._edges = edges
        self._injected = factors * port.injected.astype(np.float32)
        self._change = np.zeros_like(self._injected)
        self._weights = np.ascontiguousarray(port.weights)

    def inject(self, volts: float) -> None:
        np.multiply(self._injected, np.float32(volts), self._change)
        np.add(self._edges, self._change, self._edges)

    def voltage(self) -> float:
        return float(np.vdot(self._weights, self._edges.astype(np.float64)))


def _inverse(values: Flat) -> Flat:
    """Return 1 over the values, and 0 where they are 0."""
    return np.divide(1, values, out=np.zeros_like(values), where=values != 0)
