"""Show how a value spreads over the seeds of a series: ``python -m models.spread LOCATION --value COLUMN``."""

from __future__ import annotations

import argparse
import csv
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from models.outputs import DATED, OutputsError, dated_folders, find_runs

# Okabe and Ito's colours, without the yellow that is too pale for a point.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)")
_SHOWN = 21
"""More conditions than this are too many to tell apart in one picture."""


@dataclass(frozen=True)
class Spread:
    """One condition: a value for each seed."""

    values: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return fmean(self.values.values())

    @property
    def deviation(self) -> float:
        """Standard deviation over the seeds; 0 for a single one."""
        return stdev(self.values.values()) if len(self.values) > 1 else 0.0


def read_spreads(name: str, folders: list[Path], column: str, last: float) -> dict[str, Spread]:
    """Read the value of each run, by condition in natural order, each from its table; see ``read_value``.

    Raises ``OutputsError`` if there is no table, or one has no such column, no rows, or no numbers in it.
    """
    runs = find_runs(name, folders, "csv")
    return {
        condition: Spread({seed: read_value(path, column, last) for seed, path in sorted(runs[condition].items())})
        for condition in sorted(runs, key=_natural)
    }


def read_value(path: Path, column: str, last: float) -> float:
    """Return the mean of a column over the last part of a CSV file, e.g. 0.5 for its second half; at least a row."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            values = [float(row[column]) for row in csv.DictReader(file)]
    except KeyError as error:
        raise OutputsError(f"{path}: has no column {column}") from error
    except (OSError, ValueError, TypeError) as error:
        raise OutputsError(f"{path}: cannot be read: {error}") from error
    if not values:
        raise OutputsError(f"{path}: has no rows")
    value = fmean(values[-max(1, math.floor(len(values) * last)) :])
    if not math.isfinite(value):
        raise OutputsError(f"{path}: {column} is {value}")
    return value


def _natural(condition: str) -> list[tuple[float, str]]:
    """Return a key by which t2 comes before t10."""
    parts = _NUMBER.split(condition)
    return [(float(part), "") if index % 2 else (math.inf, part) for index, part in enumerate(parts)]


def write_table(spreads: Mapping[str, Spread], path: Path) -> None:
    """Write a line for each condition."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["condition", "seeds", "mean", "deviation", "least", "greatest"])
        for condition, spread in spreads.items():
            figures = spread.mean, spread.deviation, min(spread.values.values()), max(spread.values.values())
            table.writerow([condition, len(spread.values), *(f"{figure:.6g}" for figure in figures)])


def draw(name: str, spreads: Mapping[str, Spread], label: str, path: Path, text: str) -> None:
    """Draw the values against the seeds, and their mean and deviation per condition, as a PNG at ``path``."""
    # Only drawing needs matplotlib, which takes a second to import.
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    shown = dict(list(spreads.items())[:_SHOWN])
    with pyplot.rc_context(
        {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#555555"}
    ):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.6), layout="constrained", sharey=True)
        for index, (condition, spread) in enumerate(shown.items()):
            look = {"color": _COLOURS[index % 7], "marker": _MARKERS[(index + index // 7) % 7]}
            left.plot(list(spread.values), list(spread.values.values()), linestyle="none", label=condition, **look)
            right.errorbar([index], [spread.mean], [spread.deviation], capsize=4, **look)
        left.set_xlabel("seed")
        left.set_ylabel(label)
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        right.set_xticks(range(len(shown)), list(shown), rotation=45 if len(shown) > 6 else 0)
        right.margins(x=0.15)
        right.set_title("mean and standard deviation over the seeds", loc="left", fontsize=9.5, color="#444444")
        for axis in (left, right):
            axis.grid(color="#dddddd", linewidth=0.8)
            axis.set_axisbelow(True)
        figure.suptitle(f"{name}: {label}", x=0.01, ha="left", weight="bold")
        temporary = path.with_name(f".{path.name}.tmp")
        figure.savefig(temporary, format="png", dpi=160, metadata={"Title": f"{name}: {label}", "Description": text})
        temporary.replace(path)
        pyplot.close(figure)


def describe(name: str, spreads: Mapping[str, Spread], label: str) -> str:
    """Say in words what the picture shows, for those who cannot see it."""
    each = [
        f"{condition} {spread.mean:.4g} ± {spread.deviation:.2g} ({len(spread.values)} seeds)"
        for condition, spread in list(spreads.items())[:_SHOWN]
    ]
    left_out = f"; {len(spreads) - _SHOWN} conditions are not shown" if len(spreads) > _SHOWN else ""
    return (
        f"{label} of {name} against seeds, and mean and standard deviation per condition: {', '.join(each)}{left_out}."
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.spread",
        description="Summarise a column of the runs' CSV files over the seeds, from the outputs of all days of a "
        "series, as pictures/COLUMN.png in the given or latest dated location, with COLUMN.txt that says in words what "
        "is seen, and the figures in COLUMN.csv.",
    )
    parser.add_argument("location", metavar="LOCATION", type=Path, help="a dated location, or a working location")
    parser.add_argument("--value", metavar="COLUMN", required=True, help="the column")
    parser.add_argument("--label", default="", help="what the column is, with its unit; default: its name")
    parser.add_argument("--last", type=float, default=0.5, help="part of a table that counts, from its end (0.5)")
    parser.add_argument("--name", help="the series, if the working location holds several")
    options = parser.parse_args(arguments)
    label = options.label or options.value
    try:
        name, folders = dated_folders(options.location, options.name)
        spreads = read_spreads(name, folders, options.value, options.last)
        target = options.location if DATED.fullmatch(options.location.name) else folders[-1]
        path = target / "pictures" / f"{re.sub(r'[^A-Za-z0-9_-]', '-', options.value)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = describe(name, spreads, label)
        write_table(spreads, path.with_suffix(".csv"))
        draw(name, spreads, label, path, text)
        path.with_suffix(".txt").write_text(f"{text}\n", encoding="utf-8")
    except OutputsError as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"{error.filename}: cannot be written: {error.strerror}")
    except ModuleNotFoundError as error:
        return _complain(f"pictures need {error.name}: pip install 'simcampaign[demo]'")
    sys.stdout.write(f"picture: {path}\n")
    return 0


def _complain(message: str) -> int:
    sys.stderr.write(f"spread: {message}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
