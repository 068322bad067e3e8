"""What the terminal component modeler finds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simcampaign.solver.arrays import Complex, Real
from simcampaign.solver.document import Document, write_whole
from simcampaign.solver.pictures import new_figure
from simcampaign.solver.terminal.simulation import TerminalComponentModeler

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_DB = -80.0
"""What is less is drawn as this."""


class TerminalComponentModelerData(Document):
    """S-parameters of power waves, each port with its own reference impedance; time goes as e^{+jωt}."""

    simulation: TerminalComponentModeler
    """What was solved."""

    frequencies: Real
    """In Hz; shape (frequencies,)."""

    s: Complex
    """Wave out of the first port for a wave of 1 into the second; shape (ports out, ports in, frequencies)."""

    field_decay: Real
    """Part of the largest field energy that was left when the run of each port ended; shape (ports,)."""

    @property
    def ports(self) -> tuple[str, ...]:
        """Names of the ports, in the order of the matrix."""
        return tuple(port.name for port in self.simulation.ports)

    @property
    def impedances(self) -> NDArray[np.float64]:
        """Reference impedance of each port in ohms."""
        return np.array([port.impedance for port in self.simulation.ports])

    def smatrix(self) -> NDArray[np.complex128]:
        """Return S[out, in, frequency]."""
        return self.s

    def plot(self) -> Figure:
        """Draw |S| in dB against frequency and return the figure. Raises ConfigError without matplotlib."""
        figure = new_figure(7.2, 4.2)
        axes = figure.subplots()
        unit, name = _unit(float(self.frequencies.max()))
        decibels = np.maximum(20 * np.log10(np.maximum(np.abs(self.s), 1e-30)), LEAST_DB)
        marker = "o" if len(self.frequencies) == 1 else None
        for out, to in enumerate(self.ports):
            for into, via in enumerate(self.ports):
                # A reciprocal or symmetric component has curves that lie on each other: later ones are thinner, dashed.
                width, style = (3.2, "-") if out >= into and not out == into > 0 else (1.6, "--")
                label = f"S({to}, {via})"
                axes.plot(
                    self.frequencies / unit, decibels[out, into], style, linewidth=width, marker=marker, label=label
                )
        axes.set(xlabel=f"frequency ({name})", ylabel="|S| (dB)")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, ncols=2 if len(self.ports) > 1 else 1)
        return figure

    def to_touchstone(self, path: str | os.PathLike[str]) -> None:
        """Write a Touchstone 2.0 file: frequencies in Hz, real and imaginary parts, the impedance of each port.

        Frequencies are sorted, as the format demands.
        """
        count = len(self.ports)
        lines = [f"! {number}: {name}" for number, name in enumerate(self.ports, 1)]
        lines += ["[Version] 2.0", "# Hz S RI R 50", f"[Number of Ports] {count}"]
        if count == 2:
            lines.append("[Two-Port Data Order] 12_21")
        lines.append(f"[Number of Frequencies] {len(self.frequencies)}")
        lines.append(f"[Reference] {' '.join(f'{value:.12g}' for value in self.impedances)}")
        lines.append("[Network Data]")
        for position in np.argsort(self.frequencies, kind="stable"):
            rows = [" ".join(f"{v.real:.9e} {v.imag:.9e}" for v in row) for row in self.s[:, :, position]]
            lines.append(f"{self.frequencies[position]:.12g} {rows[0]}")
            lines += rows[1:]
        lines.append("[End]")
        write_whole(Path(path), ("\n".join(lines) + "\n").encode())


def _unit(highest: float) -> tuple[float, str]:
    for unit, name in ((1e12, "THz"), (1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz")):
        if highest >= unit:
            return unit, name
    return 1.0, "Hz"
