"""The simulation of a component with lumped ports."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, model_validator

from simcampaign.fields import Positive, Text
from simcampaign.solver.arrays import PART
from simcampaign.solver.document import Document
from simcampaign.solver.spans import FlatSpan, Span

AXES = ("x", "y", "z")
PERFECT_CONDUCTOR = "perfect conductor"

Wall = Literal["absorbing", "electric", "magnetic"]
Direction = Literal["+x", "-x", "+y", "-y", "+z", "-z"]


class Dielectric(BaseModel):
    """A material without magnetism."""

    model_config = PART

    permittivity: float = Field(default=1.0, ge=1)
    """Relative permittivity."""

    conductivity: float = Field(default=0.0, ge=0)
    """Conductivity in S/m."""


class Box(BaseModel):
    """A part of the structure."""

    model_config = PART

    x: FlatSpan
    """From where to where in metres."""

    y: FlatSpan
    """From where to where in metres."""

    z: FlatSpan
    """From where to where in metres."""

    material: Dielectric | Literal["perfect conductor"]
    """What it is made of; only a perfect conductor may be flat."""

    @model_validator(mode="after")
    def _has_volume(self) -> Box:
        flat = [axis for axis in AXES if getattr(self, axis)[0] == getattr(self, axis)[1]]
        if flat and self.material != PERFECT_CONDUCTOR:
            raise ValueError(f"a dielectric must not be flat along {', '.join(flat)}")
        return self


class LumpedPort(BaseModel):
    """A source with an inner resistance between two conductors, spread over a wire, a sheet or a block."""

    model_config = PART

    name: Text
    """Its name in the result."""

    x: FlatSpan
    """From where to where in metres."""

    y: FlatSpan
    """From where to where in metres."""

    z: FlatSpan
    """From where to where in metres."""

    direction: Direction
    """From the negative to the positive terminal: ``+z`` if the positive one is at the larger z."""

    impedance: Positive = 50.0
    """Its resistance, and the reference impedance of its waves, in ohms."""

    @model_validator(mode="after")
    def _has_length(self) -> LumpedPort:
        low, high = getattr(self, self.axis)
        if low == high:
            raise ValueError(f"must not be flat along its direction {self.axis}")
        return self

    @property
    def axis(self) -> str:
        """The axis of its direction."""
        return self.direction[1]


class TerminalWalls(BaseModel):
    """What bounds the simulated space: no reflection, no tangential E, or no tangential H.

    Materials at an absorbing wall go on into the absorber.
    """

    model_config = PART

    x_min: Wall = "absorbing"
    x_max: Wall = "absorbing"
    y_min: Wall = "absorbing"
    y_max: Wall = "absorbing"
    z_min: Wall = "absorbing"
    z_max: Wall = "absorbing"


class TerminalComponentModeler(Document):
    """S-parameters between the lumped ports of a structure, by finite differences in the time domain (FDTD).

    Lengths are metres, frequencies Hz. The grid has a line at each face of a box and of a port, and cells of at most
    ``cell`` in between. Each port in turn sends a pulse that covers the frequencies.
    """

    x: Span
    """Extent of the simulated space in metres."""

    y: Span
    """Extent of the simulated space in metres."""

    z: Span
    """Extent of the simulated space in metres."""

    cell: Positive | tuple[Positive, Positive, Positive]
    """Largest width of a cell in metres: one for all axes, or one for each."""

    background: Dielectric = Dielectric()
    """What is where no box is."""

    boxes: tuple[Box, ...] = Field(default=(), max_length=10_000)
    """What the structure is made of. Later dielectrics lie over earlier ones; a conductor lies over all."""

    ports: tuple[LumpedPort, ...] = Field(min_length=1, max_length=100)
    """Where signals go in and out."""

    frequencies: tuple[Positive, ...] = Field(min_length=1, max_length=100_000)
    """Frequencies of the result in Hz."""

    walls: TerminalWalls = TerminalWalls()
    """What bounds the simulated space."""

    absorber_cells: int = Field(default=10, ge=4, le=100)
    """Depth of an absorber in cells; it lies outside of the simulated space."""

    run_time: Positive | None = None
    """Longest time that a run simulates, in seconds; if it is left out, that of the pulse and of thirty passes through
    the space."""

    shutoff: float = Field(default=1e-7, gt=0, lt=1)
    """A run ends when the energy of the field has decayed to this part of its maximum."""

    @model_validator(mode="after")
    def _fits(self) -> TerminalComponentModeler:
        names = [port.name for port in self.ports]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the names of ports must differ; there is more than one {', '.join(twice)}")
        for port in self.ports:
            for axis in AXES:
                (low, high), (least, most) = getattr(port, axis), getattr(self, axis)
                if low < least or high > most:
                    raise ValueError(f"port {port.name}: {axis} = ({low}, {high}) must lie within ({least}, {most})")
        return self

    @property
    def cells(self) -> tuple[float, float, float]:
        """The largest width of a cell along each axis, in metres."""
        return self.cell if isinstance(self.cell, tuple) else (self.cell, self.cell, self.cell)
