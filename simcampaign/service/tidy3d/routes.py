"""The routes of Tidy3D's protocol, all below ``/tidy3d-api``; clients take 200 alone for success."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from simcampaign.service.news import News, rings
from simcampaign.service.routes.asking import REFUSALS, Asking, Serving, need, written
from simcampaign.service.security.access import Identity
from simcampaign.service.solver.asking import find, only_of, user_of
from simcampaign.service.solver.task import Task
from simcampaign.service.tidy3d import words
from simcampaign.service.tidy3d.face import Face

router = APIRouter(prefix="/tidy3d-api", tags=["tidy3d"], responses=REFUSALS)

MOST_LISTED = 10_000
HOLD_SECONDS = 1.0
"""How long a submission is held back for the end of a small task: clients then need not ask for it."""

END_SECONDS = 15.0
"""How long the end of an aborted task is waited for before it is deleted."""

DAY_SECONDS = 86_400.0
_OVER = frozenset({"completed", "failed", "lost", "cancelled", "invalid", "ready", "draft"})

Name = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")]
Words = Annotated[str, Field(max_length=60)]
Url = Annotated[str, Field(max_length=2000)]


class NewFolder(BaseModel):
    """A folder that a client wants."""

    projectName: Name  # noqa: N815 - the protocol's


class NewTask(BaseModel):
    """A task that a client wants."""

    taskName: Name  # noqa: N815 - the protocol's
    taskType: Words  # noqa: N815
    callbackUrl: Url | None = None  # noqa: N815


class NewModeler(BaseModel):
    """A task of several ports that a client wants."""

    groupName: Name  # noqa: N815 - the protocol's
    folderId: Annotated[str, Field(max_length=700)]  # noqa: N815
    taskType: Words  # noqa: N815


class Submission(BaseModel):
    """How a task is to be started; what only their cloud has, such as GPUs, is left out."""

    priority: Annotated[int, Field(ge=1, le=10)] | None = None


class Abortion(BaseModel):
    """Which task is to be ended."""

    taskId: Annotated[str, Field(max_length=100)]  # noqa: N815 - the protocol's


class Groups(BaseModel):
    """Tasks that are to be forgotten, by what clients take for their groups."""

    groupIds: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=1000)] = []  # noqa: N815


async def _face(service: Serving) -> Face:
    assert service.tidy3d is not None  # noqa: S101 - without one there are no such routes
    return service.tidy3d


Facing = Annotated[Face, Depends(_face)]


class Caller:
    """Who asks, and what is there for them."""

    def __init__(self, request: Request, service: Serving, identity: Asking, face: Facing) -> None:
        self.face = face
        self.identity: Identity = identity
        self.user = user_of(service, identity)
        self.only = only_of(service, identity)
        self.news: News = request.app.state.news

    def find(self, task_id: str) -> Task:
        """Return a task, or answer that there is none."""
        (task,) = find(self.face.desk, self.only, [task_id])
        return task

    def change(self, task_id: str) -> Task:
        """Return a task for somebody who may change it."""
        need(self.identity, "submitter")
        return self.find(task_id)

    def modeler(self, task_id: str) -> dict[str, Any]:
        """Return what is told of a task of several ports, or answer that it is none."""
        task = self.find(task_id)
        said = self.face.said([task]).get(task_id)
        if said is None or said.type not in words.MODELERS:
            raise HTTPException(404, f"task {task_id} is no modeler")
        return words.modeler(task, said)

    def listed(self, folder: str | None) -> list[Task]:
        """Return tasks, newest first."""
        return self.face.desk.listed(self.only, folder, MOST_LISTED, None)

    async def over(self, task_id: str, seconds: float) -> None:
        """Return once a task is over, or after so many seconds."""
        bell, loop = self.news.bell(), asyncio.get_running_loop()
        deadline = loop.time() + seconds
        try:
            while not self.news.ended:
                bell.clear()
                found = await run_in_threadpool(self.face.desk.get, [task_id])
                left = deadline - loop.time()
                if not found or found[0].status in _OVER or left <= 0:
                    return
                if not await rings(bell, left):
                    return
        finally:
            self.news.hang_up(bell)

    async def forget(self, task_id: str) -> None:
        """Delete a task with its files; one that runs or waits is ended first."""
        task = await run_in_threadpool(self.change, task_id)
        await run_in_threadpool(self.face.desk.abort, [task])
        await self.over(task_id, END_SECONDS)
        await run_in_threadpool(lambda: self.face.delete([self.find(task_id)]))


Called = Annotated[Caller, Depends()]


def _data(value: object) -> dict[str, Any]:
    return {"data": value}


def _folder(wanted: str) -> str:
    try:
        return words.folder_name(wanted)
    except KeyError:
        raise HTTPException(404, f"there is no folder {wanted[:100]}") from None


@router.get("/health")
def get_health() -> dict[str, Any]:
    """Return that the service is there."""
    return _data("ok")


@router.get("/apikey")
def get_key(caller: Called) -> dict[str, Any]:
    """Return whose key it is; one that is not known does not come here."""
    return _data({"userId": caller.user})


@router.get("/tidy3d/py/account")
def get_account(_caller: Called) -> dict[str, Any]:
    """Return an account without a balance: credits are counted here, and not sold."""
    return _data({"credit": None, "allowanceCycleType": None, "dailyFreeSimulationCounts": None})


@router.get("/tidy3d/project")
def get_folder(projectName: Name, _caller: Called) -> dict[str, Any]:  # noqa: N803 - the protocol's
    """Return a folder; it is there as soon as it is named."""
    return _data(words.folder(projectName))


@router.get("/tidy3d/projects")
def list_folders(caller: Called) -> dict[str, Any]:
    """Return the folders that have tasks."""
    return _data([words.folder(name) for name in caller.face.desk.folders(caller.only)])


@router.post("/tidy3d/projects")
def create_folder(body: NewFolder, _caller: Called) -> dict[str, Any]:
    """Return a folder; it is there as soon as it is named."""
    return _data(words.folder(body.projectName))


@router.delete("/tidy3d/projects/{folder_id}")
def delete_folder(folder_id: str, caller: Called) -> dict[str, Any]:
    """Forget the tasks of a folder. Refused while one of them runs."""
    need(caller.identity, "submitter")
    caller.face.delete(caller.listed(_folder(folder_id)))
    return _data(None)


@router.get("/tidy3d/projects/{folder_id}/tasks")
def list_tasks(folder_id: str, caller: Called) -> dict[str, Any]:
    """Return the tasks of a folder, newest first."""
    return _data(caller.face.told(caller.listed(_folder(folder_id))))


@router.post("/tidy3d/projects/{folder_id}/tasks")
def create_task(folder_id: str, body: NewTask, caller: Called) -> dict[str, Any]:
    """Create a task; its simulation is uploaded next."""
    need(caller.identity, "submitter")
    task = caller.face.create(caller.user, body.taskName, _folder(folder_id), body.taskType, body.callbackUrl or "")
    told = words.detail(task, None)
    return _data({name: told[name] for name in ("taskId", "folderId", "status", "createdAt")})


@router.get("/tidy3d/py/tasks")
def list_running(caller: Called) -> dict[str, Any]:
    """Return the tasks that run or wait."""
    return _data(caller.face.told([each for each in caller.listed(None) if each.status not in _OVER]))


@router.get("/tidy3d/py/tasks/{task_id}/file")
def get_file(task_id: str, filename: Annotated[str, Query(max_length=200)], caller: Called) -> dict[str, Any]:
    """Return where a file is, with temporary keys for it."""
    place = caller.face.place(caller.find(task_id), filename)
    if place is None:
        raise HTTPException(404, f"task {task_id} has no file {filename}")
    return _data(place)


@router.post("/tidy3d/tasks/{task_id}/metadata")
@router.post("/rf/task/{task_id}/check")
async def examine(task_id: str, caller: Called) -> dict[str, Any]:
    """Validate and quote what was uploaded; answers when that is done."""
    task = await run_in_threadpool(caller.change, task_id)
    await written(caller.face.take_in_soon(task))
    return _data(None)


@router.get("/tidy3d/tasks/{task_id}/detail")
def get_detail(task_id: str, caller: Called) -> dict[str, Any]:
    """Return a task."""
    (told,) = caller.face.told([caller.find(task_id)])
    return _data(told)


@router.post("/tidy3d/tasks/{task_id}/submit")
@router.post("/rf/task/{task_id}/submit")
async def submit(task_id: str, body: Submission, caller: Called) -> dict[str, Any]:
    """Start a task, once however often it is asked for; a small one is over when this answers."""
    task = await run_in_threadpool(caller.change, task_id)
    await run_in_threadpool(caller.face.start, task, body.priority or 0)
    await caller.over(task_id, HOLD_SECONDS)
    return _data(None)


@router.get("/tidy3d/tasks/{task_id}/progress")
def get_progress(task_id: str, caller: Called) -> dict[str, Any]:
    """Return how far a task is."""
    percent, decay = caller.face.progress(caller.find(task_id))
    return _data({"perc_done": percent, "field_decay": decay})


@router.put("/tidy3d/tasks/abort")
def abort(body: Abortion, caller: Called) -> dict[str, Any]:
    """End a task that runs or waits."""
    caller.face.desk.abort([caller.change(body.taskId)])
    return _data(None)


@router.delete("/tidy3d/tasks/{folder_id}/tasks")
def delete_old(folder_id: str, daysOld: Annotated[float, Query(ge=0)], caller: Called) -> dict[str, Any]:  # noqa: N803
    """Forget tasks of a folder that are older than so many days and do not run; returns their number."""
    need(caller.identity, "submitter")
    before = time.time() - daysOld * DAY_SECONDS
    old = [each for each in caller.listed(_folder(folder_id)) if each.row.created < before and each.status in _OVER]
    caller.face.delete(old)
    return _data(len(old))


@router.delete("/tidy3d/tasks/{task_id}")
async def delete(task_id: str, caller: Called) -> dict[str, Any]:
    """Forget a task with its files; one that runs is ended first."""
    await caller.forget(task_id)
    return _data(None)


@router.delete("/tidy3d/group")
async def delete_groups(body: Groups, caller: Called) -> dict[str, Any]:
    """Forget modelers, each of which clients take for a group."""
    for each in body.groupIds:
        await caller.forget(each)
    return _data(None)


@router.delete("/tidy3d/group/{task_id}/versions")
async def delete_versions(task_id: str, caller: Called) -> dict[str, Any]:
    """Forget a modeler; there is one version of each."""
    await caller.forget(task_id)
    return _data(None)


@router.post("/rf/task")
def create_modeler(body: NewModeler, caller: Called) -> dict[str, Any]:
    """Create a task of several ports; here it is solved as one."""
    need(caller.identity, "submitter")
    task = caller.face.create(caller.user, body.groupName, _folder(body.folderId), body.taskType, "")
    return _data({"taskId": task.row.id, "folderId": body.folderId, "groupId": task.row.id})


@router.get("/rf/task/{task_id}/statistics")
def get_modeler(task_id: str, caller: Called) -> dict[str, Any]:
    """Return a task of several ports."""
    return _data(caller.modeler(task_id))


@router.put("/rf/task/{task_id}/abort")
def abort_modeler(task_id: str, caller: Called) -> dict[str, Any]:
    """End a task that runs or waits."""
    caller.face.desk.abort([caller.change(task_id)])
    return _data(None)
