"""Tries: how often each run was tried, how those tries ended, and what the next one is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simcampaign.engine.known import expand
from simcampaign.jobs import ACTIVE, Cause, JobState, Resources
from simcampaign.ledger import RunRow
from simcampaign.retry import Limits, next_try
from simcampaign.series import Series

_SILENT = (JobState.FINISHED, JobState.CANCELLED)
"""How jobs end after which another try is for a person to ask for."""

_OUTCOMES = (None, *Cause)


@dataclass(frozen=True)
class Tries:
    """How the tries of every run ended."""

    histories: Sequence[tuple[Cause | None, ...]]
    """Each that there is once, the empty one first; see ``retry.next_try``."""

    of_run: NDArray[np.int64]
    """Which of them a run has; shape ``(conditions, seeds)``."""

    def next(self, resources: Resources, limits: Limits) -> dict[Resources | None, NDArray[np.bool_]]:
        """Return which runs' next try is given what; under None those that are not tried again."""
        given = [next_try(history, resources, limits) for history in self.histories]
        return {each: np.isin(self.of_run, [at for at, other in enumerate(given) if other == each]) for each in given}


def count_tries(rows: Sequence[RunRow], series: Series, since: int, is_stale: Callable[[RunRow], bool]) -> Tries:
    """Count the tries of every run that have ended.

    Parameters
    ----------
    rows
        What the ledger has of the campaign, oldest first.
    series
        The series; ranges that it no longer has are left out.
    since
        Only tries in arrays after the one with this id in the ledger count.
    is_stale
        Tells of a row whether it was of another input than the one that would be rendered now: that was no try of it.
    """
    ended = [row for row in rows if row[6] > since and row[3] not in ACTIVE and not is_stale(row)]
    ended, (row_of, conditions, columns) = expand(ended, series)
    shape = (len(series.conditions), len(series.seeds))
    outcomes = np.array([_outcome(row) for row in ended], dtype=np.int64)
    of_run = np.zeros(shape[0] * shape[1], dtype=np.int64)
    histories: list[tuple[Cause | None, ...]] = [()]
    runs = conditions * shape[1] + columns
    for which in _rounds(runs):
        kinds, kind_of = np.unique(of_run[runs[which]] * len(_OUTCOMES) + outcomes[row_of[which]], return_inverse=True)
        of_run[runs[which]] = len(histories) + kind_of
        histories += [(*histories[kind // len(_OUTCOMES)], _OUTCOMES[kind % len(_OUTCOMES)]) for kind in kinds.tolist()]
    return Tries(histories, of_run.reshape(shape))


def _outcome(row: RunRow) -> int:
    state, cause = row[3], row[7]
    if state in _SILENT:
        return _OUTCOMES.index(None)
    return _OUTCOMES.index(Cause(cause) if cause else Cause.LOST)


def _rounds(runs: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return positions in ``runs``: of every run's first mention, then of every second one, and so on."""
    if not len(runs):
        return []
    order = np.argsort(runs, kind="stable")
    starts = np.flatnonzero(np.diff(runs[order], prepend=-1))
    number = np.arange(len(runs)) - np.repeat(starts, np.diff(starts, append=len(runs)))
    return [order[number == each] for each in range(int(number.max()) + 1)]
