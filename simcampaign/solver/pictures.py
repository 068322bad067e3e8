"""Figures of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcampaign.errors import ABSENT, ConfigError, Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches; it belongs to no window. Raises ConfigError without matplotlib."""
    try:
        # Only drawing needs matplotlib, which takes a second to import.
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        problem = Problem("plot", ABSENT, "needs matplotlib, which is not installed")
        raise ConfigError([problem], "pip install 'simcampaign[solver]'") from error
    return Figure(figsize=(width, height), layout="constrained")
