"""What a type of simulation is: its model, its result, its cost and its solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from simcampaign.errors import ABSENT, ConfigError, Problem
from simcampaign.solver.document import Document

RATE = 1e-9
"""Credits for the update of one cell by one time step: 10⁹ of them are one credit."""

MAX_CELLS = 50_000_000
"""Cells that a simulation may have."""

MAX_CELL_STEPS = 10**14
"""Cells × steps that a simulation may take."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a simulation takes at most."""

    cells: int
    """Cells of its grid."""

    steps: int
    """Time steps of all its runs together, or what its solve is worth in them."""

    credits: float
    """What it costs."""


def price(cells: int, steps: int) -> float:
    """Return the credits for so many steps of so many cells."""
    return round(cells * steps * RATE, 9)


def quote(cells: int, steps: int) -> Quote:
    """Return the quote for a grid and a number of steps. Raises ConfigError if that is beyond what is solved here."""
    problems = [
        Problem("simulation", ABSENT, f"{what} {value:,}; at most {limit:,} are solved", "make the grid coarser")
        for what, value, limit in (
            ("the cells of its grid are", cells, MAX_CELLS),
            ("its cells × steps are", cells * steps, MAX_CELL_STEPS),
        )
        if value > limit
    ]
    if problems:
        raise ConfigError(problems)
    return Quote(cells, steps, price(cells, steps))


class Progress(Protocol):
    """What is told while a simulation is solved."""

    def __call__(self, percent: float, field_decay: float) -> None:
        """Hear how far it is, 0 to 100, and which part of the largest field energy is left, 0 where none decays."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A result, what it cost and what there is to say about it."""

    result: Any
    credits: float
    log: str
    cells: int
    steps: int
    """Steps that were really made."""


@dataclass(frozen=True, slots=True)
class SimulationType:
    """A type of simulation, as the entry-point group ``simcampaign.solver_types`` offers it."""

    name: str
    """The name that files carry; that of the simulation's class."""

    simulation: type[Document]
    """The model of a simulation."""

    result: type[Document]
    """The model of its result."""

    estimate: Callable[[Any], Quote]
    """What a simulation costs at most; references need not be resolved."""

    solve: Callable[[Any, Progress], Solved]
    """Solve a simulation without references, and tell how far it is. Raises SimulationError if it cannot be solved."""


def unheard(percent: float, field_decay: float) -> None:
    """Hear progress and tell nobody."""
