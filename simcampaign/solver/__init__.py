"""Simulations that are solved here or by a service: types, files, quotes and solvers.

A simulation is a model whose fields say what is solved; ``to_file`` and ``from_file`` keep it in HDF5. Its type, one
of ``types()``, quotes it (``estimate``) and solves it (``solve``); ``python -m simcampaign.solver INPUT OUTPUT`` does
so with files. Time factors are e^{+jωt} everywhere: a lossy permittivity has a negative imaginary part.
"""

from __future__ import annotations

from simcampaign.plugins import Broken
from simcampaign.solver.arrays import Complex, GridField, Real
from simcampaign.solver.document import Document, digest
from simcampaign.solver.heat import (
    HeatConduction,
    HeatConductionData,
    ThermalMedium,
    ThermalRectangle,
    ThermalWalls,
)
from simcampaign.solver.kinds import RATE, Progress, Quote, SimulationType, Solved
from simcampaign.solver.mode import ModeSolver, ModeSolverData, OpticalMedium, Rectangle, Walls
from simcampaign.solver.reference import Reference
from simcampaign.solver.registry import installed, read, read_result, result_class, type_of, types
from simcampaign.solver.terminal import (
    PERFECT_CONDUCTOR,
    Box,
    Dielectric,
    LumpedPort,
    TerminalComponentModeler,
    TerminalComponentModelerData,
    TerminalWalls,
)

__all__ = [
    "PERFECT_CONDUCTOR",
    "RATE",
    "Box",
    "Broken",
    "Complex",
    "Dielectric",
    "Document",
    "GridField",
    "HeatConduction",
    "HeatConductionData",
    "LumpedPort",
    "ModeSolver",
    "ModeSolverData",
    "OpticalMedium",
    "Progress",
    "Quote",
    "Real",
    "Rectangle",
    "Reference",
    "SimulationType",
    "Solved",
    "TerminalComponentModeler",
    "TerminalComponentModelerData",
    "TerminalWalls",
    "ThermalMedium",
    "ThermalRectangle",
    "ThermalWalls",
    "Walls",
    "digest",
    "installed",
    "read",
    "read_result",
    "result_class",
    "type_of",
    "types",
]
