"""The embedded solver: time steps against what memory allows, and modes against a dense solve and the bare library.

The floor of a time step is a triad ``a = b + s·c`` in NumPy, two passes over arrays of the same type. A step makes 33
passes or so over its fields, and more in absorbers; the ratio of both is told, as is what is left of the triad's pace.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg
from scipy.constants import c

from simcampaign import solver
from simcampaign.solver.kinds import unheard
from simcampaign.solver.mode.solve import solve
from simcampaign.solver.terminal.fields import Fields
from simcampaign.solver.terminal.grid import make_grid
from simcampaign.solver.terminal.ports import place_ports

DENSE_CELLS = 20
"""Cells along a side of the cross-section that the dense solver is given; it grows with the sixth power."""


def fastest(work: Callable[[], object], rounds: int) -> float:
    """Return the shortest CPU time of several rounds, in seconds."""
    taken = []
    for _ in range(rounds):
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    return min(taken)


def space(side: int, wall: str) -> solver.TerminalComponentModeler:
    """Return an empty cube with a port in its middle; an absorber is added outside."""
    walls = solver.TerminalWalls.model_validate({f"{axis}_{end}": wall for axis in "xyz" for end in ("min", "max")})
    middle = (side // 2 * 1e-3,) * 2
    port = solver.LumpedPort(name="a", x=middle, y=middle, z=(middle[0], middle[0] + 1e-3), direction="+z")
    edge = (0, side * 1e-3)
    return solver.TerminalComponentModeler(
        x=edge, y=edge, z=edge, cell=1e-3, walls=walls, ports=(port,), frequencies=(1e10,)
    )


def measure_triad(values: int, rounds: int) -> float:
    """Return values per second of ``a = b + s·c`` in single precision, with arrays that exist already."""
    a, b, c_ = (np.ones(values, np.float32) for _ in range(3))
    factor = np.float32(3)

    def triad() -> None:
        np.multiply(c_, factor, out=a)
        np.add(a, b, out=a)

    return values / fastest(triad, rounds)


def measure_steps(side: int, wall: str, rounds: int) -> tuple[int, float]:
    """Return the cells of the grid, and cells × steps per second."""
    simulation = space(side, wall)
    grid = make_grid(simulation)
    fields = Fields(simulation, grid, place_ports(simulation.ports, grid))
    fields.step(0, 1.0)
    return grid.cells, grid.cells / fastest(lambda: fields.step(0, 1.0), rounds)


def strip(side: int, frequency: float = c / 1.55e-6) -> solver.ModeSolver:
    """Return a silicon strip in glass on a grid of ``side`` × ``side`` cells."""
    silicon, glass = solver.OpticalMedium(index=3.476), solver.OpticalMedium(index=1.444)
    core = solver.Rectangle(x=(-0.25, 0.25), y=(-0.11, 0.11), medium=silicon)
    half = (-1.0, 1.0)
    return solver.ModeSolver(
        x=half, y=half, cell=2.0 / side, background=glass, rectangles=(core,), frequencies=(frequency,)
    )


def measure_dense(rounds: int) -> float:
    """Return the seconds of all eigenvalues of a dense matrix as large as that of the small cross-section."""
    size = 2 * DENSE_CELLS * (DENSE_CELLS - 1)
    matrix = np.random.default_rng(0).standard_normal((size, size))
    return fastest(lambda: scipy.linalg.eigvals(matrix), rounds)


def main(argv: Sequence[str] | None = None) -> int:
    """Run all comparisons and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.solver", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[40, 80], help="cells along a side of the cube")
    parser.add_argument("--modes", type=int, nargs="+", default=[50, 100, 200], help="cells along a side, of a guide")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of each; the fastest counts")
    options = parser.parse_args(argv)
    print(f"load average {os.getloadavg()[0]:.1f}; CPU times")
    for side in options.sides:
        for wall in ("electric", "absorbing"):
            cells, pace = measure_steps(side, wall, options.rounds)
            triad = measure_triad(cells, options.rounds)
            print(
                f"FDTD {wall:<10} {cells:>9,} cells  {pace / 1e6:8.1f} M cells·steps/s   triad {triad / 1e6:8.1f} M/s"
                f"   a step takes {triad / pace:6.1f} triads"
            )
    dense = measure_dense(1)
    small = fastest(lambda: solve(strip(DENSE_CELLS), unheard), 2)
    print(f"modes {DENSE_CELLS} × {DENSE_CELLS}: {small:.3f} s; dense eigenvalues {dense:.3f} s, {dense / small:.1f}×")
    for side in options.modes:
        took = fastest(lambda side=side: solve(strip(side), unheard), 1)  # type: ignore[misc]
        print(f"modes {side} × {side}: {took:7.2f} s, {took / side**2 * 1e6:6.0f} µs per cell")
    return 0


if __name__ == "__main__":
    sys.exit(main())
