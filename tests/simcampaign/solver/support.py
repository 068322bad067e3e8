"""Short ways to solve in tests."""

from __future__ import annotations

from typing import Any

from simcampaign import solver
from simcampaign.solver import Solved


def solve(simulation: solver.Document) -> Solved:
    """Solve a simulation and hear nothing meanwhile."""
    return solver.type_of(simulation).solve(simulation, lambda percent, field_decay: None)


def result(simulation: solver.Document) -> Any:
    """Return the result of a simulation."""
    return solve(simulation).result
