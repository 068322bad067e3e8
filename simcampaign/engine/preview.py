"""What a dry run shows: the plan in words, and nothing is created."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.planning import Prepared, estimate_plan
from simcampaign.engine.rendering import Renderer
from simcampaign.packing import ranges_text
from simcampaign.series import ALL_GROUPS

EXAMPLES = 3
"""Conditions named per reason."""


def brief(campaign: Campaign, prepared: Prepared) -> str:
    """Return the plan in a few lines: counts, reasons, jobs, what they will take."""
    plan, series = prepared.plan, campaign.series
    counts = ", ".join(f"{count:,} {label}" for label, count in plan.counts.items())
    size = f"{len(series.conditions):,} conditions × {len(series.seeds):,} seeds = {series.size:,} runs"
    lines = [f"Series {series.name}: {size}", f"  {counts}"]
    if prepared.first:
        lines.append("  No manifest yet: this is the first campaign, so everything is missing.")
    if plan.skipped:
        lines.append(f"  {plan.skipped:,} runs are skipped: their group is set to null, or they belong to none.")
    if prepared.held.runs:
        lines.append(f"  {prepared.held}.")
    lines += _jobs(campaign, prepared)
    return "\n".join(lines)


def detailed(campaign: Campaign, prepared: Prepared) -> str:
    """Return the plan as a dry run shows it: ``brief``, the reasons, and the first rendered input."""
    return "\n".join(
        [brief(campaign, prepared), "", "Reasons:", *_reasons(prepared), *_first_input(campaign, prepared), ""]
    )


def _jobs(campaign: Campaign, prepared: Prepared) -> list[str]:
    plan = prepared.plan
    if not plan.jobs:
        return ["  Nothing is to be submitted."]
    groups = ", ".join(
        f"{packing.size:,}{'' if group == ALL_GROUPS else f' in group {group}'}"
        for group, packing in plan.groups.items()
    )
    where = f"site {campaign.site.name}, {campaign.working.url(campaign.layout.root)}"
    return [
        f"  To submit: {plan.runs_to_do:,} runs as {plan.jobs:,} jobs ({groups}) on {where}",
        f"  Estimate: {estimate_plan(campaign, plan)}",
    ]


def _reasons(prepared: Prepared) -> list[str]:
    runs: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[str]] = {}
    for row in prepared.plan.reasons():
        kind = (row["state"], row["reason"])
        runs[kind] += _count(row["seeds"])
        named = examples.setdefault(kind, [])
        if len(named) <= EXAMPLES:
            named.append(f"{row['condition']} seeds {row['seeds']}")
    return [f"  {count:>9,} {state}: {why} ({_shown(examples[state, why])})" for (state, why), count in runs.items()]


def _count(seeds: str) -> int:
    bounds = (part.split("-") for part in seeds.split(","))
    return sum(int(pair[-1]) - int(pair[0]) + 1 for pair in bounds)


def _shown(named: Sequence[str]) -> str:
    return "; ".join(named[:EXAMPLES]) + ("; …" if len(named) > EXAMPLES else "")


def _first_input(campaign: Campaign, prepared: Prepared) -> list[str]:
    for group, packing in prepared.plan.groups.items():
        ranges = packing.ranges(0, campaign.condition_keys)
        runs = ", ".join(
            f"{each.condition_key} {ranges_text(range(each.start_seed, each.end_seed + 1))}" for each in ranges
        )
        text = Renderer(campaign).text(group, ranges)
        return ["", f"First input ({runs}), digest {prepared.plan.digests[group][0]}:", text.rstrip("\n")]
    return []
