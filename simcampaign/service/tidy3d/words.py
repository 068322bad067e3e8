"""Tidy3D's words for tasks: states, types, names of files and folders. Nothing here reads or writes anything."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from simcampaign.ledger.solvertasks import TaskState
from simcampaign.ledger.tidy3dtasks import Said
from simcampaign.service import wire
from simcampaign.service.solver.engines import TIDY3D
from simcampaign.service.solver.task import Task

TYPES = {"ModeSolver": "MODE_SOLVER", "ModeSimulation": "MODE"}
"""Our name of a type, without its prefix → theirs."""

MODELERS = frozenset({"TERMINAL_CM", "MODAL_CM", "RF"})
"""Types whose tasks have routes of their own."""

RESULTS = frozenset({"output/simulation_data.hdf5.gz", "output/mode_solver_data.hdf5.gz", "output/cm_data.hdf5.gz"})
LOG, ERROR, FAULT = "output/tidy3d.log", "output/tidy3d_error.json", "output/tidy3d_validation.json"

_STATUSES = {
    "invalid": "validate_error",
    "ready": "draft",
    "queued": "queued",
    "scheduled": "queued",
    "running": "running",
    "saving": "postprocess",
    "completed": "success",
    "failed": "run_error",
    "lost": "run_error",
    "cancelled": "aborted",
}
_FOLDER = "folder-"


def upload_name(kind: str) -> str:
    """Return the name of the file that a client uploads for a type, in its words."""
    if kind in MODELERS:
        return "modeler.hdf5.gz"
    return "mode_solver.hdf5.gz" if kind == "MODE_SOLVER" else "simulation.hdf5.gz"


def folder_id(name: str) -> str:
    """Return the id of a folder. It is the name itself, so that a folder is there as soon as it is named."""
    return _FOLDER + base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def folder_name(wanted: str) -> str:
    """Return the name of a folder. Raises ``KeyError`` for what is no id of one."""
    text = wanted.removeprefix(_FOLDER)
    try:
        name = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        raise KeyError(wanted) from None
    if folder_id(name) != wanted:
        raise KeyError(wanted)
    return name


def folder(name: str) -> dict[str, str]:
    """Return a folder as clients are told of it."""
    return {"projectId": folder_id(name), "projectName": name}


def status(task: Task) -> str:
    """Return where a task is. Only words that clients know: they wait for ever at others."""
    return _STATUSES.get(task.status, "draft")


def fault(task: Task) -> str:
    """Return why a task failed."""
    return task.message or f"it is {task.status}"


def kind(task: Task, said: Said | None) -> str:
    """Return the type of a task."""
    own = task.row.type.removeprefix(TIDY3D)
    return said.type if said else TYPES.get(own, own)


def detail(task: Task, said: Said | None) -> dict[str, Any]:
    """Return what clients are told of a task."""
    row, job = task.row, task.job
    started, ended = (None, None) if job is None else (job.started, job.ended)
    examined = row.state is not TaskState.DRAFT
    here = status(task)
    return {
        "taskId": row.id,
        "taskName": row.name,
        "taskType": kind(task, said),
        "folderId": folder_id(row.folder),
        "folderName": row.folder,
        "status": here,
        "metadataStatus": (here if row.state is TaskState.INVALID else "validate_success") if examined else "draft",
        "estFlexUnit": row.estimated,
        "realFlexUnit": row.real,
        "oriRealFlexUnit": row.real,
        "realCost": row.real,
        "timeSteps": row.steps,
        "createdAt": wire.moment(row.created),
        "createAt": wire.moment(row.created),
        "startSolverTime": wire.moment(started),
        "finishSolverTime": wire.moment(ended),
        "completedAt": wire.moment(ended),
        "totalSolverTime": round(ended - started) if started is not None and ended is not None else None,
        "callbackUrl": (said.callback if said else "") or None,
        "message": task.message,
    }


def modeler(task: Task, said: Said) -> dict[str, Any]:
    """Return what clients are told of a task of several ports; here it is solved as one."""
    row, here = task.row, status(task)
    return {
        "refId": row.id,
        "groupId": row.id,
        "name": row.name,
        "status": here if row.state is not TaskState.READY else "validate_success",
        "taskType": said.type,
        "totalTask": 1,
        "validateSuccess": int(row.state not in {TaskState.DRAFT, TaskState.INVALID}),
        "runSuccess": int(here == "success"),
        "estFlexUnit": row.estimated,
        "realFlexUnit": row.real,
        "message": task.message or None,
        "validateErrors": {row.name: fault(task)} if row.state is TaskState.INVALID else None,
        "tasks": [],
        "version": row.id,
    }
