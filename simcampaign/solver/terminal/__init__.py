"""S-parameters of components with lumped ports."""

from __future__ import annotations

from simcampaign.solver.kinds import SimulationType
from simcampaign.solver.terminal.data import TerminalComponentModelerData
from simcampaign.solver.terminal.simulation import (
    PERFECT_CONDUCTOR,
    Box,
    Dielectric,
    LumpedPort,
    TerminalComponentModeler,
    TerminalWalls,
)
from simcampaign.solver.terminal.solve import estimate, solve

TYPE = SimulationType(
    "TerminalComponentModeler", TerminalComponentModeler, TerminalComponentModelerData, estimate, solve
)

__all__ = [
    "PERFECT_CONDUCTOR",
    "TYPE",
    "Box",
    "Dielectric",
    "LumpedPort",
    "TerminalComponentModeler",
    "TerminalComponentModelerData",
    "TerminalWalls",
]
