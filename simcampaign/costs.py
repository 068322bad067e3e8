"""What a campaign costs: estimated before, real after."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the runs to do will take. ``core_hours`` and ``cost`` are None if nothing is known of a run's length."""

    runs: int
    seconds_per_run: float | None
    basis: str
    """Where ``seconds_per_run`` comes from: ``measured``, ``declared`` or ``unknown``."""

    core_hours: float | None
    cost: float | None

    def __str__(self) -> str:
        if self.core_hours is None:
            return "unknown: no earlier run of this model was measured; declare parameters.seconds_per_run"
        cost = f", cost {self.cost:.2f}" if self.cost else ""
        return f"{format_hours(self.core_hours)} ({self.runs} runs × {self.seconds_per_run:.3g} s, {self.basis}){cost}"


def estimate(runs: int, cpus: float, price_per_hour: float, measured: float | None, declared: float | None) -> Estimate:
    """Estimate runs from the median seconds of earlier runs of the model, else from the declared ones.

    ``measured`` and ``declared`` are wall seconds per run; ``price_per_hour`` is that of a job.
    """
    seconds, basis = (measured, "measured") if measured is not None else (declared, "declared")
    if seconds is None:
        return Estimate(runs, None, "unknown", None, None)
    hours = runs * seconds / 3600
    return Estimate(runs, seconds, basis, hours * cpus, hours * price_per_hour)


def format_hours(core_hours: float) -> str:
    """Write core hours with three figures: ``0.0042 core-hours``."""
    return f"{core_hours:.3g} core-hours"
