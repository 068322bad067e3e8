"""Parts: databases bound the number of values in one statement, so long lists are asked for in parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

MOST = 500
"""Values in one statement at most."""


def parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield values in order, as many together as one statement takes."""
    return (values[first : first + MOST] for first in range(0, len(values), MOST))
