"""The heat map of a campaign: one small number a run, so that a million of them fit into a megabyte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simcampaign.engine.campaign import SeriesRecord
from simcampaign.engine.known import expand
from simcampaign.jobs import JobState
from simcampaign.plan import Plan
from simcampaign.runs import RunState

QUEUED, RUNNING = len(RunState), len(RunState) + 1
LEGEND = (*(state.label for state in RunState), "queued", "running")
"""What the numbers mean. A run in flight is queued or running as far as that is known."""


@dataclass(frozen=True)
class HeatMap:
    """The state of every run."""

    conditions: Sequence[str]
    """Keys."""

    seeds: Sequence[int]
    codes: NDArray[np.uint8]
    """Places in the legend; shape ``(conditions, seeds)``."""

    legend: Sequence[str] = LEGEND

    def window(self, first_condition: int, conditions: int, first_seed: int, seeds: int) -> HeatMap:
        """Return a part of it; what lies beyond its edges is left out."""
        rows = slice(first_condition, first_condition + conditions)
        columns = slice(first_seed, first_seed + seeds)
        return HeatMap(self.conditions[rows], self.seeds[columns], self.codes[rows, columns])

    def states_text(self) -> str:
        """Return the numbers as a JSON array for each condition; no number is made an object on the way."""
        rows, columns = self.codes.shape
        if not columns:
            return f"[{','.join(['[]'] * rows)}]"
        text = np.full((rows, 2 * columns + 2), ord(","), dtype=np.uint8)
        text[:, 0] = ord("[")
        text[:, 1:-1:2] = self.codes + ord("0")
        text[:, -2] = ord("]")
        return f"[{text.tobytes().decode('ascii').rstrip(',')}]"


def heat_map(record: SeriesRecord, plan: Plan) -> HeatMap:
    """Return where every run of a series is, by its plan and what the ledger knows of jobs that have not ended."""
    codes = plan.codes.copy()
    in_flight = codes == RunState.IN_FLIGHT
    codes[in_flight] = QUEUED
    recorded = record.recorded_id
    rows, (row_of, conditions, columns) = expand(
        [] if recorded is None else record.ledger.runs(recorded, active_only=True), record.series
    )
    running = np.array([row[3] == JobState.RUNNING for row in rows], dtype=bool)[row_of]
    now = np.zeros_like(in_flight)
    now[conditions[running], columns[running]] = True
    codes[in_flight & now] = RUNNING
    return HeatMap(record.condition_keys, record.series.seeds, codes)
