"""What a campaign shows among a flow run's artifacts: a table of its conditions, its map, and a link to its summary."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from prefect.artifacts import create_image_artifact, create_link_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.tick import Tick
from simcampaign.plan import Plan
from simcampaign.report.picture import draw_map
from simcampaign.runs import RunState
from tasks.naming import to_do

MOST_ROWS = 500
"""Conditions that a table lists; of a series with more, it lists the groups."""

WIDTH = 20
"""Characters of a bar."""


def artifact_key(kind: str, series: str) -> str:
    """Return a key that Prefect takes: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{kind}-{series}".lower()).strip("-")


def bar(done: int, total: int) -> str:
    """Draw a share in characters."""
    filled = WIDTH * done // total if total else 0
    return "█" * filled + "░" * (WIDTH - filled)


def link_summary(series: str, page: str, counted: str) -> None:
    """Show a link to the summary page among the flow run's artifacts, with the counts in words."""
    create_link_artifact(
        link=as_link(page), link_text="Summary", key=artifact_key("summary", series), description=counted
    )


def show_map(series: str, plan: Plan) -> None:
    """Show the map of all runs among the flow run's artifacts."""
    _MAKERS["map"](picture_url(plan), artifact_key("map", series), map_description(plan))


def picture_url(plan: Plan) -> str:
    """Return the map of all runs as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(draw_map(plan.codes)).decode()}"


def as_link(place: str) -> str:
    """Return the address of a place: of a file its ``file://``."""
    return place if "://" in place else Path(place).as_uri()


class CampaignArtifacts:
    """The artifacts of one flow run, made at the first tick that changed something, then updated in place."""

    def __init__(self, campaign: Campaign) -> None:
        """Show this campaign."""
        self._series = campaign.series.name
        self._made: dict[str, UUID] = {}

    def show(self, done: Tick) -> None:
        """Show how the campaign stands after a tick; nothing if the tick found nothing new."""
        if not done.summary:
            return
        description = describe(done)
        self._put("runs", rows_of(done.plan), description)
        self._put("map", picture_url(done.plan), map_description(done.plan))
        if done.summary:
            self._put("summary", as_link(done.summary), to_do(done.plan))

    def _put(self, kind: str, data: Any, description: str) -> None:
        made = self._made.get(kind)
        if made is None:
            key = artifact_key(kind, self._series)
            created = _MAKERS[kind](data, key, description)
            if isinstance(created, UUID):
                self._made[kind] = created
            return
        text = f"[Summary]({data})" if kind == "summary" else data if isinstance(data, str) else json.dumps(data)
        with get_client(sync_client=True) as client:
            client.update_artifact(made, ArtifactUpdate(data=text, description=description))


_MAKERS: dict[str, Any] = {
    "runs": lambda data, key, text: create_table_artifact(table=data, key=key, description=text),
    "map": lambda data, key, text: create_image_artifact(image_url=data, key=key, description=text),
    "summary": lambda data, key, text: create_link_artifact(link=data, link_text="Summary", key=key, description=text),
}


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    """Return a row per condition, or per group of a large series: runs per state that occurs, and a bar."""
    states = [state for state in RunState if state.label in plan.counts]
    table = []
    for name, codes in _parts(plan):
        numbers = np.bincount(codes.ravel(), minlength=len(RunState))
        done = int(numbers[RunState.DONE] + numbers[RunState.STALE])
        counts = {state.label: int(numbers[state]) for state in states}
        table.append({**name, "runs": codes.size, **counts, "progress": bar(done, codes.size)})
    return table


def _parts(plan: Plan) -> list[tuple[dict[str, str], Any]]:
    conditions = plan.series.conditions
    if len(conditions) <= MOST_ROWS:
        return [({"condition": str(each["key"])}, plan.codes[row]) for row, each in enumerate(conditions)]
    groups = np.array([plan.series.group_of(each) or "(skipped)" for each in conditions])
    return [({"group": str(group)}, plan.codes[groups == group]) for group in dict.fromkeys(groups.tolist())]


def describe(done: Tick) -> str:
    """Describe a campaign in Markdown: counts, jobs, money, failures with links to their logs."""
    counts = ", ".join(f"**{count:,}** {label}" for label, count in done.counts.items())
    lines = [f"**{to_do(done.plan)}** ({counts})"]
    jobs = ", ".join(f"{count:,} {state.value}" for state, count in done.jobs.items())
    if jobs:
        lines.append(f"Jobs: {jobs}.")
    if done.cost is not None:
        left = "" if done.cost.left is None else f", an estimated {done.cost.left:,.2f} to come"
        budget = "" if done.cost.budget is None else f", of a budget of {done.cost.budget:,.2f}"
        lines.append(f"Cost: {done.cost.so_far:,.2f} so far{left}{budget}.")
    if done.held.runs:
        lines.append(f"{done.held}.")
    if done.summary:
        lines.append(f"[Summary]({as_link(done.summary)})")
    if done.failures:
        lines += ["", "| failed | cause | log |", "|---|---|---|"]
        lines += [
            f"| {each.run} | {each.cause}: {_cell(each.message)} | [{each.job}]({as_link(each.log)}) |"
            for each in done.failures
        ]
    return "\n".join(f"{line}  " if not line.startswith("|") else line for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def map_description(plan: Plan) -> str:
    """Describe the map in Markdown."""
    size = f"{len(plan.series.conditions):,} conditions (rows) × {len(plan.series.seeds):,} seeds (columns)"
    return f"{size}: **{to_do(plan)}**"
