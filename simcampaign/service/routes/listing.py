"""Jobs as clients see them: lists, one, its log, its files."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from simcampaign.ledger.queuerows import QueueFilter, QueueState
from simcampaign.service import wire
from simcampaign.service.applications import hfsslog
from simcampaign.service.applications.ownlog import own_log
from simcampaign.service.core.work import Work
from simcampaign.service.logs import Tails, read_part
from simcampaign.service.routes.asking import REFUSALS, JobPath, Serving, find

router = APIRouter(tags=["jobs"], responses=REFUSALS)

MOST_LISTED = 10_000
_STATUSES = "|".join(QueueState)

Answers = dict[int | str, dict[str, Any]]
Short = Annotated[str | None, Query(max_length=120, pattern=r"^[^\x00-\x1f]*$")]
Sort = Literal["created", "started", "ended", "priority", "id", "state", "user"]
JOBS: Answers = {200: {"description": "Jobs.", "content": {"application/json": {"schema": {"type": "array"}}}}}
JOB: Answers = {200: {"description": "A job.", "content": {"application/json": {"schema": {"type": "object"}}}}}
EVENTS: Answers = {200: {"description": "Events.", "content": {"text/event-stream": {}}}}
PARSED: Answers = {200: {"description": "The log.", "content": {"application/json": {"schema": {"type": "object"}}}}}
TEXT: Answers = {200: {"description": "What it printed.", "content": {"text/plain": {"schema": {"type": "string"}}}}}


def _which(
    status: Annotated[str | None, Query(pattern=rf"^({_STATUSES})(,({_STATUSES}))*$")] = None,
    site: Short = None,
    group: Short = None,
    user: Short = None,
    series: Short = None,
    since: Annotated[float | None, Query(ge=0, le=1e12, description="Seconds since the epoch.")] = None,
    text: Annotated[Short, Query(description="Part of an id, user, group, series, application or message.")] = None,
    array: Short = None,
) -> QueueFilter:
    states = None if status is None else frozenset(map(QueueState, status.split(",")))
    return QueueFilter(states, site, group, user, series, since, text, array=array)


Which = Annotated[QueueFilter, Depends(_which)]


@router.get("/jobs", responses=JOBS, response_class=Response)
@router.get("/api/jobs", responses=JOBS, response_class=Response, include_in_schema=False)
def list_jobs(
    service: Serving,
    which: Which,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = MOST_LISTED,
    cursor: Annotated[str | None, Query(max_length=200, description="X-Next-Cursor of the page before.")] = None,
    sort: Sort | None = None,
    descending: bool = False,
    brief: Annotated[bool, Query(description="Leave configs out.")] = False,
) -> Response:
    """List jobs in the order of submission, or sorted; the header X-Next-Cursor leads to the next page."""
    after = None if cursor is None else find(service, cursor, "the job that the page before ended with is gone")
    rows = service.book.listed(which, limit=limit + 1, sort=sort or "", descending=descending, after=after)
    headers = {"x-next-cursor": rows[limit - 1].id} if len(rows) > limit else {}
    return Response(wire.jobs_text(rows[:limit], brief=brief), media_type="application/json", headers=headers)


@router.get("/jobs/{job_id}", responses=JOB, response_class=Response)
def get_job(job_id: JobPath, service: Serving) -> Response:
    """Return one job."""
    return Response(wire.job_text(find(service, job_id)), media_type="application/json")


@router.get("/jobs/{job_id}/log", responses=TEXT, response_class=PlainTextResponse)
def get_log(job_id: JobPath, service: Serving, offset: Annotated[int, Query(ge=0, le=2**62)] = 0) -> PlainTextResponse:
    """Return what a job printed from an offset in bytes on; X-Next-Offset is that of what comes next.

    Control characters other than ends of lines and tabs are escaped.
    """
    part = read_part(service, find(service, job_id), offset)
    return PlainTextResponse(part.text, headers={"x-next-offset": str(part.following)})


@router.get("/jobs/{job_id}/log/events", response_class=StreamingResponse, responses=EVENTS)
def follow_log(
    request: Request,
    job_id: JobPath,
    service: Serving,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
    tail: Annotated[int | None, Query(ge=0, le=2**62, description="Begin so many bytes before the end.")] = None,
) -> StreamingResponse:
    """Tell what a job prints from an offset on, as it prints it: server-sent events `job_log`, and `log_end` once it is
    over, each with `text`, its `offset`, and the `next_offset` to go on from after a break.
    """
    find(service, job_id)
    tails: Tails = request.app.state.tails
    return StreamingResponse(tails.stream(job_id, offset, tail), media_type="text/event-stream")


@router.get("/api/jobs/{job_id}/log", responses={**PARSED, 204: {"description": "It has no such log yet."}})
def get_solver_log(job_id: JobPath, service: Serving) -> Response:
    """Return what the log of HFSS says of a job's own run: mesh, adaptive passes, sweep."""
    row = find(service, job_id, "Job not found")
    pattern = Work.read(row.work).log
    text = own_log(pattern, row.id, row.started, row.ended) if pattern else None
    return Response(status_code=204) if text is None else JSONResponse(hfsslog.parse(text).as_dict())


@router.get("/jobs/{job_id}/files")
def get_files(job_id: JobPath, service: Serving) -> list[dict[str, str | int]]:
    """Return the files in a job's folder with their sizes in bytes."""
    row = find(service, job_id)
    files = service.dispatcher.lane(row.site).files(row)
    return [{"name": name, "size": size} for name, size in files.items()]
