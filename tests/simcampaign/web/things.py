"""Small simulations."""

from __future__ import annotations

from simcampaign import solver

SPACE = {"x": (-1.2, 1.2), "y": (-1.0, 1.0), "cell": 0.2}


def waveguide(width: float) -> solver.ModeSolver:
    core = solver.Rectangle(x=(-width / 2, width / 2), y=(-0.11, 0.11), medium={"index": 3.476})
    return solver.ModeSolver(**SPACE, background={"index": 1.444}, rectangles=[core], frequencies=[193.4e12])


def warm(conductivity: float) -> solver.HeatConduction:
    walls = dict.fromkeys(("x_min", "x_max", "y_min", "y_max"), 300.0)
    return solver.HeatConduction(**SPACE, background={"conductivity": conductivity}, walls=walls)
