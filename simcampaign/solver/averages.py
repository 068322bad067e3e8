"""Averages of what is constant in pieces: materials over the cells of a grid, exact for axis-aligned boxes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.float64]


class Pieces:
    """A stretch of an axis, cut wherever a cell or a box begins or ends: in between everything is constant."""

    def __init__(self, low: float, high: float, cuts: Iterable[float | Line]) -> None:
        """Cut the stretch from ``low`` to ``high`` at each of the cuts that lies in it."""
        edges = np.unique(np.concatenate([np.array([low, high]), *(np.atleast_1d(cut) for cut in cuts)]))
        self.edges: Line = edges[(edges >= low) & (edges <= high)]
        self.middles: Line = (self.edges[:-1] + self.edges[1:]) / 2
        self._lengths = np.diff(self.edges)

    def inside(self, low: float, high: float) -> slice:
        """Return which pieces lie between ``low`` and ``high``."""
        first, last = np.searchsorted(self.middles, (low, high))
        return slice(int(first), int(last))

    def mean(self, values: NDArray[np.inexact], starts: Line, ends: Line, axis: int) -> NDArray[np.inexact]:
        """Return the mean along ``axis`` over each cell from ``starts`` to ``ends``; these must be cuts."""
        lengths = np.expand_dims(self._lengths, tuple(other for other in range(values.ndim) if other != axis))
        sums = np.cumsum(values * lengths, axis=axis)
        sums = np.concatenate([np.zeros_like(np.take(sums, [0], axis)), sums], axis=axis)
        first, last = np.searchsorted(self.edges, starts), np.searchsorted(self.edges, ends)
        total = np.take(sums, last, axis) - np.take(sums, first, axis)
        widths = np.expand_dims(ends - starts, tuple(other for other in range(values.ndim) if other != axis))
        averaged: NDArray[np.inexact] = total / widths
        return averaged
