"""Overviews: how many jobs are in which state, what waits in which order, and what can be submitted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from simcampaign.ledger.queuerows import QueueFilter, QueueState
from simcampaign.service import wire
from simcampaign.service.routes.asking import REFUSALS, Serving
from simcampaign.service.routes.listing import JOBS, Which

router = APIRouter(tags=["overview"], responses=REFUSALS)

MOST_NAMES = 200
"""Names of a kind that are proposed for filters."""


@router.get("/api/overview")
def get_overview(service: Serving, which: Which) -> dict[str, Any]:
    """Count the jobs of a filter per state, and say up to which event that is true at least."""
    seen = service.book.last_event()
    counts = service.book.counts(which)
    return {"counts": {str(state): counts.get(state, 0) for state in QueueState}, "last_event": seen}


@router.get("/api/names")
def get_names(service: Serving) -> dict[str, list[str]]:
    """Return the sites, groups, users and series that jobs have, the first 200 of each, for filters."""
    return service.book.names(MOST_NAMES)


@router.get("/queue/jobs", responses=JOBS, response_class=Response)
def list_waiting(
    service: Serving,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """List the jobs that wait in their order, by priority and age; X-Total-Count says how many there are.

    Each has its `position`, from 1 on, and its `rank`, by which it is ordered: its priority, and one for every
    `ageing_seconds` that it came before the epoch's end; only differences mean something. Which of them starts next is
    also a matter of shares and of room.
    """
    waiting = service.dispatcher.standing().waiting
    shown = waiting[offset : offset + limit]
    rows = {row.id: row for row in service.book.listed(QueueFilter(ids=frozenset(each.id for each in shown)))}
    texts = [
        wire.job_text(rows[each.id], brief=True, position=position, rank=each.rank)
        for position, each in enumerate(shown, offset + 1)
        if each.id in rows
    ]
    return Response(f"[{','.join(texts)}]", media_type="application/json", headers={"x-total-count": str(len(waiting))})


@router.get("/applications")
def list_applications(service: Serving) -> dict[str, Any]:
    """Return what clients may ask for: the applications with their fields, and whether commands are allowed."""
    settings = service.settings
    applications = [
        {
            "name": name,
            "kind": each.kind,
            "sites": list(dict.fromkeys([each.site, *each.sites])),
            "cores": each.cores,
            "fields": {field: asdict(kind) for field, kind in each.fields.items()},
        }
        for name, each in settings.applications.items()
    ]
    return {"applications": applications, "commands": settings.allow_commands}
