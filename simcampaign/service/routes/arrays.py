"""Arrays: many jobs in one request, and what is done with all of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from simcampaign.errors import ConflictError
from simcampaign.ledger import queuearrays
from simcampaign.ledger.queuerows import ArrayRow, QueueFilter, QueueState
from simcampaign.service import wire
from simcampaign.service.applications.many import LARGEST, new_array
from simcampaign.service.assembly import Service
from simcampaign.service.routes.asking import REFUSALS, Asking, Serving, asker, found, own, written
from simcampaign.service.routes.changing import Key, Priority, again
from simcampaign.service.routes.listing import Answers, Short
from simcampaign.service.security.access import Identity

router = APIRouter(tags=["arrays"], responses=REFUSALS)

ArrayPath = Annotated[str, Path(max_length=200, description="Id of an array.", examples=["array-1"])]
ARRAYS: Answers = {200: {"description": "Arrays.", "content": {"application/json": {"schema": {"type": "array"}}}}}
_BAD = frozenset({QueueState.FAILED, QueueState.LOST, QueueState.CANCELLED})


class ArraySubmission(BaseModel):
    """Jobs that are to be queued together."""

    config: dict[str, Any] = Field(default_factory=dict)
    """What all of them have, as in a job's config; `jobid` is the array's id."""

    jobs: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=LARGEST)]
    """What each has otherwise; mappings such as `files` are merged."""

    priority: Priority = 0
    user: Annotated[str, Field(max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None


@router.post("/arrays")
async def submit(
    body: ArraySubmission, service: Serving, identity: Asking, idempotency_key: Key = None
) -> dict[str, Any]:
    """Queue many jobs, all or none; the answer comes when they are on the disk.

    A repeated Idempotency-Key returns the first array.
    """
    asks = asker(service, identity, body.user or body.config.get("user"), body.priority, idempotency_key)
    many = await run_in_threadpool(new_array, body.config, body.jobs, service.settings, asks)
    row, new = await written(service.dispatcher.submit_array(many.array, many.jobs))
    message = f"Array {row.id} submitted successfully" if new else f"Array {row.id} was submitted before"
    ids = [f"{row.id}-{number}" for number in range(row.size)]
    return {"success": True, "array_id": row.id, "job_ids": ids, "message": message, "status": "queued"}


@router.get("/arrays", responses=ARRAYS, response_class=JSONResponse)
def list_arrays(
    service: Serving,
    user: Short = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    cursor: Annotated[str | None, Query(max_length=200, description="X-Next-Cursor of the page before.")] = None,
) -> Response:
    """List arrays in the order of submission, each with its jobs per state."""
    after = None if cursor is None else _find(service, cursor, "the array that the page before ended with is gone")
    rows = service.book.read(lambda connection: queuearrays.listed(connection, user=user, limit=limit + 1, after=after))
    headers = {"x-next-cursor": rows[limit - 1].id} if len(rows) > limit else {}
    return JSONResponse(_shown(service, rows[:limit]), headers=headers)


@router.get("/arrays/{array_id}")
def get_array(array_id: ArrayPath, service: Serving) -> dict[str, Any]:
    """Return an array with its jobs per state; `GET /jobs?array=ID` lists them."""
    return _shown(service, [_find(service, array_id)])[0]


@router.post("/arrays/{array_id}/cancel")
async def cancel(array_id: ArrayPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """Cancel the jobs of an array that are not over; the event job_cancelled of each says when it is."""
    await run_in_threadpool(_find_own, service, identity, array_id)
    active = frozenset(state for state in QueueState if not state.over)
    rows = await run_in_threadpool(service.book.listed, QueueFilter(active, array=array_id))
    for done in [service.dispatcher.cancel(row.id) for row in rows]:
        await written(done)
    message = f"Cancellation of {len(rows)} jobs of array {array_id} initiated"
    return {"success": bool(rows), "array_id": array_id, "jobs": len(rows), "message": message}


@router.post("/arrays/{array_id}/retry")
async def retry(array_id: ArrayPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """Queue the jobs of an array that did not finish well once more, under new ids; asked twice, they are queued once.

    Those that were tried again already are left out.
    """
    await run_in_threadpool(_find_own, service, identity, array_id)
    rows = await run_in_threadpool(service.book.listed, QueueFilter(array=array_id))
    there = {row.id for row in rows}
    jobs = [each for row in rows if row.state in _BAD and (each := again(row)).id not in there]
    if not jobs:
        raise ConflictError(f"array {array_id} has no job that failed and was not tried again")
    done = [await written(each) for each in [service.dispatcher.submit(job) for job in jobs]]
    ids = [row.id for row, _ in done]
    message = f"{len(ids)} jobs of array {array_id} are tried again"
    return {"success": True, "array_id": array_id, "job_ids": ids, "message": message, "status": "queued"}


def _find(service: Service, array_id: str, missing: str = "") -> ArrayRow:
    return found(service, queuearrays.get, "array", array_id, missing)


def _find_own(service: Service, identity: Identity, array_id: str) -> ArrayRow:
    return own(service, identity, queuearrays.get, "array", array_id)


def _shown(service: Service, rows: list[ArrayRow]) -> list[dict[str, Any]]:
    counts = service.book.read(lambda connection: queuearrays.counts(connection, [row.id for row in rows]))
    return [wire.array(row, counts[row.id]) for row in rows]
