"""Absorbing walls: convolutional perfectly matched layers (Roden and Gedney, Microwave Opt. Techn. Lett. 27, 2000).

Within a layer, a difference d along its axis becomes d + ψ, where ψ ← b·ψ + a·d in each step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.constants import c, epsilon_0, mu_0

from simcampaign.solver.terminal.grid import GridAxis

GRADE = 3
"""The conductivity grows with this power of the depth."""


@dataclass(frozen=True)
class Layer:
    """One absorber, for one kind of places: nodes, or the middles between them."""

    places: slice
    """Along the axis of the absorber."""

    a: NDArray[np.float64]
    b: NDArray[np.float64]


def make_layers(axis: GridAxis, on_nodes: bool, time_step: float, permittivity: float, lowest: float) -> list[Layer]:
    """Return the absorbers at both ends of an axis, as far as there are any.

    ``on_nodes`` tells where differences lie; below ``lowest``, in Hz, nothing needs to be absorbed.
    """
    count = len(axis.widths)
    layers = []
    for cells, upper in ((axis.before, False), (axis.after, True)):
        if not cells:
            continue
        depth = (np.arange(1, cells) if on_nodes else np.arange(cells) + 0.5) / cells
        first = count - cells + on_nodes if upper else int(on_nodes)
        width = axis.widths[-1 if upper else 0]
        most = 0.8 * (GRADE + 1) / (width * np.sqrt(mu_0 / epsilon_0 * permittivity))
        sigma = most * (depth if upper else depth[::-1]) ** GRADE
        alpha = 2 * np.pi * lowest * epsilon_0 * (1 - (depth if upper else depth[::-1]))
        b = np.exp(-(sigma + alpha) * time_step / epsilon_0)
        a = sigma / (sigma + alpha) * (b - 1)
        layers.append(Layer(slice(first, first + len(depth)), a, b))
    return layers


def lowest_absorbed(frequencies: tuple[float, ...], size: float) -> float:
    """Return the frequency in Hz below which absorbers let go: fields that hardly travel need no absorbing."""
    return float(min(*frequencies, 0.05 * c / size)) / 2
