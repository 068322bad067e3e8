"""Who is to be told that a task of the solver is over. Functions that write take a connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from simcampaign.ledger.parts import parts
from simcampaign.ledger.schema import metadata

solver_callbacks = sa.Table(
    "solver_callbacks",
    metadata,
    sa.Column("task", sa.String(100), primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    # The newest attempt whose end was told, or given up; -1 for none.
    sa.Column("told", sa.Integer, nullable=False, default=-1),
)


@dataclass(frozen=True, slots=True)
class Callback:
    """A URL that is to be told of a task."""

    task: str
    url: str
    told: int = -1


def add(connection: sa.Connection, urls: Mapping[str, str]) -> list[Callback]:
    """Write URLs down by their tasks, and return those of these tasks; one that has a URL already keeps it."""
    known: dict[str, Callback] = {}
    for some in parts(list(urls)):
        query = sa.select(solver_callbacks).where(solver_callbacks.c.task.in_(some))
        known |= {each.task: each for each in _read(connection, query)}
    new = [Callback(task, url) for task, url in urls.items() if task not in known]
    if new:
        rows = [{"task": each.task, "url": each.url, "told": each.told} for each in new]
        connection.execute(sa.insert(solver_callbacks), rows)
    return [*new, *(known[task] for task in urls if task in known)]


def get_all(connection: sa.Connection) -> list[Callback]:
    """Return all."""
    return _read(connection, sa.select(solver_callbacks))


def _read(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> list[Callback]:
    return [Callback(row.task, row.url, row.told) for row in connection.execute(query)]


def mark(connection: sa.Connection, task: str, attempt: int) -> None:
    """Write down that the end of an attempt was told."""
    connection.execute(sa.update(solver_callbacks).where(solver_callbacks.c.task == task).values(told=attempt))


def delete(connection: sa.Connection, task: str) -> None:
    """Forget a task."""
    connection.execute(sa.delete(solver_callbacks).where(solver_callbacks.c.task == task))
