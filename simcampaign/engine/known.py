"""What the ledger knows of a series' runs, as masks over conditions × seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from simcampaign.jobs import ACTIVE, JobState
from simcampaign.ledger import RunRow
from simcampaign.plan import Known
from simcampaign.series import Series

_BAD = frozenset({JobState.FAILED, JobState.LOST})


def known_runs(rows: Sequence[RunRow], series: Series, is_stale: Callable[[RunRow], bool]) -> Known:
    """Lay the ledger's ranges, oldest first, over the series; later ones hide earlier ones.

    Ranges of conditions or seeds that the series no longer has are left out. ``is_stale`` is asked of finished ranges.
    """
    known = Known.nothing(series)
    rows, (row_of, conditions, columns) = expand(rows, series)
    if not rows:
        return known
    states = np.array([row[3] for row in rows])
    last = np.full(known.failed.shape, -1, dtype=np.int64)
    last[conditions, columns] = row_of  # numpy assigns in order: the newest range wins
    submitted = last >= 0
    known.finished[submitted] = (states == JobState.FINISHED)[last[submitted]]
    known.failed[submitted] = np.isin(states, sorted(_BAD))[last[submitted]]
    # A job of any age that still runs holds its runs, even if a later one was submitted (and, say, cancelled).
    active = np.isin(states, sorted(ACTIVE))[row_of]
    known.in_flight[conditions[active], columns[active]] = True
    finished = states == JobState.FINISHED
    stale = np.array([bool(finished[index]) and is_stale(row) for index, row in enumerate(rows)])
    last_finished = np.full(known.failed.shape, -1, dtype=np.int64)
    ended_well = finished[row_of]
    last_finished[conditions[ended_well], columns[ended_well]] = row_of[ended_well]
    there = last_finished >= 0
    known.stale[there] = stale[last_finished[there]]
    return known


Expanded = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Number of the row, of the condition and of the seed, one each for every run."""


def expand(rows: Sequence[RunRow], series: Series) -> tuple[list[RunRow], Expanded]:
    """Return the rows whose conditions the series has, and every run of theirs whose seed it has, in their order."""
    position = {str(condition["key"]): index for index, condition in enumerate(series.conditions)}
    seeds = np.asarray(series.seeds, dtype=np.int64)
    rows = [row for row in rows if row[0] in position]
    if not rows or not len(seeds):
        return [], (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    start = np.array([row[1] for row in rows], dtype=np.int64)
    length = np.array([row[2] for row in rows], dtype=np.int64) - start + 1
    condition = np.array([position[row[0]] for row in rows], dtype=np.int64)
    row_of = np.repeat(np.arange(len(rows)), length)
    offset = np.arange(len(row_of)) - np.repeat(np.cumsum(length) - length, length)
    run_seeds = start[row_of] + offset
    order = np.argsort(seeds)
    found = np.minimum(np.searchsorted(seeds[order], run_seeds), len(seeds) - 1)
    columns = order[found]
    there = seeds[columns] == run_seeds
    return rows, (row_of[there], condition[row_of[there]], columns[there])
