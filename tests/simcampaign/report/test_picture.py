"""The map of all runs as a picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.image import imread

from simcampaign.report.picture import COLOURS, LARGEST, draw_map
from simcampaign.runs import RunState


def colours(png: bytes) -> np.ndarray:
    return np.rint(imread(io.BytesIO(png), format="png")[..., :3] * 255).astype(int)


@pytest.mark.parametrize("shape", [(1, 1), (4, 8), (3, 200), (400, 400)])
def test_every_run_has_a_cell_of_its_state(shape: tuple[int, int]) -> None:
    codes = np.random.default_rng(1).integers(0, len(RunState), shape).astype(np.uint8)
    pixels = colours(draw_map(codes))
    height, width = (size // count for size, count in zip(pixels.shape, shape, strict=False))
    cells = pixels[height // 2 :: height, width // 2 :: width]
    assert (cells == np.array([COLOURS[state] for state in RunState])[codes]).all()


def test_of_a_large_series_no_failure_is_hidden_and_the_picture_stays_small() -> None:
    codes = np.full((1000, 1000), RunState.DONE, dtype=np.uint8)
    codes[777, 333] = RunState.FAILED
    png = draw_map(codes)
    pixels = colours(png)
    assert max(pixels.shape) <= 2 * LARGEST
    assert (pixels == COLOURS[RunState.FAILED]).all(axis=-1).any()
    assert len(png) < 100_000
