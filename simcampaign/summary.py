"""The summary of a series: how many files of each extension exist per condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simcampaign.plan import files_present
from simcampaign.series import Series, fold, run_stem

CHECK = "✓"
"""Stands for a file that a condition has once, not per seed."""


@dataclass(frozen=True)
class Summary:
    """Files per condition and extension; both arrays have the shape ``(conditions, extensions)``."""

    name: str
    condition_keys: Sequence[str]
    seeds: int
    """Number of seeds of the series."""

    extensions: Sequence[str]
    """Those that a complete run leaves, as the series has them, then others that were found, by name."""

    counts: NDArray[np.int64]
    """Number of seeds of the series that have the file."""

    unseeded: NDArray[np.bool_]
    """Whether the condition has the file without a seed."""

    def cell(self, condition: int, extension: int) -> str:
        """Return ``12/16 (75.00 %)`` for files with seeds, ``✓`` for one without, and nothing where there is none."""
        count = int(self.counts[condition, extension])
        if count:
            return fraction(count, self.seeds)
        return CHECK if self.unseeded[condition, extension] else ""

    def total(self, extension: int) -> str:
        """Return the cell of the last row: of all conditions together."""
        count = int(self.counts[:, extension].sum())
        once = int(self.unseeded[:, extension].sum())
        if once and not count:
            return f"{CHECK} {once:,}/{len(self.condition_keys):,}"
        return fraction(count, self.seeds * len(self.condition_keys))


def summarise(manifest: pl.DataFrame, series: Series) -> Summary:
    """Count the files of a series.

    Parameters
    ----------
    manifest
        Table with the columns ``KEY`` and ``EXTENSION``; a file at several locations counts once.
    series
        Which conditions and seeds count. An extension counts if the series expects it or a file of one of its
        runs or conditions has it.
    """
    keys = [str(condition["key"]) for condition in series.conditions]
    unseeded_keys = [fold(f"{series.name}_{key}") for key in keys]
    found = [extension for extension in _extensions(manifest, series.name, keys) if extension not in series.extensions]
    extensions = [*series.extensions, *found]
    shape = (len(keys), len(extensions))
    counts, unseeded = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    once = manifest.filter(pl.col("KEY").is_in(pl.Series(unseeded_keys, dtype=pl.String).implode()))
    for column, extension in enumerate(extensions):
        # One extension at a time: a model that leaves many odd files would fill the memory otherwise.
        counts[:, column] = files_present(manifest, series.name, keys, series.seeds, [extension])[0].sum(axis=1)
        owners = set(once.filter(pl.col("EXTENSION") == extension)["KEY"])
        unseeded[:, column] = [key in owners for key in unseeded_keys]
    used: NDArray[np.bool_] = np.logical_or(counts.any(axis=0), unseeded.any(axis=0))
    kept = [column for column, extension in enumerate(extensions) if used[column] or extension in series.extensions]
    return Summary(
        name=series.name,
        condition_keys=keys,
        seeds=len(series.seeds),
        extensions=[extensions[column] for column in kept],
        counts=counts[:, kept],
        unseeded=unseeded[:, kept],
    )


def _extensions(manifest: pl.DataFrame, name: str, keys: Sequence[str]) -> list[str]:
    """Extensions of all files that may belong to a condition, with or without a seed, by name."""
    stems = pl.LazyFrame({"STEM": [run_stem(name, key) for key in keys]}, schema={"STEM": pl.String})
    once = pl.LazyFrame({"KEY": [fold(f"{name}_{key}") for key in keys]}, schema={"KEY": pl.String})
    files = manifest.lazy().select("KEY", "EXTENSION")
    seeded = files.with_columns(pl.col("KEY").str.strip_chars_end("0123456789").alias("STEM"))
    both = pl.concat(
        [seeded.join(stems, on="STEM", how="semi"), files.join(once, on="KEY", how="semi")], how="diagonal"
    )
    return sorted(both.select(pl.col("EXTENSION").fill_null("").unique()).collect()["EXTENSION"])


def fraction(count: int, total: int) -> str:
    """Return ``12/16 (75.00 %)``; the percentage is rounded down, so that 100 % always means all."""
    percent = count * 10_000 // total / 100 if total else 0.0
    return f"{count:,}/{total:,} ({percent:.2f} %)"


def counted(number: int, noun: str) -> str:
    """Return ``1 run``, ``2 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def render_text(summary: Summary, limit: int | None = None) -> str:
    """Return the summary as an aligned table, a row per condition.

    ``limit`` is the number of conditions that are shown, for a terminal; the last line then says how many are not.
    """
    conditions = len(summary.condition_keys)
    shown = conditions if limit is None else min(limit, conditions)
    columns = range(len(summary.extensions))
    rows = [
        ["condition", *(extension or "(none)" for extension in summary.extensions)],
        *([summary.condition_keys[row], *(summary.cell(row, column) for column in columns)] for row in range(shown)),
        ["total", *(summary.total(column) for column in columns)],
    ]
    rows = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    rule = "  ".join("─" * width for width in widths)
    left_out = [f"… {counted(conditions - shown, 'more condition')}"] if shown < conditions else []
    size = f"{counted(conditions, 'condition')} × {counted(summary.seeds, 'seed')}"
    head = f"{summary.name}: {size} = {counted(conditions * summary.seeds, 'run')}"
    return "\n".join([head, "", lines[0], rule, *lines[1:-1], *left_out, rule, lines[-1], ""])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
    return "  ".join(cells).rstrip()


def _printable(text: str) -> str:
    # Extensions come from file names, which may hold what moves a terminal's cursor.
    return "".join(character if character.isprintable() else "�" for character in text)
