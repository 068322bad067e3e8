"""Stretches of an axis in simulations, and how many cells they are cut into."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator


def _ascending(span: tuple[float, float]) -> tuple[float, float]:
    if not span[0] < span[1]:
        raise ValueError("must go from a smaller to a larger coordinate")
    return span


def _not_descending(span: tuple[float, float]) -> tuple[float, float]:
    if not span[0] <= span[1]:
        raise ValueError("must not go from a larger to a smaller coordinate")
    return span


Span = Annotated[tuple[float, float], AfterValidator(_ascending)]
"""From where to where."""

FlatSpan = Annotated[tuple[float, float], AfterValidator(_not_descending)]
"""From where to where; both may be the same place."""


def count_cells(low: float, high: float, cell: float) -> int:
    """Return the least number of equal cells, none wider than ``cell``, that fill a stretch."""
    # Ten cells of 0.1 fill 1.0 although 1.0 / 0.1 may come out a little above ten.
    return max(1, math.ceil((high - low) / cell * (1 - 1e-9)))
