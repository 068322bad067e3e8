"""Arrays in simulations and results: real, complex, and values on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

PART = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
"""How every part of a simulation is validated: unknown fields are refused, numbers finite, nothing changes."""


def _read_real(value: object) -> NDArray[np.float64]:
    return _finite(value, np.dtype(np.float64))


def _read_complex(value: object) -> NDArray[np.complex128]:
    if isinstance(value, Mapping) and set(value) == {"real", "imag"}:
        real, imaginary = _read_real(value["real"]), _read_real(value["imag"])
        if real.shape != imaginary.shape:
            raise ValueError("must have a real and an imag of the same shape")
        value = real + 1j * imaginary
    return _finite(value, np.dtype(np.complex128))


def _finite(value: object, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return a copy of the value that cannot be changed."""
    try:
        given = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"must be an array of numbers: {error}") from error
    if given.dtype.kind not in ("f", "i", "u", kind.kind):
        raise ValueError("must be an array of real numbers" if kind.kind == "f" else "must be an array of numbers")
    array = np.array(given, dtype=kind, order="C")
    if not np.isfinite(array).all():
        raise ValueError("must hold finite numbers only")
    array.setflags(write=False)
    return array


def _lists(array: NDArray[Any]) -> object:
    if array.dtype.kind == "c":
        return {"real": array.real.tolist(), "imag": array.imag.tolist()}
    return array.tolist()


_ANY_DEPTH = WithJsonSchema({"type": "array", "items": {}, "description": "numbers, nested as the array's axes"})

Real = Annotated[NDArray[np.float64], PlainValidator(_read_real), PlainSerializer(_lists, when_used="json"), _ANY_DEPTH]
"""A real array; nested lists in JSON, a dataset in HDF5."""

Complex = Annotated[
    NDArray[np.complex128],
    PlainValidator(_read_complex),
    PlainSerializer(_lists, when_used="json"),
    WithJsonSchema({"type": "object", "properties": {"real": {"type": "array"}, "imag": {"type": "array"}}}),
]
"""A complex array; ``{"real": …, "imag": …}`` in JSON, a dataset in HDF5."""


class GridField(BaseModel):
    """Values at the points of a grid in the plane."""

    model_config = PART

    x: Real
    """Coordinates along x in micrometres, ascending; shape (nx,)."""

    y: Real
    """Coordinates along y in micrometres, ascending; shape (ny,)."""

    values: Real
    """The values; shape (nx, ny)."""

    @model_validator(mode="after")
    def _fits(self) -> GridField:
        for name in ("x", "y"):
            axis = getattr(self, name)
            if axis.ndim != 1 or len(axis) < 2 or not (np.diff(axis) > 0).all():
                raise ValueError(f"{name} must be a line of at least two ascending coordinates")
        if self.values.shape != (len(self.x), len(self.y)):
            raise ValueError(f"values must have the shape ({len(self.x)}, {len(self.y)}), not {self.values.shape}")
        return self

    def covers(self, x: tuple[float, float], y: tuple[float, float]) -> bool:
        """Return whether the grid reaches over the rectangle, but for rounding."""
        return all(
            axis[0] <= low + slack and axis[-1] >= high - slack
            for axis, (low, high) in ((self.x, x), (self.y, y))
            for slack in (1e-9 * (high - low),)
        )

    def at(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values at the crossings of ``x`` and ``y``, shape (len(x), len(y)), linear between the points."""
        across = np.stack([np.interp(y, self.y, line) for line in self.values])
        return np.stack([np.interp(x, self.x, line) for line in across.T], axis=1)
