"""The growth of one colony: yeast-like cells on a square lattice, with nutrient, contact inhibition and a drug.

In each time step the nutrient diffuses and is eaten by living cells; then each living cell may die, or divide into a
free neighbouring site. Division follows Monod's law in the local nutrient (J. Monod, Annu. Rev. Microbiol. 3, 371,
1949) and the drug acts through a Hill curve; a cell without a free neighbour does not divide, so that the colony grows
at its rim (M. Eden, Proc. 4th Berkeley Symp. Math. Stat. Prob. 4, 223, 1961).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DISH = 181
"""Sites along one side of the dish; the outermost ring stays empty and holds the nutrient at its supply."""

CELL_UM = 5.0
"""Size of a site, and so of a cell, in micrometres."""

STEPS_PER_HOUR = 20
"""Time steps in one hour: three minutes each."""

RECORD_EVERY = 10
"""Steps between two rows of the time series: half an hour."""

_DIFFUSION = 0.2
"""Sites² per half step; explicit diffusion in two dimensions is stable up to 0.25."""

_UPTAKE = 0.004
"""Share of the local nutrient that a cell eats per half step."""

_HALF_NUTRIENT = 0.3
"""Nutrient, relative to a rich medium, at which cells divide half as fast as they can."""

_HALF_DOSE_UM = 1.0
"""Drug concentration in micromolar with half of the full effect."""

_KILL_RATE = 0.12
"""Deaths per cell and hour under the drug's full effect."""

_LYSIS_RATE = 0.2
"""Dead cells that dissolve and free their site, per dead cell and hour."""

_FREE, _ALIVE, _DEAD, _WALL = 0, 1, 2, 3

Sites = NDArray[np.intp]


class GrowthError(Exception):
    """The simulation cannot go on."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What one condition sets; the defaults are a rich medium without a drug."""

    steps: int = 1440
    """Time steps of three minutes."""

    division_rate: float = 0.8
    """Divisions per cell and hour where nutrient and space abound."""

    death_rate: float = 0.005
    """Deaths per cell and hour without a drug."""

    nutrient: float = 1.0
    """Nutrient in the medium, relative to a rich one."""

    drug_dose: float = 0.0
    """Concentration of the drug in micromolar."""

    drug_start: float = 24.0
    """When the drug is given, in hours."""

    drug_end: float = 48.0
    """When the drug is washed out, in hours."""

    fail_at: float | None = None
    """When the simulation breaks down, in hours; for trying out how a failure is shown."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of the time series."""

    time_h: float
    alive: int
    dead: int
    radius_um: float
    """Radius of the disc with the area of all cells, living and dead."""

    nutrient: float
    """Mean nutrient where living cells are; 0 without any."""


@dataclass(frozen=True)
class Colony:
    """What a simulation leaves: the time series, and the cells at its end."""

    samples: list[Sample]
    positions_um: NDArray[np.float64]
    """Cells × (x, y), relative to the middle of the dish."""

    alive: NDArray[np.bool_]
    age_h: NDArray[np.float64]


def founder_sites(positions_um: NDArray[np.float64]) -> Sites:
    """Return the lattice sites of founder cells given as rows of (x, y) in micrometres from the middle of the dish.

    Raises ``ValueError`` if there is none, if one lies outside the dish, or if two share a site.
    """
    if not len(positions_um):
        raise ValueError("there is no founder cell")
    cells = np.rint(positions_um / CELL_UM).astype(np.intp) + DISH // 2
    outside = ((cells < 1) | (cells > DISH - 2)).any(axis=1)
    if outside.any():
        x, y = positions_um[outside][0]
        raise ValueError(f"the cell at ({x:g}, {y:g}) µm lies outside the dish of ±{(DISH // 2 - 1) * CELL_UM:g} µm")
    sites: Sites = cells[:, 1] * DISH + cells[:, 0]
    if len(np.unique(sites)) < len(sites):
        raise ValueError(f"two cells share a site of {CELL_UM:g} µm")
    return sites


def grow(
    parameters: Parameters,
    seed: int,
    founders: NDArray[np.float64] | None = None,
    progress: Callable[[Sample], None] = lambda _: None,
) -> Colony:
    """Simulate one colony; the same arguments give the same colony.

    Parameters
    ----------
    parameters
        What the condition sets.
    seed
        Seed of the random numbers.
    founders
        First cells as rows of (x, y) in micrometres; without them one cell in the middle of the dish.
    progress
        Called with each sample of the time series.

    Raises ``GrowthError`` at ``parameters.fail_at``.
    """
    lattice = _Lattice(parameters, seed, founder_sites(np.zeros((1, 2)) if founders is None else founders))
    samples: list[Sample] = []
    for step in range(parameters.steps + 1):
        time_h = step / STEPS_PER_HOUR
        if parameters.fail_at is not None and time_h >= parameters.fail_at:
            alive = lattice.count(_ALIVE)
            raise GrowthError(
                f"broke down at t = {time_h:.1f} h with {alive} living cells (fail_at = {parameters.fail_at:g} h)"
            )
        if step:
            lattice.advance(time_h)
        if step % RECORD_EVERY == 0:
            samples.append(lattice.sample(time_h))
            progress(samples[-1])
    return lattice.colony(samples, parameters.steps / STEPS_PER_HOUR)


