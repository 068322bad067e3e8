"""Sets of indices as short text: ``0-5,7,9-30:3``. Schedulers write and read it, and so do our cursors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?")
_MOST = 10_000_000
"""No text may stand for more indices than this."""


def to_text(indices: Iterable[int]) -> str:
    """Return indices, in any order, as ranges: ``0-5,7``; empty for none."""
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in _runs(sorted(set(indices))))


def _runs(ordered: list[int]) -> Iterator[tuple[int, int]]:
    position = 0
    while position < len(ordered):
        first = last = ordered[position]
        while position + 1 < len(ordered) and ordered[position + 1] == last + 1:
            position += 1
            last += 1
        yield first, last
        position += 1


def from_text(text: str) -> Iterator[int]:
    """Yield the indices that ``text`` stands for: numbers, ranges and steps, as in ``0-5,7,9-30:3``.

    Raises ``ValueError`` if it is something else, or stands for more than ten million.
    """
    left = _MOST
    for part in text.split(",") if text else ():
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is no range of indices")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if last < first or step < 1:
            raise ValueError(f"{part!r} is no range of indices")
        indices = range(first, last + 1, step)
        left -= len(indices)
        if left < 0:
            raise ValueError("there are too many indices")
        yield from indices
