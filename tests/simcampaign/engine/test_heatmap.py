"""The map of all runs: windows of it, and that a million runs cost little."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.engine.heatmap import LEGEND, HeatMap, heat_map
from simcampaign.engine.planning import prepare
from simcampaign.engine.steps import submit_missing
from simcampaign.engine.tick import tick
from tests.support import until


def a_map(conditions: int, seeds: int) -> HeatMap:
    codes = np.arange(conditions * seeds).reshape(conditions, seeds) % len(LEGEND)
    return HeatMap([f"c{row}" for row in range(conditions)], range(seeds), codes.astype(np.uint8))


EDGE = st.integers(0, 12)


@given(EDGE, EDGE, EDGE, EDGE, EDGE, EDGE)
def test_a_window_is_that_part_of_the_map(
    conditions: int, seeds: int, first_row: int, rows: int, first_column: int, columns: int
) -> None:
    whole = a_map(conditions, seeds)
    window = whole.window(first_row, rows, first_column, columns)
    inside = [row[first_column : first_column + columns] for row in whole.codes.tolist()[first_row : first_row + rows]]
    assert json.loads(window.states_text()) == inside
    assert [len(row) for row in inside] == [len(window.seeds)] * len(window.conditions)


def test_a_window_of_a_million_runs_takes_no_object_for_each_run() -> None:
    whole = a_map(1000, 1000)
    tracemalloc.start()
    text = whole.window(0, 1000, 0, 1000).states_text()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6
    assert len(json.loads(text)) == 1000


def test_runs_in_flight_are_queued_or_running(toy: Any) -> None:
    campaign = toy.campaign("hold", range(5))
    submit_missing(campaign)

    def seen() -> list[str]:
        done = tick(campaign)
        return [LEGEND[code] for code in heat_map(campaign, done.plan).codes[0].tolist()]

    until(lambda: sorted(seen()) == ["queued"] * 3 + ["running"] * 2)
    toy.let_go()
    until(lambda: tick(campaign).complete)
    assert heat_map(campaign, prepare(campaign).plan).codes.tolist() == [[LEGEND.index("done")] * 5]