class _Lattice:
    """The dish: what is on each site, and the nutrient there."""

    def __init__(self, parameters: Parameters, seed: int, founders: Sites) -> None:
        self._parameters = parameters
        self._random = np.random.default_rng(seed)
        state = np.full((DISH, DISH), _WALL, dtype=np.uint8)
        state[1:-1, 1:-1] = _FREE
        self._state = state.ravel()
        self._state[founders] = _ALIVE
        self._born_h = np.zeros(DISH * DISH)
        self._nutrient = np.full((DISH, DISH), parameters.nutrient)
        inside = (DISH - 2, DISH - 2)
        # Kept from step to step: making them anew takes longer than what is done with them.
        self._living, self._uptake = np.zeros(inside, dtype=np.bool_), np.zeros(inside)
        self._flow, self._part = np.zeros(inside), np.zeros(inside)
        straight = [1, -1, DISH, -DISH]
        diagonal = [DISH + 1, DISH - 1, -DISH + 1, -DISH - 1]
        # Straight neighbours count twice: with equal weights a colony on a square lattice grows into a square.
        self._neighbours = np.array(straight * 2 + diagonal)

    def count(self, what: int) -> int:
        return int(np.count_nonzero(self._state == what))

    def advance(self, time_h: float) -> None:
        np.equal(self._state.reshape(DISH, DISH)[1:-1, 1:-1], _ALIVE, out=self._living)
        np.multiply(self._living, _UPTAKE, out=self._uptake)
        for _ in range(2):
            self._feed()
        effect = self._drug_effect(time_h)
        living = np.flatnonzero(self._state == _ALIVE)
        fate = self._random.random(len(living))
        deaths = (self._parameters.death_rate + _KILL_RATE * effect) / STEPS_PER_HOUR
        food = self._nutrient.ravel()[living]
        divisions = self._parameters.division_rate * (1 - effect) / STEPS_PER_HOUR * food / (food + _HALF_NUTRIENT)
        self._dissolve()
        self._state[living[fate < deaths]] = _DEAD
        self._divide(living[(fate >= deaths) & (fate < deaths + divisions)], time_h)

    def _feed(self) -> None:
        """Let nutrient flow between neighbours, and cells take theirs."""
        field, flow, part = self._nutrient, self._flow, self._part
        inner = field[1:-1, 1:-1]
        np.add(field[2:, 1:-1], field[:-2, 1:-1], out=flow)
        flow += field[1:-1, 2:]
        flow += field[1:-1, :-2]
        flow -= np.multiply(inner, 4, out=part)
        flow *= _DIFFUSION
        flow -= np.multiply(self._uptake, inner, out=part)
        inner += flow

    def _drug_effect(self, time_h: float) -> float:
        if not self._parameters.drug_start <= time_h < self._parameters.drug_end:
            return 0.0
        dose = self._parameters.drug_dose**2
        return dose / (dose + _HALF_DOSE_UM**2)

    def _dissolve(self) -> None:
        dead = np.flatnonzero(self._state == _DEAD)
        self._state[dead[self._random.random(len(dead)) < _LYSIS_RATE / STEPS_PER_HOUR]] = _FREE

    def _divide(self, parents: Sites, time_h: float) -> None:
        targets = parents + self._random.choice(self._neighbours, len(parents))
        # Two parents may choose the same site: one daughter is born there.
        daughters = np.unique(targets[self._state[targets] == _FREE])
        self._state[daughters] = _ALIVE
        self._born_h[daughters] = time_h

    def sample(self, time_h: float) -> Sample:
        alive, dead = self.count(_ALIVE), self.count(_DEAD)
        food = float(self._nutrient.ravel()[self._state == _ALIVE].mean()) if alive else 0.0
        return Sample(time_h, alive, dead, CELL_UM * float(np.sqrt((alive + dead) / np.pi)), food)

    def colony(self, samples: list[Sample], end_h: float) -> Colony:
        sites = np.flatnonzero((self._state == _ALIVE) | (self._state == _DEAD))
        rows, columns = np.divmod(sites, DISH)
        positions = (np.column_stack([columns, rows]) - DISH // 2) * CELL_UM
        return Colony(samples, positions, self._state[sites] == _ALIVE, end_h - self._born_h[sites])
