"""The routes of the solver, all below ``/solver/v1``: tasks, their files, their states and what they cost."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse
from pydantic import BaseModel, Field, StrictInt
from starlette.concurrency import run_in_threadpool

from simcampaign import __version__
from simcampaign.errors import ConflictError
from simcampaign.plugins import SOLVER_TYPES, packages
from simcampaign.service import wire
from simcampaign.service.news import News, rings
from simcampaign.service.routes.asking import REFUSALS, Asking, Serving, need
from simcampaign.service.solver.asking import Solving, find, only_of, user_of
from simcampaign.service.solver.desk import Desk, refuse_size
from simcampaign.service.solver.task import Task, task_of

router = APIRouter(prefix="/solver/v1", tags=["solver"], responses=REFUSALS)

MOST_TASKS = 1000
"""Tasks in one request."""

LONGEST_WAIT = 30.0
"""Seconds that a request for states may wait for news."""

GATHER_SECONDS = 0.02
"""News that come together are told together."""

WRITTEN_AT_ONCE = 2**20
"""Bytes of an upload that are gathered before they are written."""

LONGEST_LOG = 2**20

TaskId = Annotated[str, Field(max_length=100, pattern=r"^task-[0-9a-f]{16}$")]
Name = Annotated[str, Field(max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")]


class NewTask(BaseModel):
    """A simulation that a client wants solved."""

    key: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
    """The client's own key: the same key means the same task."""

    name: Name
    folder: Name = "default"
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[StrictInt, Field(ge=1, le=2**62)]
    callback: Annotated[str, Field(max_length=2000, pattern=r"^[\x21-\x7e]*$")] = ""
    """URL that is told, by a POST with JSON, that the task is over; its host must be one that the owner has named."""


class NewTasks(BaseModel):
    """Tasks that are to be created."""

    tasks: Annotated[list[NewTask], Field(max_length=MOST_TASKS)]


class Start(BaseModel):
    """A task that is to be started."""

    id: TaskId
    attempt: Annotated[StrictInt, Field(ge=1, le=10_000)] = 1
    """1 for the first time; one more for a task that did not end well."""


class Starts(BaseModel):
    """Tasks that are to be started, all or none."""

    tasks: Annotated[list[Start], Field(max_length=MOST_TASKS)]
    budget: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    priority: Annotated[StrictInt, Field(ge=-(10**9), le=10**9)] = 0


class Ids(BaseModel):
    """Some tasks."""

    tasks: Annotated[list[TaskId], Field(max_length=MOST_TASKS)]


class Seen(BaseModel):
    """What a client knows of tasks."""

    tasks: Annotated[dict[TaskId, Annotated[str, Field(max_length=60)]], Field(max_length=10 * MOST_TASKS)]
    """The ``seen`` of each task as it was told, empty at first."""

    wait: Annotated[float, Field(ge=0, le=LONGEST_WAIT)] = 0.0
    """Seconds to wait for something new."""


def _seen(desk: Desk, task: Task) -> str:
    """Return what tells a client whether a task has changed; its progress counts in whole percent."""
    percent = desk.progress(task).percent
    return f"{task.status} {task.row.attempt}{'' if percent is None else f' {percent:.0f}'}"


def told(desk: Desk, task: Task) -> dict[str, Any]:
    """Return what clients are told of a task."""
    row, job = task.row, task.job
    progress = desk.progress(task)
    return {
        "id": row.id,
        "key": row.key,
        "name": row.name,
        "folder": row.folder,
        "user": row.user,
        "status": task.status,
        "message": task.message,
        "cause": task.cause,
        "percent": progress.percent,
        "field_decay": progress.field_decay,
        "job": row.job or None,
        "seen": _seen(desk, task),
        "attempt": row.attempt,
        "type": row.type or None,
        "created": wire.moment(row.created),
        "started": wire.moment(None if job is None else job.started),
        "ended": wire.moment(None if job is None else job.ended),
        "size": row.size,
        "sha256": row.sha256,
        "arrived": row.size if row.state != "draft" else desk.files.arrived(row.user, row.sha256, row.size),
        "cells": row.cells,
        "steps": row.steps,
        "estimated": row.estimated,
        "real": row.real,
        "parents": list(row.parents),
        "result": {"sha256": row.result_sha256, "size": row.result_size} if row.result_sha256 else None,
    }


def _told(desk: Desk, tasks: Sequence[Task]) -> dict[str, Any]:
    return {"tasks": [told(desk, each) for each in tasks]}


@router.get("/about")
def get_solver(service: Serving, identity: Asking, desk: Solving) -> dict[str, Any]:
    """Return what this solver is."""
    limits = {"file_bytes": desk.config.max_file_bytes, "tasks": MOST_TASKS, "wait": LONGEST_WAIT}
    return {
        "version": __version__,
        "solver": packages(SOLVER_TYPES),
        "user": user_of(service, identity),
        "site": desk.config.site,
        "limits": limits,
    }


