"""The mode solver's simulation: the cross-section of a dielectric waveguide."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from simcampaign.fields import Count, Positive
from simcampaign.solver.arrays import PART, GridField
from simcampaign.solver.document import Document
from simcampaign.solver.reference import GridFieldOrReference
from simcampaign.solver.spans import Span, count_cells

MAX_CELLS = 1_000_000
"""Cells that the cross-section may have: the matrices of more do not fit into the memory of a small machine."""


Wall = Literal["electric", "magnetic"]


class OpticalMedium(BaseModel):
    """A dielectric: its refractive index n - jk, and how temperature changes it."""

    model_config = PART

    index: Positive
    """Refractive index n."""

    extinction: float = Field(default=0.0, ge=0)
    """Extinction coefficient k; loss is positive."""

    thermo_optic: float = 0.0
    """Thermo-optic coefficient dn/dT in 1/K."""

    reference_temperature: float = 300.0
    """Temperature in K at which ``index`` holds."""


class Rectangle(BaseModel):
    """A part of the cross-section that a medium fills."""

    model_config = PART

    x: Span
    """From where to where in micrometres."""

    y: Span
    """From where to where in micrometres."""

    medium: OpticalMedium
    """What it is made of."""


class Walls(BaseModel):
    """What bounds the cross-section. An electric wall has no tangential E, a magnetic one no tangential H.

    A wall in the plane of symmetry of a waveguide halves the grid; elsewhere walls must be far from the guided light.
    """

    model_config = PART

    x_min: Wall = "electric"
    x_max: Wall = "electric"
    y_min: Wall = "electric"
    y_max: Wall = "electric"


class ModeSolver(Document):
    """Effective indices and fields of the modes of a dielectric waveguide, by finite differences.

    Lengths are micrometres, frequencies Hz. Light travels along z as e^{j(ωt - βz)}.
    """

    x: Span
    """Extent of the cross-section in micrometres."""

    y: Span
    """Extent of the cross-section in micrometres."""

    cell: Positive
    """Largest width of a cell in micrometres."""

    background: OpticalMedium
    """What is where no rectangle is."""

    rectangles: tuple[Rectangle, ...] = Field(default=(), max_length=10_000)
    """What the waveguide is made of; later ones lie over earlier ones."""

    frequencies: tuple[Positive, ...] = Field(min_length=1, max_length=1000)
    """Frequencies in Hz."""

    modes: Count = 1
    """How many modes are looked for, those nearest to the target index."""

    target_index: Positive | None = None
    """Effective index near which modes are looked for; the largest index of all media if it is left out."""

    walls: Walls = Walls()
    """What bounds the cross-section."""

    temperature: GridFieldOrReference | None = None
    """Temperature in K; it changes the index of media with a thermo-optic coefficient."""

    permittivity: GridFieldOrReference | None = None
    """Relative permittivity everywhere, in place of background, rectangles and temperature."""

    @model_validator(mode="after")
    def _fits(self) -> ModeSolver:
        nx, ny = self.shape
        if nx * ny > MAX_CELLS:
            raise ValueError(f"cell = {self.cell} gives {nx} × {ny} cells; at most {MAX_CELLS:,} are solved")
        if self.modes > (most := max(1, nx * ny // 2)):
            raise ValueError(f"modes = {self.modes} are too many for {nx} × {ny} cells; at most {most}")
        for name in ("temperature", "permittivity"):
            field = getattr(self, name)
            if isinstance(field, GridField) and not field.covers(self.x, self.y):
                raise ValueError(f"the grid of {name} must reach over x = {self.x} and y = {self.y}")
        if self.permittivity is not None and (self.rectangles or self.temperature is not None):
            raise ValueError("permittivity takes the place of rectangles and temperature; leave these out")
        if isinstance(self.permittivity, GridField) and not (self.permittivity.values > 0).all():
            raise ValueError("permittivity must be greater than 0 everywhere")
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along x and along y."""
        return count_cells(*self.x, self.cell), count_cells(*self.y, self.cell)

    @property
    def nodes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where cells begin and end along x and along y, in micrometres."""
        nx, ny = self.shape
        return np.linspace(*self.x, nx + 1), np.linspace(*self.y, ny + 1)
