"""Campaigns: submit, look, pause, resume, cancel, try again what failed, and the map of all runs."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StrictBool
from starlette.concurrency import run_in_threadpool

from simcampaign.engine.requests import content_digest
from simcampaign.ledger import campaignbook
from simcampaign.ledger.campaignbook import LIVE, CampaignRow, CampaignStatus, NewCampaign
from simcampaign.service.applications.asked import new_id
from simcampaign.service.assembly import Service
from simcampaign.service.campaigns import standing
from simcampaign.service.campaigns.contexts import Wanted
from simcampaign.service.routes.asking import REFUSALS, Asking, Serving, asker, found, own, written
from simcampaign.service.routes.changing import Key
from simcampaign.service.routes.listing import Answers, Short
from simcampaign.service.security.access import Identity

router = APIRouter(tags=["campaigns"], responses=REFUSALS)

CampaignPath = Annotated[str, Path(max_length=200, description="Id of a campaign.", examples=["campaign-1"])]
CAMPAIGNS: Answers = {
    200: {"description": "Campaigns.", "content": {"application/json": {"schema": {"type": "array"}}}}
}
MAP: Answers = {200: {"description": "A window.", "content": {"application/json": {"schema": {"type": "object"}}}}}
WIDEST = 1000
"""Conditions, and seeds, of one window of the map."""

_STATUSES = "|".join(CampaignStatus)
_OVER = frozenset(CampaignStatus) - LIVE


class CampaignSubmission(BaseModel):
    """A campaign that is to be kept going."""

    context: Annotated[str, Field(max_length=200)] | dict[str, Any]
    """Name of a context that the server's owner declared; or a context, where commands are allowed."""

    kind: Annotated[str, Field(max_length=64)] | None = None
    """What the context is: local, docker, cluster or batch; that of a named one by default."""

    series: dict[str, Any]
    """What is simulated, as in the configs of flows."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    """How, as in the configs of flows."""

    user: Annotated[str, Field(max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    dry_run: StrictBool = False
    """Only say what would be run."""


class NewBudget(BaseModel):
    """A campaign's new budget."""

    budget: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    """The most that it may cost; null for no limit."""


@router.post("/campaigns")
async def submit(
    body: CampaignSubmission, service: Serving, identity: Asking, idempotency_key: Key = None
) -> dict[str, Any]:
    """Keep a campaign going until every run is done; the answer comes when it is on the disk.

    A repeated Idempotency-Key returns the first campaign.
    """
    asks = asker(service, identity, body.user, key=idempotency_key)
    user = asks.user or asks.default_user
    wanted = await run_in_threadpool(service.contexts.wanted, body.model_dump(), user)
    if body.dry_run:
        return await run_in_threadpool(_dry_run, service, wanted)
    new = await run_in_threadpool(_new, service, wanted, idempotency_key)
    row, fresh = await written(
        service.book.write(lambda connection: campaignbook.submit(connection, new, service.book.clock()))
    )
    if fresh:
        service.campaigns.poke(row.id)
    message = f"Campaign {row.id} submitted successfully" if fresh else f"Campaign {row.id} was submitted before"
    return {"success": True, "campaign_id": row.id, "message": message, "status": str(row.status)}


def _dry_run(service: Service, wanted: Wanted) -> dict[str, Any]:
    from simcampaign.engine.planning import estimate_plan, prepare  # noqa: PLC0415 - half a second, and few need it

    campaign = service.contexts.open(wanted).using(service.book.ledger)
    prepared = prepare(campaign, save=False)
    figures = estimate_plan(campaign, prepared.plan)
    return {
        "success": True,
        "dry_run": True,
        "message": f"{prepared.plan.runs_to_do:,} runs of series {campaign.series.name} would be submitted",
        "runs": campaign.series.size,
        "counts": prepared.plan.counts,
        "runs_to_do": prepared.plan.runs_to_do,
        "jobs": prepared.plan.jobs,
        "estimate": {
            "core_hours": figures.core_hours,
            "cost": figures.cost,
            "seconds_per_run": figures.seconds_per_run,
            "basis": figures.basis,
        },
        "held_back": str(prepared.held),
    }


def _new(service: Service, wanted: Wanted, key: str | None) -> NewCampaign:
    campaign = service.contexts.open(wanted)
    return NewCampaign(
        id=new_id("campaign"),
        name=campaign.series.name,
        user=wanted.user,
        kind=wanted.kind,
        location=campaign.working.url(),
        document=wanted.text,
        standing=standing.at_first(campaign),
        request_digest=content_digest(wanted.text.encode()),
        idempotency_key=key,
    )


@router.get("/campaigns", responses=CAMPAIGNS, response_class=JSONResponse)
def list_campaigns(
    service: Serving,
    status: Annotated[str | None, Query(pattern=rf"^({_STATUSES})(,({_STATUSES}))*$")] = None,
    user: Short = None,
    name: Short = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    cursor: Annotated[str | None, Query(max_length=200, description="X-Next-Cursor of the page before.")] = None,
) -> Response:
    """List campaigns in the order of submission; the header X-Next-Cursor leads to the next page."""
    after = None if cursor is None else _find(service, cursor, "the campaign that the page before ended with is gone")
    statuses = None if status is None else frozenset(map(CampaignStatus, status.split(",")))
    rows = service.book.read(
        lambda connection: campaignbook.listed(
            connection, statuses=statuses, user=user, name=name, limit=limit + 1, after=after
        )
    )
    headers = {"x-next-cursor": rows[limit - 1].id} if len(rows) > limit else {}
    return JSONResponse([standing.shown(row) for row in rows[:limit]], headers=headers)


