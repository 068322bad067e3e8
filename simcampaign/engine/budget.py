"""The budget: what could cost more than is left of it is held back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from simcampaign.packing import Packing
from simcampaign.plan import Plan


@dataclass(frozen=True)
class Held:
    """What was held back, and why; as text, a sentence for people, empty if nothing was held back."""

    runs: int = 0
    jobs: int = 0
    cost: float | None = 0.0
    """Estimated cost of what is held back, in the user's currency; None if it cannot be estimated."""

    used: float = 0.0
    """What counts as used once the runs that were kept are added."""

    budget: float | None = None

    def __str__(self) -> str:
        if not self.runs:
            return ""
        held = f"{self.runs:,} runs ({self.jobs:,} jobs) are held back"
        if self.cost is None:
            return (
                f"{held}: no run of this model was measured yet, so what they cost cannot be compared with "
                "parameters.budget; declare parameters.seconds_per_run"
            )
        return (
            f"{held}: an estimated {_amount(self.cost)} more than the {_amount(self.used)} already used or planned "
            f"would exceed parameters.budget = {_amount(self.budget or 0.0)}; raise it, or run fewer at a time"
        )


def hold_back(
    plan: Plan,
    price_per_hour: float,
    seconds_per_run: float | None,
    used: float,
    budget: float | None,
    max_array_size: int | None,
) -> tuple[Plan, Held]:
    """Keep the first arrays of a plan that the budget has room for, and hold the others back.

    The arrays are those that would be submitted: the groups in their order, split at ``max_array_size``. The first one
    that does not fit ends it, so that what is held back does not depend on what happens to be small.

    Parameters
    ----------
    plan
        What is to be submitted; it is not changed, and states of runs stay as they are.
    price_per_hour
        What one job costs for an hour; nothing is held back if it is 0.
    seconds_per_run
        Estimated wall time of a run; None if unknown, then everything is held back.
    used
        What the campaign's jobs have cost so far, and what those in flight are estimated to cost.
    budget
        The most that the campaign may cost; None for no limit.
    max_array_size
        Most jobs in one array; None for no limit.
    """
    if budget is None or price_per_hour <= 0:
        return plan, Held(used=used, budget=budget)
    if seconds_per_run is None:
        return _cut(plan, {}), Held(plan.runs_to_do, plan.jobs, None, used, budget)
    price_per_run = price_per_hour * seconds_per_run / 3600
    kept: dict[str, int] = {}
    runs = 0
    for group, last, array_runs in _arrays(plan, max_array_size):
        if used + (runs + array_runs) * price_per_run > budget:
            break
        runs += array_runs
        kept[group] = last
    allowed = _cut(plan, kept)
    held = plan.runs_to_do - runs
    return allowed, Held(held, plan.jobs - allowed.jobs, held * price_per_run, used + runs * price_per_run, budget)


def _arrays(plan: Plan, max_array_size: int | None) -> Iterator[tuple[str, int, int]]:
    """Yield group, number of the last input plus one, and number of runs of each array, in order."""
    for group, packing in plan.groups.items():
        step = max_array_size or packing.size
        for first in range(0, packing.size, step):
            last = min(first + step, packing.size)
            yield group, last, _runs(packing.part(first, last))


def _runs(packing: Packing) -> int:
    return int((packing.end - packing.start + 1).sum())


def _cut(plan: Plan, kept: dict[str, int]) -> Plan:
    """Return the plan with only the first inputs of each group, as many as ``kept`` says."""
    groups = {group: plan.groups[group].part(0, size) for group, size in kept.items()}
    digests: dict[str, Sequence[str]] = {
        group: plan.digests[group][:size] for group, size in kept.items() if group in plan.digests
    }
    return replace(plan, groups=groups, digests=digests)


def _amount(money: float) -> str:
    """Write an amount of money with cents, small ones with two figures."""
    return f"{money:,.2f}" if money >= 0.1 or not money else f"{money:.2g}"
