"""Tabulate and draw the effective index over width and height: ``python -m models.waveguide LOCATION``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from models.outputs import DATED, OutputsError, dated_folders, find_runs
from simcampaign.errors import SimcampaignError

_SIZE = re.compile(r"w(?P<width>\d+\.\d+)_h(?P<height>\d+\.\d+)")

Indices = Mapping[tuple[float, float], float]
"""Effective index of the first mode, by width and height in micrometres."""


def read_indices(name: str, folders: list[Path]) -> Indices:
    """Read the results of all runs. Raises ``OutputsError`` if there is none, or one is no result of a mode solve."""
    from simcampaign import solver  # noqa: PLC0415 - takes a second to import

    found = {}
    for condition, paths in find_runs(name, folders, "hdf5").items():
        size = _SIZE.fullmatch(condition)
        path = paths[max(paths)]
        if size is None:
            raise OutputsError(f"{path}: its condition names no width and height, as w0.50_h0.22 does")
        try:
            data = solver.ModeSolverData.from_file(path)
        except SimcampaignError as error:
            raise OutputsError(f"{path}: cannot be read: {error}") from error
        found[float(size["width"]), float(size["height"])] = float(data.n_eff[0, 0])
    return dict(sorted(found.items()))


def draw(indices: Indices, path: Path) -> None:
    """Draw a line per height as a PNG."""
    import matplotlib  # noqa: PLC0415 - takes a second to import

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axis = pyplot.subplots(figsize=(7, 4.6), layout="constrained")
    for height in sorted({height for _, height in indices}):
        points = [(width, index) for (width, its_height), index in indices.items() if its_height == height]
        axis.plot(*zip(*points, strict=True), marker="o", label=f"{height:g} µm high")
    axis.set_xlabel("width (µm)")
    axis.set_ylabel("effective index")
    axis.legend(frameon=False)
    axis.grid(color="#dddddd", linewidth=0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    figure.savefig(temporary, format="png", dpi=160)
    temporary.replace(path)
    pyplot.close(figure)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.waveguide", description=__doc__)
    parser.add_argument("location", metavar="LOCATION", type=Path, help="a dated location, or a working location")
    parser.add_argument("--name", help="the series, if the working location holds several")
    options = parser.parse_args(arguments)
    try:
        name, folders = dated_folders(options.location, options.name)
        indices = read_indices(name, folders)
        target = options.location if DATED.fullmatch(options.location.name) else folders[-1]
        picture = target / "pictures" / "index.png"
        draw(indices, picture)
        text = "; ".join(f"{width:g} × {height:g} µm: {index:.3f}" for (width, height), index in indices.items())
        picture.with_suffix(".txt").write_text(f"Effective index by width × height. {text}.\n", encoding="utf-8")
    except OutputsError as error:
        sys.stderr.write(f"waveguide: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"waveguide: {error.filename}: cannot be written: {error.strerror}\n")
        return 2
    for (width, height), index in indices.items():
        sys.stdout.write(f"{width:.2f} {height:.2f} {index:.4f}\n")
    sys.stdout.write(f"picture: {picture}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
