"""Modes of dielectric waveguides."""

from __future__ import annotations

from simcampaign.solver.kinds import SimulationType
from simcampaign.solver.mode.data import ModeSolverData
from simcampaign.solver.mode.simulation import ModeSolver, OpticalMedium, Rectangle, Walls
from simcampaign.solver.mode.solve import estimate, solve

TYPE = SimulationType("ModeSolver", ModeSolver, ModeSolverData, estimate, solve)

__all__ = ["TYPE", "ModeSolver", "ModeSolverData", "OpticalMedium", "Rectangle", "Walls"]
