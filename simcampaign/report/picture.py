"""The map of all runs as a small picture, for places that show no page of ours."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from simcampaign.plan import Codes
from simcampaign.runs import RunState

LARGEST = 400
"""Most cells along a side; of more, the worst in each block is shown."""

COLOURS = {
    RunState.MISSING: (0xDF, 0xE3, 0xE8),
    RunState.INCOMPLETE: (0xEB, 0xA6, 0x1C),
    RunState.DONE: (0x12, 0x93, 0x6F),
    RunState.IN_FLIGHT: (0x4A, 0xA8, 0xE0),
    RunState.FAILED: (0xD1, 0x48, 0x0B),
    RunState.STALE: (0xB7, 0x63, 0xA0),
    RunState.UNLISTED: (0x2A, 0x5F, 0xA8),
    RunState.WAITING: (0xA8, 0xB4, 0xC2),
}
"""Those of the summary page."""

_WORST_FIRST = (
    RunState.FAILED,
    RunState.INCOMPLETE,
    RunState.MISSING,
    RunState.WAITING,
    RunState.UNLISTED,
    RunState.STALE,
    RunState.IN_FLIGHT,
    RunState.DONE,
)


def draw_map(codes: Codes) -> bytes:
    """Return a PNG with a row a condition and a column a seed, coloured by state; at most 800 pixels a side."""
    rank = np.zeros(len(RunState), dtype=np.uint8)
    rank[list(_WORST_FIRST)] = np.arange(len(_WORST_FIRST))
    cells = np.asarray(_WORST_FIRST, dtype=np.uint8)[_worst(rank[codes])]
    scale = max(1, min(16, 2 * LARGEST // max(cells.shape)))
    pixels = np.repeat(np.repeat(cells, scale, axis=0), scale, axis=1)
    if scale > 3:  # a line between cells, as on the page
        pixels[scale - 1 :: scale, :] = len(RunState)
        pixels[:, scale - 1 :: scale] = len(RunState)
    return _png(pixels)


def _worst(ranks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    for axis in (0, 1):
        size = ranks.shape[axis]
        if size > LARGEST:
            starts = np.unique(np.linspace(0, size, LARGEST, endpoint=False).astype(np.int64))
            ranks = np.minimum.reduceat(ranks, starts, axis=axis)
    return ranks


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG of palette colours (RFC 2083); the colour after those of the states is white."""
    height, width = pixels.shape
    palette = b"".join(bytes(COLOURS[state]) for state in RunState) + b"\xff\xff\xff"
    rows = np.hstack([np.zeros((height, 1), dtype=np.uint8), pixels]).tobytes()
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