@router.get("/campaigns/{campaign_id}")
def get_campaign(campaign_id: CampaignPath, service: Serving) -> dict[str, Any]:
    """Return a campaign: runs and jobs per state, costs, time left, failures."""
    return standing.shown(_find(service, campaign_id))


@router.get("/campaigns/{campaign_id}/document")
def get_document(campaign_id: CampaignPath, service: Serving) -> dict[str, Any]:
    """Return what was submitted."""
    document: dict[str, Any] = json.loads(_find(service, campaign_id).document)
    return document


@router.get("/campaigns/{campaign_id}/map", responses=MAP, response_class=Response)
def get_map(
    campaign_id: CampaignPath,
    service: Serving,
    condition_offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    conditions: Annotated[int, Query(ge=1, le=WIDEST)] = 200,
    seed_offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    seeds: Annotated[int, Query(ge=1, le=WIDEST)] = 200,
) -> Response:
    """Return where the runs of a window of conditions × seeds are: for each condition places in the legend."""
    whole = service.campaigns.heat_map(_find(service, campaign_id))
    window = whole.window(condition_offset, conditions, seed_offset, seeds)
    head = {
        "conditions": list(window.conditions),
        "seeds": list(window.seeds),
        "total_conditions": len(whole.conditions),
        "total_seeds": len(whole.seeds),
        "legend": whole.legend,
    }
    text = f'{json.dumps(head, separators=(",", ":"))[:-1]},"states":{window.states_text()}}}'
    return Response(text, media_type="application/json")


@router.post("/campaigns/{campaign_id}/pause")
async def pause(campaign_id: CampaignPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """Submit nothing more of a campaign; its jobs go on, and are collected."""
    row = await _move(service, identity, campaign_id, {CampaignStatus.RUNNING}, CampaignStatus.PAUSED)
    return _said(row, "is paused; its jobs go on")


@router.post("/campaigns/{campaign_id}/resume")
async def resume(campaign_id: CampaignPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """Go on with a campaign that was paused or cancelled, or whose context or budget was mended."""
    allowed = {CampaignStatus.PAUSED} | (_OVER - {CampaignStatus.COMPLETE})
    row = await _move(service, identity, campaign_id, allowed, CampaignStatus.RUNNING)
    return _said(row, "goes on")


@router.post("/campaigns/{campaign_id}/retry")
async def retry(campaign_id: CampaignPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """Try failed and cancelled runs of a campaign again, however often they were tried, and whatever else is missing.

    The count of tries begins anew.
    """
    row = await run_in_threadpool(_find_own, service, identity, campaign_id)
    ledger = service.book.ledger
    recorded = await run_in_threadpool(ledger.find_campaign, row.name, row.location)
    if recorded is not None:
        await run_in_threadpool(ledger.forgive, recorded)
    row = await _move(service, identity, campaign_id, frozenset(CampaignStatus), CampaignStatus.RUNNING)
    return _said(row, "tries again what failed")


@router.post("/campaigns/{campaign_id}/cancel")
async def cancel(campaign_id: CampaignPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """End a campaign and its jobs; the event campaign_progress with the status cancelled says when that is over."""
    row = await _move(service, identity, campaign_id, LIVE, cancelling=True)
    return _said(row, "is being cancelled")


@router.put("/campaigns/{campaign_id}/budget")
async def set_budget(campaign_id: CampaignPath, body: NewBudget, service: Serving, identity: Asking) -> dict[str, Any]:
    """Give a campaign another budget; one that is over it goes on with `resume`."""
    row = await run_in_threadpool(_find_own, service, identity, campaign_id)
    document = json.loads(row.document)
    wanted = {**document, "parameters": {**document["parameters"], "budget": body.budget}}
    checked = await run_in_threadpool(service.contexts.wanted, wanted, row.user)
    await run_in_threadpool(service.contexts.open, checked)
    row = await written(
        service.book.write(
            lambda connection: campaignbook.rewrite(connection, campaign_id, checked.text, service.book.clock())
        )
    )
    service.campaigns.reopen(campaign_id)
    return _said(row, "has a new budget")


@router.delete("/campaigns/{campaign_id}")
async def delete(campaign_id: CampaignPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """Forget a campaign that is over; its files, and what the ledger knows of its runs, stay."""
    await run_in_threadpool(_find_own, service, identity, campaign_id)
    await written(service.book.write(lambda connection: (campaignbook.delete(connection, campaign_id), [])))
    return {"success": True, "message": f"Campaign {campaign_id} deleted; its files stay"}


async def _move(
    service: Service,
    identity: Identity,
    campaign_id: str,
    allowed: Collection[CampaignStatus],
    status: CampaignStatus | None = None,
    *,
    cancelling: bool = False,
) -> CampaignRow:
    await run_in_threadpool(_find_own, service, identity, campaign_id)
    row = await written(
        service.book.write(
            lambda connection: campaignbook.move(
                connection, campaign_id, service.book.clock(), allowed, status, cancelling=cancelling
            )
        )
    )
    service.campaigns.poke(campaign_id)
    return row


def _said(row: CampaignRow, what: str) -> dict[str, Any]:
    message = f"Campaign {row.id} {what}"
    return {"success": True, "campaign_id": row.id, "message": message, "status": str(row.status)}


def _find(service: Service, campaign_id: str, missing: str = "") -> CampaignRow:
    return found(service, campaignbook.get, "campaign", campaign_id, missing)


def _find_own(service: Service, identity: Identity, campaign_id: str) -> CampaignRow:
    return own(service, identity, campaignbook.get, "campaign", campaign_id)
