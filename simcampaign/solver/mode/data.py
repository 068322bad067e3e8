"""What the mode solver finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simcampaign.solver.arrays import Complex, Real
from simcampaign.solver.document import Document
from simcampaign.solver.mode.simulation import ModeSolver
from simcampaign.solver.pictures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPONENTS = ("x", "y", "z")


class ModeSolverData(Document):
    """Modes of a waveguide, at each frequency by descending effective index."""

    simulation: ModeSolver
    """What was solved."""

    n_eff: Real
    """Effective index; shape (frequencies, modes)."""

    k_eff: Real
    """Loss as an extinction coefficient: β = k₀(n_eff - j·k_eff); shape (frequencies, modes)."""

    n_group: Real
    """Group index, of the energy's velocity, for media without dispersion; shape (frequencies, modes)."""

    te_fraction: Real
    """∫|Ex|² / ∫(|Ex|² + |Ey|²); shape (frequencies, modes)."""

    x: Real
    """Middles of the cells in micrometres; shape (nx,)."""

    y: Real
    """Middles of the cells in micrometres; shape (ny,)."""

    E: Complex
    """Electric field in V/m of a mode that carries 1 W; shape (frequencies, modes, 3, nx, ny)."""

    H: Complex
    """Magnetic field in A/m of a mode that carries 1 W; shape (frequencies, modes, 3, nx, ny)."""

    def plot(self, frequency: int = 0, modes: int = 4) -> Figure:
        """Draw |E| of the first modes at one frequency, with the rectangles' outlines, and return the figure.

        ``frequency`` is a position in ``simulation.frequencies``. Raises ConfigError without matplotlib.
        """
        shown = min(modes, self.n_eff.shape[1])
        width, height = np.ptp(self.simulation.x), np.ptp(self.simulation.y)
        figure = new_figure(4.2 * shown + 0.6, min(8.0, max(2.2, 3.6 * float(height / width) + 0.9)))
        for mode, axes in enumerate(figure.subplots(1, shown, squeeze=False, sharey=True)[0]):
            strength = np.sqrt((np.abs(self.E[frequency, mode]) ** 2).sum(axis=0)) * 1e-6
            extent = (*self.simulation.x, *self.simulation.y)
            image = axes.imshow(strength.T, origin="lower", extent=extent, cmap="magma", interpolation="nearest")
            for each in self.simulation.rectangles:
                xs, ys = np.array(each.x), np.array(each.y)
                axes.plot(xs[[0, 1, 1, 0, 0]], ys[[0, 0, 1, 1, 0]], color="white", linewidth=0.8, alpha=0.7)
            axes.set(
                xlim=self.simulation.x, ylim=self.simulation.y, xlabel="x (µm)", ylabel="y (µm)" if not mode else ""
            )
            index, share = self.n_eff[frequency, mode], self.te_fraction[frequency, mode]
            axes.set_title(f"mode {mode}: n_eff = {index:.5f}, {share:.0%} TE", fontsize=10)
            figure.colorbar(image, ax=axes, label="|E| (V/µm)", shrink=0.9)
        return figure
