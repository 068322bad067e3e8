"""Tasks of the solver service: what clients uploaded, what it is quoted at, and the job that solves it.

Functions that write take a connection, so that several go into one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from simcampaign.errors import ConflictError
from simcampaign.ledger.parts import parts
from simcampaign.ledger.schema import metadata


class TaskState(StrEnum):
    """How far a task is before and beside its job."""

    DRAFT = "draft"
    """The simulation is not here yet."""

    INVALID = "invalid"
    """The simulation cannot be solved; ``message`` says why."""

    READY = "ready"
    """It is quoted, and not started."""

    STARTED = "started"
    """It has a job."""

    SAVED = "saved"
    """Its result is in the location."""

    UNSAVED = "unsaved"
    """Its job finished, and its result is not to be had; ``message`` says why."""


solver_tasks = sa.Table(
    "solver_tasks",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", sa.String(100), nullable=False, unique=True),
    sa.Column("user", sa.String(200), nullable=False, index=True),
    # The client's own key: the same key means the same task.
    sa.Column("key", sa.String(200), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("folder", sa.String(200), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("message", sa.Text, nullable=False, default=""),
    sa.Column("type", sa.String(200), nullable=False, default=""),
    sa.Column("cells", sa.BigInteger, nullable=False, default=0),
    sa.Column("steps", sa.BigInteger, nullable=False, default=0),
    sa.Column("estimated", sa.Float),
    # Tasks whose results stand in this simulation in place of data, as JSON.
    sa.Column("parents", sa.Text, nullable=False, default="[]"),
    sa.Column("attempt", sa.Integer, nullable=False, default=0),
    sa.Column("job", sa.String(200), nullable=False, default="", index=True),
    sa.Column("real", sa.Float),
    sa.Column("result_sha256", sa.String(64), nullable=False, default=""),
    sa.Column("result_size", sa.BigInteger, nullable=False, default=0),
    sa.Column("created", sa.Float, nullable=False),
    sa.UniqueConstraint("user", "key"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task that a client wants."""

    id: str
    user: str
    key: str
    name: str
    folder: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as the ledger has it."""

    seq: int
    id: str
    user: str
    key: str
    name: str
    folder: str
    sha256: str
    size: int
    state: TaskState
    message: str
    type: str
    cells: int
    steps: int
    estimated: float | None
    parents: tuple[str, ...]
    attempt: int
    job: str
    real: float | None
    result_sha256: str
    result_size: int
    created: float

    @classmethod
    def of(cls, found: sa.RowMapping) -> TaskRow:
        """Return the row of a result."""
        row = dict(found)
        return cls(**{**row, "state": TaskState(row["state"]), "parents": tuple(json.loads(row["parents"]))})


def create(connection: sa.Connection, wanted: Sequence[NewTask], now: float) -> list[TaskRow]:
    """Write tasks down; one whose key is known is returned as it is.

    Raises ``ConflictError`` if a key is known for another simulation.
    """
    rows = []
    for task in wanted:
        same = (solver_tasks.c.user == task.user) & (solver_tasks.c.key == task.key)
        found = connection.execute(sa.select(solver_tasks).where(same)).mappings().first()
        if found is not None:
            row = TaskRow.of(found)
            if row.sha256 != task.sha256:
                raise ConflictError(f"key {task.key!r} is that of task {row.id}, another simulation", "take a new key")
            rows.append(row)
            continue
        values = {name: getattr(task, name) for name in NewTask.__dataclass_fields__}
        connection.execute(sa.insert(solver_tasks).values(values | {"state": TaskState.DRAFT, "created": now}))
        rows.append(get(connection, task.id))
    return rows


def get(connection: sa.Connection, task_id: str) -> TaskRow:
    """Return a task. Raises ``KeyError`` if there is none."""
    found = connection.execute(sa.select(solver_tasks).where(solver_tasks.c.id == task_id)).mappings().first()
    if found is None:
        raise KeyError(task_id)
    return TaskRow.of(found)


def get_all(connection: sa.Connection, ids: Iterable[str]) -> list[TaskRow]:
    """Return those of the tasks that are there, in the order asked for."""
    wanted = list(dict.fromkeys(ids))
    found: dict[str, TaskRow] = {}
    for some in parts(wanted):
        query = sa.select(solver_tasks).where(solver_tasks.c.id.in_(some))
        found |= {row["id"]: TaskRow.of(row) for row in connection.execute(query).mappings()}
    return [found[task_id] for task_id in wanted if task_id in found]


def of_job(connection: sa.Connection, job: str) -> TaskRow | None:
    """Return the task that a job solves, or None."""
    found = connection.execute(sa.select(solver_tasks).where(solver_tasks.c.job == job)).mappings().first()
    return None if found is None else TaskRow.of(found)


def in_state(connection: sa.Connection, state: TaskState) -> list[TaskRow]:
    """Return the tasks in a state, oldest first."""
    query = sa.select(solver_tasks).where(solver_tasks.c.state == state).order_by(solver_tasks.c.seq)
    return [TaskRow.of(row) for row in connection.execute(query).mappings()]


def with_parents(connection: sa.Connection, state: TaskState) -> list[TaskRow]:
    """Return the tasks in a state that refer to results of others."""
    query = sa.select(solver_tasks).where(solver_tasks.c.state == state, solver_tasks.c.parents != "[]")
    return [TaskRow.of(row) for row in connection.execute(query).mappings()]


def with_content(connection: sa.Connection, user: str, sha256: str) -> list[TaskRow]:
    """Return the tasks of a user that have the same simulation."""
    query = sa.select(solver_tasks).where(solver_tasks.c.user == user, solver_tasks.c.sha256 == sha256)
    return [TaskRow.of(row) for row in connection.execute(query).mappings()]


def listed(
    connection: sa.Connection, user: str | None, folder: str | None, limit: int, before: int | None
) -> list[TaskRow]:
    """Return tasks, newest first; ``before`` is the number of the last one of the page before."""
    query = sa.select(solver_tasks).order_by(solver_tasks.c.seq.desc()).limit(limit)
    for column, value in ((solver_tasks.c.user, user), (solver_tasks.c.folder, folder)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(solver_tasks.c.seq < before)
    return [TaskRow.of(row) for row in connection.execute(query).mappings()]


def folders(connection: sa.Connection, user: str | None) -> dict[str, int]:
    """Return the folders with the number of tasks in each."""
    query = sa.select(solver_tasks.c.folder, sa.func.count()).group_by(solver_tasks.c.folder)
    if user is not None:
        query = query.where(solver_tasks.c.user == user)
    return {row[0]: row[1] for row in connection.execute(query)}


def spent(connection: sa.Connection, user: str | None) -> tuple[int, float, float]:
    """Return how many tasks there are, the credits that results cost, and what the rest may cost at most."""
    running = solver_tasks.c.state == TaskState.STARTED
    query = sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(solver_tasks.c.real), 0.0),
        sa.func.coalesce(sa.func.sum(sa.case((running, solver_tasks.c.estimated))), 0.0),
    )
    if user is not None:
        query = query.where(solver_tasks.c.user == user)
    count, real, open_ = connection.execute(query).one()
    return int(count), float(real), float(open_)


def update(connection: sa.Connection, task_id: str, **values: Any) -> TaskRow:
    """Change fields of a task and return it. Raises ``KeyError``."""
    if "parents" in values:
        values["parents"] = json.dumps(values["parents"])
    connection.execute(sa.update(solver_tasks).where(solver_tasks.c.id == task_id).values(values))
    return get(connection, task_id)


def delete(connection: sa.Connection, task_id: str) -> None:
    """Forget a task."""
    connection.execute(sa.delete(solver_tasks).where(solver_tasks.c.id == task_id))
