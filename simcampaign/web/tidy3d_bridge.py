"""The bridge to Tidy3D's cloud: drives its official client, in the client's own environment.

It reads calls, one a line of JSON, and answers each with one. Nothing of simcampaign is there. The API key is the
client's own, from its own configuration; it is never said here.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
import tidy3d
from tidy3d import web
from tidy3d.components.base import Tidy3dBaseModel
from tidy3d.web.core.exceptions import WebNotFoundError
from tidy3d.web.core.task_core import Folder, SimulationTask, WebTask

AT_ONCE = 16
"""Calls of the client that go on at the same time."""

DRAFT = "MODE"
"""Type of a task that is only to be there."""

_FAULT = re.compile(r"Error estimating cost for task (\S+)! (.*)", re.DOTALL)
_TRANSIENT = re.compile(r"\[HTTP (429|5\d\d) ")


def about() -> str:
    """Return who answers; raises if the key is not known."""
    web.test()
    return f"Tidy3D at {tidy3d.config.web.api_endpoint}, client {tidy3d.__version__}"


def tasks(folder: str) -> list[dict[str, Any]]:
    """Return the tasks of a folder."""
    found = Folder.get(folder, create=True).list_tasks() or []
    return list(_threads.map(_told, [each.task_id for each in found]))


def look(ids: list[str]) -> list[dict[str, Any] | None]:
    """Return tasks; None for one that is not there."""
    return list(_threads.map(_told_if_there, ids))


def upload(folder: str, files: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Upload files of simulations as tasks of these names, and have them quoted; one with a fault says so."""
    Folder.get(folder, create=True)  # before threads ask for it, each for itself
    return list(_threads.map(lambda each: _upload(folder, *each), files))


def _upload(folder: str, name: str, path: str) -> dict[str, Any]:
    simulation = Tidy3dBaseModel.from_file(path)
    try:
        task_id = web.upload(simulation, task_name=name, folder_name=folder, verbose=False)
    except tidy3d.exceptions.WebError as error:
        found = _FAULT.search(str(error))
        if found is None:
            raise
        return {**_told(found[1]), "fault": found[2]}
    return _told(task_id)


def mark(folder: str, name: str) -> None:
    """Make a task that has no simulation."""
    WebTask.create(DRAFT, name, folder)


def start(ids: list[str]) -> None:
    """Start tasks."""
    list(_threads.map(web.start, ids))


def download(files: list[tuple[str, str]]) -> list[int]:
    """Fetch results; returns their sizes."""
    return list(_threads.map(lambda each: _download(*each), files))


def _download(task_id: str, path: str) -> int:
    part = f"{path}.part"
    web.download(task_id, path=part, verbose=False)
    os.replace(part, path)  # noqa: PTH105 - both are texts
    return Path(path).stat().st_size


def logs(ids: list[str]) -> list[str]:
    """Return what tasks printed; nothing where there is no log yet."""
    return list(_threads.map(_log, ids))


def _log(task_id: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log")
        try:
            web.download_log(task_id, path=path, verbose=False)
        except WebNotFoundError:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")


def abort(ids: list[str]) -> None:
    """End tasks."""
    list(_threads.map(web.abort, ids))


def delete(ids: list[str]) -> None:
    """Forget tasks; those that are not there any more are no error."""
    list(_threads.map(_delete, ids))


def _delete(task_id: str) -> None:
    try:
        web.delete(task_id)
    except WebNotFoundError:
        return


def _told_if_there(task_id: str) -> dict[str, Any] | None:
    try:
        return _told(task_id)
    except WebNotFoundError:
        return None


def _told(task_id: str) -> dict[str, Any]:
    info = SimulationTask(taskId=task_id).detail()

    def seconds(moment: Any) -> float | None:
        return None if moment is None else float(moment.timestamp())

    return {
        "id": task_id,
        "name": info.taskName,
        "status": info.status,
        "metadata": info.metadataStatus,
        "estimated": info.estFlexUnit,
        "real": info.realFlexUnit,
        "started": seconds(info.startSolverTime),
        "ended": seconds(info.finishSolverTime or info.completedAt),
    }


CALLS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (about, tasks, look, upload, mark, start, download, logs, abort, delete)
}
_threads = ThreadPoolExecutor(AT_ONCE)


def answer(name: str, arguments: list[Any]) -> dict[str, Any]:
    """Do a call; an error says whether the network is to blame, so that the call may be made again."""
    try:
        return {"answer": CALLS[name](*arguments)}
    except (requests.RequestException, OSError) as error:
        return {"error": str(error), "network": True}
    except Exception as error:  # noqa: BLE001 - whatever the client raises, the site is told
        return {"error": str(error) or type(error).__name__, "network": bool(_TRANSIENT.search(str(error)))}


def main() -> None:
    """Answer until there is nothing more to read."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the client prints what it does
    for line in sys.stdin:
        answers.write(json.dumps(answer(*json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
