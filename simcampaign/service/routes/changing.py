"""Changing jobs: submit, cancel, priority, hold, release, retry, delete."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException
from pydantic import BaseModel, Field, StrictBool, StrictInt
from starlette.concurrency import run_in_threadpool

from simcampaign.errors import ConflictError
from simcampaign.ledger.queuerows import NewJob, QueueRow, QueueState
from simcampaign.service.applications import new_job
from simcampaign.service.assembly import Service
from simcampaign.service.core.work import Work
from simcampaign.service.routes.asking import REFUSALS, Asking, JobPath, Serving, asker, find_own, written
from simcampaign.service.security.access import Identity

router = APIRouter(tags=["jobs"], responses=REFUSALS)

HIGHEST = 10**9
Priority = Annotated[StrictInt, Field(ge=-HIGHEST, le=HIGHEST)]
LONGEST_KEY, KEY_PATTERN = 250, r"^[\x21-\x7e]+$"
Key = Annotated[str | None, Header(max_length=LONGEST_KEY, pattern=KEY_PATTERN)]
SUBMIT = "/jobs/submit"


class Submission(BaseModel):
    """A job that is to be queued."""

    config: dict[str, Any]
    """A job of simcampaign, or of an application that the server's owner declared."""

    priority: Priority = 0
    """Higher goes first."""

    user: Annotated[str, Field(max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    dry_run: StrictBool = False
    """Only say what would be run."""


class NodeSubmission(Submission):
    """A job as PyEDB's handler takes it."""

    machine_nodes: list[Any] | None = None
    batch_options: dict[str, Any] | None = None


class NewPriority(BaseModel):
    """A job's new priority."""

    priority: Priority = 0


@router.post(SUBMIT)
async def submit(body: Submission, service: Serving, identity: Asking, idempotency_key: Key = None) -> dict[str, Any]:
    """Queue a job; the answer comes when it is on the disk. A repeated Idempotency-Key returns the first job."""
    job = await _job(service, identity, body, idempotency_key)
    if body.dry_run:
        work = Work.read(job.work)
        would = {"site": job.site, "command": work.command, "files": [*work.files, *work.paths], "cores": job.cores}
        return {
            "success": True,
            "dry_run": True,
            "job_id": job.id,
            "message": f"Job {job.id} would be submitted",
            **would,
        }
    row, fresh = await written(service.dispatcher.submit(job))
    message = f"Job {row.id} submitted successfully" if fresh else f"Job {row.id} was submitted before"
    return {"success": True, "job_id": row.id, "message": message, "status": str(row.state)}


@router.post("/api/submit")
async def submit_nodes(
    body: NodeSubmission, service: Serving, identity: Asking, idempotency_key: Key = None
) -> dict[str, Any]:
    """Queue a job, as clients of PyEDB's handler do."""
    if body.machine_nodes is not None:
        body.config["machine_nodes"] = body.machine_nodes
    if body.batch_options is not None:
        body.config["layout_options"] = body.batch_options
    job = await _job(service, identity, body, idempotency_key)
    row, _ = await written(service.dispatcher.submit(job))
    return {"job_id": row.id, "status": "submitted"}


async def _job(service: Service, identity: Identity, body: Submission, key: str | None) -> NewJob:
    asks = asker(service, identity, body.user or body.config.get("user"), body.priority, key)
    return await asyncio.to_thread(new_job, body.config, service.settings, asks)


@router.post("/jobs/{job_id}/cancel")
async def cancel(job_id: JobPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """Cancel a job: one that waits at once, one that runs with all its processes; the event job_cancelled says when."""
    before = await _cancel(service, identity, job_id)
    outcome = "failed" if before.state.over else "initiated"
    return {"success": not before.state.over, "message": f"Job {job_id} cancellation {outcome}"}


@router.post("/api/cancel/{job_id}")
async def cancel_as_handler(job_id: JobPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """Cancel a job, as clients of PyEDB's handler do; one that there is not is no error."""
    try:
        done = not (await _cancel(service, identity, job_id)).state.over
    except HTTPException as error:
        if error.status_code != 404:
            raise
        done = False
    return {"status": "cancelled" if done else "failed", "success": done}


async def _cancel(service: Service, identity: Identity, job_id: str) -> QueueRow:
    await run_in_threadpool(find_own, service, identity, job_id)
    return await written(service.dispatcher.cancel(job_id))


@router.post("/jobs/{job_id}/priority")
async def set_priority(job_id: JobPath, body: NewPriority, service: Serving, identity: Asking) -> dict[str, Any]:
    """Give a job that waits another priority."""
    await run_in_threadpool(find_own, service, identity, job_id, "Job not found")
    await written(service.dispatcher.reorder(job_id, priority=body.priority))
    return {"success": True, "message": f"Priority set to {body.priority}"}


@router.post("/jobs/{job_id}/hold")
async def hold(job_id: JobPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """Hold a job that waits back."""
    await run_in_threadpool(find_own, service, identity, job_id)
    await written(service.dispatcher.reorder(job_id, held=True))
    return {"success": True, "message": f"Job {job_id} is held"}


@router.post("/jobs/{job_id}/release")
async def release(job_id: JobPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """Let a job that was held go on."""
    await run_in_threadpool(find_own, service, identity, job_id)
    await written(service.dispatcher.reorder(job_id, held=False))
    return {"success": True, "message": f"Job {job_id} is released"}


@router.post("/jobs/{job_id}/retry")
async def retry(job_id: JobPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """Queue a job that did not finish well once more, under a new id; asked twice, it is queued once."""
    row = await run_in_threadpool(find_own, service, identity, job_id)
    if not row.state.over or row.state is QueueState.COMPLETED:
        raise ConflictError(f"job {job_id} is {row.state}: only one that did not finish well can be tried again")
    retried, _ = await written(service.dispatcher.submit(again(row)))
    message = f"Job {job_id} is tried again as {retried.id}"
    return {"success": True, "job_id": retried.id, "message": message, "status": str(retried.state)}


def again(row: QueueRow) -> NewJob:
    """Return the next try of a job that is over."""
    stem, _, number = row.id.rpartition("-r")
    stem, count = (stem, int(number)) if stem and re.fullmatch(r"[1-9]\d{0,5}", number) else (row.id, 0)
    job_id = f"{stem}-r{count + 1}"
    return NewJob(
        id=job_id,
        user=row.user,
        site=row.site,
        group=row.group,
        application=row.application,
        series=row.series,
        priority=row.priority,
        config=json.dumps({**json.loads(row.config), "jobid": job_id}, separators=(",", ":")),
        work=row.work,
        cores=row.cores,
        memory_mb=row.memory_mb,
        request_digest=row.request_digest,
        array=row.array,
    )


@router.delete("/jobs/{job_id}")
async def delete(job_id: JobPath, service: Serving, identity: Asking) -> dict[str, Any]:
    """Forget a job that is over, with its files."""
    row = await run_in_threadpool(find_own, service, identity, job_id)
    if row.state.over:
        await asyncio.to_thread(service.dispatcher.lane(row.site).remove, row)
    await written(service.book.delete(job_id))
    return {"success": True, "message": f"Job {job_id} deleted"}
