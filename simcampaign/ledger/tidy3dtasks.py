"""What clients of Tidy3D's protocol said of their tasks, beside what ``solvertasks`` keeps of every one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from simcampaign.ledger.parts import parts
from simcampaign.ledger.schema import metadata

tidy3d_tasks = sa.Table(
    "tidy3d_tasks",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),
    # In the client's words, e.g. MODE_SOLVER.
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("callback", sa.Text, nullable=False, default=""),
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a client said of a task."""

    id: str
    type: str
    callback: str = ""


def add(connection: sa.Connection, said: Said) -> None:
    """Write it down."""
    connection.execute(sa.insert(tidy3d_tasks).values(id=said.id, type=said.type, callback=said.callback))


def of_tasks(connection: sa.Connection, ids: Iterable[str]) -> dict[str, Said]:
    """Return what was said of tasks, by their ids; of those that came another way nothing was."""
    wanted = list(ids)
    found: dict[str, Said] = {}
    for some in parts(wanted):
        query = sa.select(tidy3d_tasks).where(tidy3d_tasks.c.id.in_(some))
        found |= {row["id"]: Said(**row) for row in connection.execute(query).mappings()}
    return found


def delete(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Forget tasks."""
    for gone in parts(ids):
        connection.execute(sa.delete(tidy3d_tasks).where(tidy3d_tasks.c.id.in_(gone)))
