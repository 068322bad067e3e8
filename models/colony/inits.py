"""Make the demo's founder cells: ``python -m models.colony.inits WORKING_LOCATION``.

A colony in the demo starts from a small disc of cells. The disc is saved where a series looks for the source of its
init named ``founders`` with the key ``disc``, so that the demo needs no file that is not made here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from models.colony.growth import CELL_UM

SOURCE = "founders/inits/inits.COLONY/founders_disc.csv"

RADIUS = 3.5
"""Radius of the disc in cells."""


def disc() -> str:
    """Return the founder cells as CSV."""
    reach = range(-int(RADIUS), int(RADIUS) + 1)
    cells = [(x * CELL_UM, y * CELL_UM) for y in reach for x in reach if x * x + y * y <= RADIUS**2]
    return "\n".join(["x_um,y_um", *(f"{x:g},{y:g}" for x, y in cells), ""])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.colony.inits", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("working", metavar="WORKING_LOCATION", type=Path, help="a directory; made if it is missing")
    path = parser.parse_args(arguments).working / SOURCE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(disc(), encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"colony: {path}: cannot be written: {error.strerror}\n")
        return 2
    sys.stdout.write(f"founder cells: {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
