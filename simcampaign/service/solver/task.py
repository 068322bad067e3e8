"""A task of the solver as clients see it: its row with its job."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from simcampaign.ledger import queuebook, solvertasks
from simcampaign.ledger.queuerows import Event, QueueRow, QueueState
from simcampaign.ledger.solvertasks import TaskRow, TaskState

CHANGED = "task_changed"
"""The event that a task is no longer as it was, beside those of its job."""

_ID = "task-"
_LENGTH = len(_ID) + 16

FAILED = frozenset({"failed", "cancelled", "lost"})
"""What a task is that was started and did not end well."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task with its job, if it has one."""

    row: TaskRow
    job: QueueRow | None = None

    @property
    def status(self) -> str:
        """Where it is: that of its job once it is started, ``saving`` until its result is in the location."""
        if self.row.state is TaskState.SAVED:
            return "completed"
        if self.row.state is TaskState.UNSAVED:
            return "failed"
        if self.row.state is TaskState.STARTED:
            state = QueueState.LOST if self.job is None else self.job.state
            return "saving" if state is QueueState.COMPLETED else str(state)
        return str(self.row.state)

    @property
    def message(self) -> str:
        """What there is to say about it."""
        return self.row.message or ("" if self.job is None else self.job.message)

    @property
    def cause(self) -> str | None:
        """Why it did not end well, in the words of jobs; None if it did, or is not over."""
        if self.row.state is TaskState.UNSAVED:
            return "staging"
        if self.row.state is TaskState.STARTED and self.job is None:
            return "lost"
        return None if self.job is None or self.status == "completed" else self.job.cause

    @property
    def startable(self) -> bool:
        """True if it is quoted and not started, or did not end well."""
        return self.row.state is TaskState.READY or self.status in FAILED

    @property
    def lives(self) -> bool:
        """True while it waits or runs, or its result is on its way."""
        return self.row.state is TaskState.STARTED and self.status not in FAILED


def with_jobs(connection: sa.Connection, rows: Sequence[TaskRow]) -> list[Task]:
    """Return tasks with their jobs."""
    jobs = {job.id: job for job in queuebook.get_all(connection, (row.job for row in rows if row.job))}
    return [Task(row, jobs.get(row.job)) for row in rows]


def changed(connection: sa.Connection, now: float, task_id: str, **values: object) -> Event:
    """Change fields of a task, and return the event that tells of it."""
    row = solvertasks.update(connection, task_id, **values)
    return queuebook.note(connection, now, CHANGED, task_id, {"task_id": task_id, "state": str(row.state)})


def new_id() -> str:
    """Return an id that no task has."""
    return f"{_ID}{secrets.token_hex((_LENGTH - len(_ID)) // 2)}"


def job_of(task_id: str, attempt: int) -> str:
    """Return the job of an attempt of a task."""
    return task_id if attempt == 1 else f"{task_id}-a{attempt}"


def task_of(job_id: str) -> str:
    """Return the task that a job of a solver is a try of, or the task itself."""
    return job_id[:_LENGTH]
