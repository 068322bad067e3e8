"""What routes to the solver share: its desk, whose tasks one may see, and the task that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, HTTPException

from simcampaign.service.assembly import Service
from simcampaign.service.routes.asking import Serving
from simcampaign.service.security.access import Identity
from simcampaign.service.solver.desk import Desk
from simcampaign.service.solver.task import Task


async def _desk(service: Serving) -> Desk:
    assert service.solver is not None  # noqa: S101 - without one there are no such routes
    return service.solver


Solving = Annotated[Desk, Depends(_desk)]


def user_of(service: Service, identity: Identity) -> str:
    """Return the name of who asks."""
    return identity.user or service.user


def only_of(service: Service, identity: Identity) -> str | None:
    """Return whose tasks somebody may see; None for everybody's."""
    return None if identity.may("admin") else user_of(service, identity)


def find(desk: Desk, only: str | None, ids: Sequence[str]) -> list[Task]:
    """Return tasks, or answer that one is not there; those of others are not there."""
    found = {each.row.id: each for each in desk.get(ids) if only in {None, each.row.user}}
    for task_id in ids:
        if task_id not in found:
            raise HTTPException(404, f"there is no task {task_id}")
    return [found[task_id] for task_id in ids]
