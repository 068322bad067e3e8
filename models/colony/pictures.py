"""Draw the growth curves of a series: ``python -m models.colony.pictures LOCATION``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from numpy.typing import NDArray

from models.colony.outputs import HEADER
from models.outputs import DATED, OutputsError, dated_folders, find_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, without the yellow that is too pale for a line; line styles tell them apart in grey.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
_STYLES = ("-", "--", "-.", ":")
_CURVES = 8
"""More conditions than this are too many to tell apart in one picture."""

_PANELS = (("cells", "living cells"), ("radius_um", "colony radius (µm)"))


@dataclass(frozen=True)
class Curves:
    """One condition: a row per seed and a column per time."""

    time_h: NDArray[np.float64]
    values: Mapping[str, NDArray[np.float64]]
    drug_h: tuple[float, float] | None
    """When the drug was there, in hours; None without a drug."""

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return len(next(iter(self.values.values())))


def read_curves(name: str, folders: list[Path]) -> dict[str, Curves]:
    """Read the time series of all runs, by condition; of a run done on several days the latest counts.

    Raises ``OutputsError`` if there is none, or one is no time series of this model.
    """
    runs = find_runs(name, folders, "csv")
    return {condition: _curves(list(paths.values())) for condition, paths in runs.items()}


def _curves(paths: list[Path]) -> Curves:
    tables = [_table(path) for path in paths]
    # Runs that were done with fewer steps end earlier; what all of them reach is comparable.
    length = min(len(table) for table in tables)
    stacked = np.stack([table[:length] for table in tables])
    columns = HEADER.split(",")
    return Curves(
        stacked[0, :, 0], {column: stacked[:, :, columns.index(column)] for column, _ in _PANELS}, _drug(paths[-1])
    )


def _drug(path: Path) -> tuple[float, float] | None:
    cells = path.with_suffix(".h5")
    if not cells.exists():
        return None
    try:
        with h5py.File(cells) as file:
            attributes = dict(file.attrs)
    except OSError as error:
        raise OutputsError(f"{cells}: cannot be read: {error}") from error
    if not attributes.get("drug_dose"):
        return None
    return float(attributes["drug_start"]), float(attributes["drug_end"])


def _table(path: Path) -> NDArray[np.float64]:
    try:
        with path.open(encoding="utf-8") as file:
            if file.readline().strip() != HEADER:
                raise OutputsError(f"{path}: is no time series of this model; its first line should be {HEADER}")
            return np.loadtxt(file, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise OutputsError(f"{path}: cannot be read: {error}") from error


def draw(name: str, curves: Mapping[str, Curves], path: Path) -> str:
    """Draw living cells and radius over time as a PNG at ``path``; return a text that says what it shows."""
    # Only drawing needs matplotlib, which takes a second to import.
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    shown = dict(sorted(curves.items(), key=lambda item: -_final(item[1]))[:_CURVES])
    with pyplot.rc_context(
        {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#555555"}
    ):
        figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
        for axis, (column, label) in zip(axes, _PANELS, strict=True):
            _panel(axis, shown, column, label)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(shown)), frameon=False)
        figure.suptitle(f"Growth of {name}", x=0.01, ha="left", weight="bold")
        left_out = f"; {len(curves) - len(shown)} smaller conditions are not drawn" if len(shown) < len(curves) else ""
        axes[0].set_title(
            f"line: mean over seeds, band: 10th to 90th percentile{left_out}", loc="left", fontsize=9.5, color="#444444"
        )
        text = describe(name, curves)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        figure.savefig(temporary, format="png", dpi=160, metadata={"Title": f"Growth of {name}", "Description": text})
        temporary.replace(path)
        pyplot.close(figure)
    return text


def _panel(axis: Axes, curves: Mapping[str, Curves], column: str, label: str) -> None:
    end_h = max(curve.time_h[-1] for curve in curves.values())
    for start, end in {curve.drug_h for curve in curves.values() if curve.drug_h and curve.drug_h[0] < end_h}:
        middle = (start + min(end, end_h)) / 2
        axis.axvspan(start, end, color="#000000", alpha=0.05, linewidth=0)
        axis.text(middle, 0.985, "drug", transform=axis.get_xaxis_transform(), ha="center", va="top", color="#444444")
    order = sorted(curves)
    for condition, curve in curves.items():
        # A condition keeps its colour while others overtake it.
        index = order.index(condition)
        colour = _COLOURS[index % len(_COLOURS)]
        values = curve.values[column]
        low, high = np.percentile(values, [10, 90], axis=0)
        axis.fill_between(curve.time_h, low, high, color=colour, alpha=0.2, linewidth=0)
        axis.plot(
            curve.time_h,
            values.mean(axis=0),
            color=colour,
            linestyle=_STYLES[index % len(_STYLES)],
            linewidth=2,
            zorder=3
            + index / 10,  # the more broken a line, the higher: where curves agree, each shows through the next
            label=f"{condition} ({curve.seeds} seed{'s' if curve.seeds != 1 else ''})",
        )
    from matplotlib.ticker import MultipleLocator, StrMethodFormatter  # noqa: PLC0415

    axis.set_xlabel("time (h)")
    axis.set_ylabel(label)
    axis.set_xlim(0, end_h)
    axis.set_ylim(bottom=0)
    axis.grid(color="#dddddd", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.xaxis.set_major_locator(MultipleLocator(max(1, 6 * round(end_h / 36))))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _final(curve: Curves) -> float:
    return float(curve.values["cells"][:, -1].mean())


def describe(name: str, curves: Mapping[str, Curves]) -> str:
    """Say in words what the picture shows, for those who cannot see it."""
    ends = [
        f"{condition} ends at {_final(curve):,.0f} cells after {curve.time_h[-1]:g} h (mean of {curve.seeds} seeds)"
        for condition, curve in sorted(curves.items(), key=lambda item: -_final(item[1]))[:_CURVES]
    ]
    return f"Growth curves of {name}: living cells and colony radius over time, per condition. {'; '.join(ends)}."


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.colony.pictures",
        description="Draw the growth curves of a series, from the outputs of all its days, as pictures/growth.png in "
        "the given or latest dated location, with pictures/growth.txt that says in words what is seen.",
    )
    parser.add_argument("location", metavar="LOCATION", type=Path, help="a dated location, or a working location")
    parser.add_argument("--name", help="the series, if the working location holds several")
    options = parser.parse_args(arguments)
    try:
        name, folders = dated_folders(options.location, options.name)
        target = options.location if DATED.fullmatch(options.location.name) else folders[-1]
        path = target / "pictures" / "growth.png"
        text = draw(name, read_curves(name, folders), path)
        path.with_suffix(".txt").write_text(f"{text}\n", encoding="utf-8")
    except OutputsError as error:
        sys.stderr.write(f"colony: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"colony: {error.filename}: cannot be written: {error.strerror}\n")
        return 2
    except ModuleNotFoundError as error:
        sys.stderr.write(f"colony: pictures need {error.name}: pip install 'simcampaign[demo]'\n")
        return 2
    sys.stdout.write(f"picture: {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