@router.post("/tasks")
def create_tasks(body: NewTasks, service: Serving, identity: Asking, desk: Solving) -> dict[str, Any]:
    """Create tasks; those whose keys are known are answered as they are. ``arrived`` says how much is here already."""
    need(identity, "submitter")
    for each in body.tasks:
        refuse_size(each.size, desk.config.max_file_bytes)
    assert service.callbacks is not None  # noqa: S101 - a solver has them
    urls = {each.key: each.callback for each in body.tasks if each.callback}
    service.callbacks.check(urls.values())
    made = desk.create(user_of(service, identity), body.tasks)
    service.callbacks.add({task.row.id: urls[task.row.key] for task in made if task.row.key in urls})
    return _told(desk, made)


@router.put("/tasks/{task_id}/simulation")
async def upload(
    task_id: str,
    request: Request,
    service: Serving,
    identity: Asking,
    desk: Solving,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> dict[str, Any]:
    """Take bytes of a simulation in, from an offset on. With the last one it is checked and quoted.

    A draft whose bytes are not all here afterwards goes on from its ``arrived``.
    """
    need(identity, "submitter")
    (task,) = await run_in_threadpool(find, desk, only_of(service, identity), [task_id])
    row = task.row
    if row.state == "draft":
        part = desk.files.part(row.user, row.sha256)
        here = await run_in_threadpool(desk.files.arrived, row.user, row.sha256, row.size)
        if offset > here:
            raise ConflictError(f"{here} bytes are here, and these begin at {offset}", f"upload from {here} on")
        if here < row.size or part.exists():
            here = await _write(request, part, offset, row.size)
        if here == row.size:
            await asyncio.wrap_future(desk.examine_soon(row))
    (task,) = await run_in_threadpool(desk.get, [task_id])
    return await run_in_threadpool(told, desk, task)


async def _write(request: Request, part: Path, offset: int, size: int) -> int:
    """Write a body to a file from an offset on as it comes, and return where it ends."""
    mode = "r+b" if part.exists() else "w+b"
    file = await asyncio.to_thread(part.open, mode)
    held = bytearray()  # the disk is not troubled for every packet
    try:
        file.seek(offset)
        end = offset
        async for piece in request.stream():
            end += len(piece)
            if end > size:
                raise ConflictError(f"more comes than the {size} bytes that were told", "create the task anew")
            held += piece
            if len(held) >= WRITTEN_AT_ONCE:
                await asyncio.to_thread(file.write, bytes(held))
                held.clear()
    finally:
        file.write(held)
        await asyncio.to_thread(file.close)
    return end


@router.get("/tasks/{task_id}/simulation", response_class=FileResponse)
def get_simulation(task_id: str, service: Serving, identity: Asking, desk: Solving) -> FileResponse:
    """Return the file of a simulation, or ranges of it."""
    (task,) = find(desk, only_of(service, identity), [task_id])
    path = desk.files.content(task.row.user, task.row.sha256)
    if not desk.files.bring(path):
        raise HTTPException(404, f"the simulation of task {task_id} is not here yet")
    return FileResponse(path, media_type="application/octet-stream", headers={"etag": f'"{task.row.sha256}"'})


@router.get("/tasks/{task_id}/result", response_class=FileResponse)
def get_result(task_id: str, service: Serving, identity: Asking, desk: Solving) -> FileResponse:
    """Return the file of a result, or ranges of it; the ETag is its SHA-256."""
    (task,) = find(desk, only_of(service, identity), [task_id])
    if not task.row.result_sha256:
        raise HTTPException(404, f"task {task_id} is {task.status}, and has no result")
    path = desk.files.result(task_id)
    if not desk.files.bring(path):
        raise HTTPException(404, f"the result of task {task_id} is not here any more: have it solved again")
    return FileResponse(path, media_type="application/octet-stream", headers={"etag": f'"{task.row.result_sha256}"'})


@router.post("/start")
def start(body: Starts, service: Serving, identity: Asking, desk: Solving) -> dict[str, Any]:
    """Start tasks. One that refers to results of others starts when these are there."""
    need(identity, "submitter")
    find(desk, only_of(service, identity), [each.id for each in body.tasks])
    desk.begin({each.id: each.attempt for each in body.tasks}, body.budget, body.priority)
    return _told(desk, desk.get([each.id for each in body.tasks]))


@router.post("/status")
async def get_states(body: Seen, request: Request, service: Serving, identity: Asking, desk: Solving) -> dict[str, Any]:
    """Return those of the tasks that are no longer as they were seen; waits for one of them, if asked to.

    ``missing`` are those that are not there.
    """
    news: News = request.app.state.news
    only, bell = only_of(service, identity), news.bell()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (body.wait if body.tasks else 0.0)
    try:
        while True:
            bell.clear()
            heard = await run_in_threadpool(service.book.last_event)
            changed, missing = await run_in_threadpool(_news_of, desk, only, body.tasks)
            left = deadline - loop.time()
            if changed or missing or left <= 0 or news.ended:
                return {**await run_in_threadpool(_told, desk, changed), "missing": missing}
            if await _is_about(news, bell, heard, body.tasks, left):
                await asyncio.sleep(GATHER_SECONDS)
    finally:
        news.hang_up(bell)


def _news_of(desk: Desk, only: str | None, seen: Mapping[str, str]) -> tuple[list[Task], list[str]]:
    """Return those tasks that are no longer as they were seen, and those that are not there."""
    tasks = [each for each in desk.get(list(seen)) if only in {None, each.row.user}]
    there = {each.row.id for each in tasks}
    changed = [each for each in tasks if seen[each.row.id] != _seen(desk, each)]
    return changed, [task_id for task_id in seen if task_id not in there]


async def _is_about(news: News, bell: asyncio.Event, heard: int, ids: Container[str], seconds: float) -> bool:
    """Wait for an event of one of the tasks behind the event ``heard``; False if none came in that time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not news.ended and (left := deadline - asyncio.get_running_loop().time()) > 0:
        events = await news.behind(heard)
        if any(task_of(each.job_id) in ids for each in events):
            return True
        if events:
            heard = events[-1].seq
            continue
        if await rings(bell, left):
            bell.clear()
    return False


@router.post("/abort")
def abort(body: Ids, service: Serving, identity: Asking, desk: Solving) -> dict[str, Any]:
    """End tasks that run or wait."""
    need(identity, "submitter")
    desk.abort(find(desk, only_of(service, identity), body.tasks))
    return _told(desk, desk.get(body.tasks))


@router.post("/delete")
def delete(body: Ids, service: Serving, identity: Asking, desk: Solving) -> dict[str, Any]:
    """Forget tasks with their files; those that are not there are no error."""
    need(identity, "submitter")
    only = only_of(service, identity)
    tasks = [each for each in desk.get(body.tasks) if only in {None, each.row.user}]
    desk.delete(tasks)
    return {"deleted": [each.row.id for each in tasks]}


@router.get("/tasks/{task_id}")
def get_task(task_id: str, service: Serving, identity: Asking, desk: Solving) -> dict[str, Any]:
    """Return one task."""
    (task,) = find(desk, only_of(service, identity), [task_id])
    return told(desk, task)


@router.get("/tasks/{task_id}/run")
def get_run(task_id: str, service: Serving, identity: Asking, desk: Solving) -> dict[str, Any]:
    """Return how far a task is: percent, and which part of the largest field energy is left."""
    (task,) = find(desk, only_of(service, identity), [task_id])
    progress = desk.progress(task)
    return {
        "id": task_id,
        "status": task.status,
        "percent": progress.percent or 0.0,
        "field_decay": progress.field_decay,
    }


@router.get("/tasks/{task_id}/log", response_class=PlainTextResponse)
def get_log(
    task_id: str,
    service: Serving,
    identity: Asking,
    desk: Solving,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> PlainTextResponse:
    """Return what the newest try printed, from an offset in bytes on; X-Next-Offset is that of what comes next."""
    (task,) = find(desk, only_of(service, identity), [task_id])
    data = desk.log(task, offset, LONGEST_LOG)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=len(data) < LONGEST_LOG)
    return PlainTextResponse(text, headers={"x-next-offset": str(offset + len(data) - len(decoder.getstate()[0]))})


@router.get("/tasks")
def list_tasks(
    service: Serving,
    identity: Asking,
    desk: Solving,
    folder: Annotated[str | None, Query(max_length=120)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_TASKS)] = 100,
    cursor: Annotated[int | None, Query(ge=1, le=2**62, description="`next` of the page before.")] = None,
) -> dict[str, Any]:
    """List tasks, newest first; ``next`` leads to the next page."""
    tasks = desk.listed(only_of(service, identity), folder, limit + 1, cursor)
    page = tasks[:limit]
    return {**_told(desk, page), "next": page[-1].row.seq if len(tasks) > limit else None}


@router.get("/folders")
def list_folders(service: Serving, identity: Asking, desk: Solving) -> dict[str, int]:
    """Return the folders with the number of tasks in each."""
    return desk.folders(only_of(service, identity))


@router.get("/account")
def get_account(service: Serving, identity: Asking, desk: Solving) -> dict[str, Any]:
    """Return what the one who asks has spent."""
    user = user_of(service, identity)
    count, spent, open_ = desk.spent(user)
    return {"user": user, "tasks": count, "spent": spent, "running_at_most": open_}
