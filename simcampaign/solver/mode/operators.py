"""Maxwell's equations of a mode on a Yee grid in the plane, as sparse matrices.

With lengths in units of 1/k₀ and H in units of E over the impedance of free space, a mode e^{j(ωt - βz)} of effective
index n = β/k₀ obeys n·H = Q·E and n·E = P·H for the transverse components, so n² is an eigenvalue of PQ (Zhu and Brown,
Optics Express 10, 853, 2002, with components placed as by Yee). Places, as (along x, along y): Ex and Hy at
(middle, node), Ey and Hx at (node, middle), Ez at (node, node), Hz at (middle, middle).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from simcampaign.solver.averages import Line
from simcampaign.solver.mode.material import Permittivity
from simcampaign.solver.mode.simulation import Wall


@dataclass(frozen=True)
class Axis:
    """Derivatives along one axis, and which nodes are unknowns: all inner ones, and those at magnetic walls.

    At an electric wall the components that lie on nodes are zero.
    """

    nodes: Line
    """In units of 1/k₀."""

    first: Wall
    last: Wall

    @property
    def kept(self) -> slice:
        """The nodes that are unknowns."""
        return slice(self.first == "electric", len(self.nodes) - (self.last == "electric"))

    @property
    def widths(self) -> Line:
        """Width of each cell."""
        return np.diff(self.nodes)

    @property
    def spacings(self) -> Line:
        """Width of the cell around each node that is an unknown; half a cell at a magnetic wall."""
        half = self.widths / 2
        around: Line = np.concatenate([half, [0.0]]) + np.concatenate([[0.0], half])
        return around[self.kept]

    def to_middles(self) -> sparse.csr_array:
        """Return the derivative of what lies on nodes, at the middles."""
        count = len(self.widths)
        steps = sparse.diags_array([-np.ones(count), np.ones(count)], offsets=[0, 1], shape=(count, count + 1))
        return sparse.csr_array(sparse.diags_array(1 / self.widths) @ steps.tocsc()[:, self.kept])

    def to_nodes(self) -> sparse.csr_array:
        """Return the derivative of what lies at the middles, on the nodes that are unknowns."""
        steps = sparse.diags_array(self.widths) @ self.to_middles()
        return sparse.csr_array(sparse.diags_array(1 / self.spacings) @ -steps.T)


@dataclass(frozen=True)
class Operators:
    """The matrices of a grid and a permittivity; unknowns are flat, x before y."""

    q: sparse.csr_array
    """From (Ex, Ey) to n·(Hx, Hy)."""

    p: sparse.csr_array
    """From (Hx, Hy) to n·(Ex, Ey)."""

    ez: sparse.csr_array
    """From (Hx, Hy) to Ez."""

    hz: sparse.csr_array
    """From (Ex, Ey) to Hz."""


def build(x: Axis, y: Axis, permittivity: Permittivity) -> Operators:
    """Return the matrices of a cross-section."""
    nx, ny = len(x.widths), len(y.widths)
    mx, my = len(x.spacings), len(y.spacings)
    eps_x = sparse.diags_array(permittivity.x[:, y.kept].ravel())
    eps_y = sparse.diags_array(permittivity.y[x.kept, :].ravel())
    inverse_z = sparse.diags_array(1 / permittivity.z[x.kept, y.kept].ravel())
    # Named by the derivative and by what it is taken of.
    dx_ey, dy_ex = _along_x(x.to_middles(), ny), _along_y(y.to_middles(), nx)
    dx_hz, dy_hz = _along_x(x.to_nodes(), ny), _along_y(y.to_nodes(), nx)
    dx_ez, dy_ez = _along_x(x.to_middles(), my), _along_y(y.to_middles(), mx)
    dx_hy, dy_hx = _along_x(x.to_nodes(), my), _along_y(y.to_nodes(), mx)
    ez = -1j * inverse_z @ sparse.hstack([-dy_hx, dx_hy])
    hz = 1j * sparse.hstack([-dy_ex, dx_ey])
    q = sparse.block_array([[dx_hz @ dy_ex, -eps_y - dx_hz @ dx_ey], [eps_x + dy_hz @ dy_ex, -dy_hz @ dx_ey]])
    one_x, one_y = sparse.eye_array(nx * my), sparse.eye_array(mx * ny)
    p = sparse.block_array(
        [
            [-dx_ez @ inverse_z @ dy_hx, one_x + dx_ez @ inverse_z @ dx_hy],
            [-one_y - dy_ez @ inverse_z @ dy_hx, dy_ez @ inverse_z @ dx_hy],
        ]
    )
    return Operators(*(sparse.csr_array(each) for each in (q, p, ez, hz)))


def spread(values: NDArray[np.complex128], x: Axis, y: Axis, on_nodes: tuple[bool, bool]) -> NDArray[np.complex128]:
    """Return a component at the middles of cells, shape (nx, ny), from its unknowns; zero at electric walls."""
    count = [len(axis.widths) for axis in (x, y)]
    kept = [axis.kept if on else slice(None) for axis, on in zip((x, y), on_nodes, strict=True)]
    whole = np.zeros([number + on for number, on in zip(count, on_nodes, strict=True)], np.complex128)
    whole[kept[0], kept[1]] = values.reshape(whole[kept[0], kept[1]].shape)
    if on_nodes[0]:
        whole = (whole[:-1] + whole[1:]) / 2
    if on_nodes[1]:
        whole = (whole[:, :-1] + whole[:, 1:]) / 2
    return whole


def _along_x(matrix: sparse.csr_array, count: int) -> sparse.csr_array:
    return sparse.csr_array(sparse.kron(matrix, sparse.eye_array(count)))


def _along_y(matrix: sparse.csr_array, count: int) -> sparse.csr_array:
    return sparse.csr_array(sparse.kron(sparse.eye_array(count), matrix))
