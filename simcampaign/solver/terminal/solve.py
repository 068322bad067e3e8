"""Solve for the S-parameters of a component: a run for each port."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.constants import c

from simcampaign.errors import SimulationError
from simcampaign.solver.kinds import Progress, Quote, Solved, price, quote
from simcampaign.solver.terminal.data import TerminalComponentModelerData
from simcampaign.solver.terminal.fields import Fields
from simcampaign.solver.terminal.grid import Grid, make_grid
from simcampaign.solver.terminal.ports import place_ports
from simcampaign.solver.terminal.pulse import Pulse, choose_pulse
from simcampaign.solver.terminal.simulation import AXES, Dielectric, TerminalComponentModeler

PASSES = 30
"""Passes of light through the space that a run may take after the pulse, if nothing else is said."""

LOOK_EVERY = 50
"""Steps between two looks at the energy."""

FREQUENCIES_AT_ONCE = 64


def estimate(simulation: TerminalComponentModeler) -> Quote:
    """Return what the runs of all ports cost at most. Raises ConfigError for a grid or a port that is not possible."""
    grid = make_grid(simulation)
    place_ports(simulation.ports, grid)
    return quote(grid.cells, len(simulation.ports) * longest_run(simulation, grid))


def longest_run(simulation: TerminalComponentModeler, grid: Grid) -> int:
    """Return the steps that the run of one port takes at most."""
    seconds = simulation.run_time
    if seconds is None:
        media = (simulation.background, *(box.material for box in simulation.boxes))
        slowest = math.sqrt(max(each.permittivity for each in media if isinstance(each, Dielectric)))
        size = math.dist(*zip(*(getattr(simulation, axis) for axis in AXES), strict=True))
        seconds = choose_pulse(simulation.frequencies).duration + PASSES * size * slowest / c
    return max(1, math.ceil(seconds / grid.time_step))


@dataclass(frozen=True)
class _Run:
    """What the run of one port left."""

    voltages: NDArray[np.float64]
    """Of each port after each step; shape (steps, ports)."""

    decay: float
    """Part of the largest energy that was left."""


def solve(simulation: TerminalComponentModeler, progress: Progress) -> Solved:
    """Send a pulse into one port after the other. Raises SimulationError if the fields grow without bounds."""
    grid = make_grid(simulation)
    ports = place_ports(simulation.ports, grid)
    fields = Fields(simulation, grid, ports)
    pulse = choose_pulse(simulation.frequencies)
    most = longest_run(simulation, grid)
    runs = []
    progress(0, 1)
    for driven in range(len(ports)):
        fields.clear()
        runs.append(_run(simulation, grid, fields, pulse, _Share(progress, driven, len(ports), most)))
    progress(100, runs[-1].decay)
    steps = sum(len(run.voltages) for run in runs)
    result = TerminalComponentModelerData(
        simulation=simulation,
        frequencies=np.array(simulation.frequencies),
        s=_scattering(simulation, grid, pulse, runs),
        field_decay=np.array([run.decay for run in runs]),
    )
    return Solved(result, price(grid.cells, steps), _log(simulation, grid, runs), grid.cells, steps)


@dataclass(frozen=True)
class _Share:
    """Which part of the whole a run is, and who hears of it."""

    progress: Progress
    driven: int
    runs: int
    most: int

    def tell(self, step: int, decay: float) -> None:
        self.progress(100 * (self.driven + step / self.most) / self.runs, decay)


def _run(simulation: TerminalComponentModeler, grid: Grid, fields: Fields, pulse: Pulse, share: _Share) -> _Run:
    source = pulse.at(_halfway(share.most, grid))
    over = min(share.most, math.ceil(pulse.duration / grid.time_step))
    voltages = np.zeros((share.most, len(simulation.ports)))
    largest, decay, told = 0.0, 1.0, 0
    for step in range(share.most):
        fields.step(share.driven, source[step])
        voltages[step] = fields.voltages()
        if (step + 1) % LOOK_EVERY and step + 1 < share.most:
            continue
        energy = fields.energy()
        if not math.isfinite(energy):
            raise SimulationError(f"the field of port {simulation.ports[share.driven].name} grew without bounds")
        largest = max(largest, energy)
        decay = energy / largest if largest else 0.0
        if 100 * (step - told) >= share.most:
            share.tell(step + 1, decay)
            told = step
        if step + 1 >= over and decay < simulation.shutoff:
            return _Run(voltages[: step + 1], decay)
    return _Run(voltages, decay)


def _scattering(
    simulation: TerminalComponentModeler, grid: Grid, pulse: Pulse, runs: list[_Run]
) -> NDArray[np.complex128]:
    """Return S[out, in, frequency] of power waves, from the voltages of each run.

    A source of V volts behind its impedance Z sends the wave a = V/(2√Z); what comes back is b = (2U - V)/(2√Z) at that
    port, and U/√Z at the others, where U is the voltage of the port, halfway through a step.
    """
    count = len(simulation.ports)
    root = np.sqrt([port.impedance for port in simulation.ports])
    s = np.zeros((count, count, len(simulation.frequencies)), np.complex128)
    for driven, run in enumerate(runs):
        seconds = _halfway(len(run.voltages), grid)
        before = np.concatenate([np.zeros((1, count)), run.voltages[:-1]])
        signals = np.column_stack([(run.voltages + before) / 2, pulse.at(seconds)])
        spectra = _spectra(signals, seconds, simulation.frequencies)
        s[:, driven] = (2 * spectra[:, :-1] / spectra[:, -1:]).T * (root[driven] / root)[:, None]
        s[driven, driven] -= 1
    return s


def _halfway(steps: int, grid: Grid) -> NDArray[np.float64]:
    """Return the middle of each step in seconds."""
    return np.asarray((np.arange(steps) + 0.5) * grid.time_step, np.float64)


def _spectra(
    signals: NDArray[np.float64], seconds: NDArray[np.float64], frequencies: tuple[float, ...]
) -> NDArray[np.complex128]:
    """Return the sums over time of signals × e^{-jωt}; shape (frequencies, signals)."""
    parts = [
        np.exp(-2j * np.pi * np.outer(frequencies[first : first + FREQUENCIES_AT_ONCE], seconds)) @ signals
        for first in range(0, len(frequencies), FREQUENCIES_AT_ONCE)
    ]
    return np.concatenate(parts)


def _log(simulation: TerminalComponentModeler, grid: Grid, runs: list[_Run]) -> str:
    lines = [f"{' × '.join(map(str, grid.shape))} cells, steps of {grid.time_step:.4g} s"]
    for port, run in zip(simulation.ports, runs, strict=True):
        lines.append(f"port {port.name}: {len(run.voltages)} steps; the energy fell to {run.decay:.2g} of its maximum")
        if run.decay >= simulation.shutoff:
            lines.append(f"  this is more than shutoff = {simulation.shutoff:g}: make run_time longer")
    return "\n".join(lines)
