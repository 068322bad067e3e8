"""Progress as people see it: one line per group in a terminal, one table artifact in Prefect."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from uuid import UUID

from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from simcampaign.engine.watch import Progress
from simcampaign.jobs import JobState
from tasks.artifacts import artifact_key, bar

UPDATE_SECONDS = 2.0
"""Shortest time between two updates of the table artifact."""

PLAIN_SECONDS = 10.0
"""Shortest time between two lines where there is no terminal."""


def shown_states(states: Mapping[JobState, int]) -> str:
    """Write the states that have jobs: ``3 running, 1 failed``."""
    return ", ".join(f"{states[state]} {state.value}" for state in JobState if states.get(state))


class ProgressTable:
    """One table artifact of the flow run, made once and updated in place: its card shows the counts."""

    def __init__(self, series: str) -> None:
        """Show the jobs of a series."""
        self._series = series
        self._id: UUID | None = None
        self._shown = ""
        self._updated = 0.0

    def show(self, progress: Progress, last: bool = False) -> None:
        """Show where the jobs are, at most every two seconds unless it is the last time."""
        if not last and time.monotonic() - self._updated < UPDATE_SECONDS:
            return
        rows = [_row(group, states) for group, states in progress.groups.items()]
        data = json.dumps(rows)
        if data == self._shown:
            return
        self._shown, self._updated = data, time.monotonic()
        description = _description(progress)
        if self._id is None:
            created = create_table_artifact(table=rows, key=artifact_key("jobs", self._series), description=description)
            self._id = created if isinstance(created, UUID) else None
        else:
            with get_client(sync_client=True) as client:
                client.update_artifact(self._id, ArtifactUpdate(data=data, description=description))


def _row(group: str, states: Mapping[JobState, int]) -> dict[str, Any]:
    total = sum(states.values())
    ended = sum(count for state, count in states.items() if not state.active)
    counts = {state.value: states.get(state, 0) for state in JobState}
    return {"group": group, "jobs": total, **counts, "progress": bar(ended, total)}


def _description(progress: Progress) -> str:
    ended = progress.total - progress.active
    bad = sum(
        states.get(state, 0)
        for states in progress.groups.values()
        for state in (JobState.FAILED, JobState.LOST, JobState.CANCELLED)
    )
    return f"**{ended}/{progress.total}** jobs ended" + (f", **{bad} not well**" if bad else "")


class TerminalProgress:
    """One live line per group in a terminal; elsewhere a line whenever something changed, not too often."""

    def __init__(self) -> None:
        """Write to the standard error stream, so that the output stays clean."""
        self._console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Bars(*columns, TextColumn("{task.fields[states]}"), console=self._console, transient=False)
        self._lines: dict[str, Any] = {}
        self._printed = ""
        self._printed_at = float("-inf")

    def __enter__(self) -> TerminalProgress:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def write(self, line: str) -> None:
        """Write a line of a job's log above the progress; nothing in it is taken for markup."""
        self._console.out(line, highlight=False)

    def show(self, progress: Progress) -> None:
        """Show where the jobs are."""
        if self._console.is_terminal:
            self._draw(progress)
        else:
            self._print(progress)

    def _draw(self, progress: Progress) -> None:
        for group, states in progress.groups.items():
            total = sum(states.values())
            if group not in self._lines:
                self._lines[group] = self._bars.add_task(_group_label(group), total=total, states="")
            ended = sum(count for state, count in states.items() if not state.active)
            self._bars.update(self._lines[group], completed=ended, total=total, states=shown_states(states))

    def _print(self, progress: Progress) -> None:
        text = "; ".join(f"{_group_label(group)}: {shown_states(states)}" for group, states in progress.groups.items())
        due = time.monotonic() - self._printed_at >= PLAIN_SECONDS or not progress.active
        if text != self._printed and due:
            self._printed, self._printed_at = text, time.monotonic()
            sys.stderr.write(f"jobs: {text}\n")


def _group_label(group: str) -> str:
    return "all" if group == "_" else group
