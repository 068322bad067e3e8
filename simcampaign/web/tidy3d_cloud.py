"""Tidy3D's cloud as a cloud of a site: what a site asks, done by the official client in a process of its own.

The cloud has no keys against doubles, so a task's name begins with its key: what is there already is found by it, and a
task of that name without a simulation, which a lost answer leaves, is replaced.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simcampaign.errors import NetworkError, SiteError
from simcampaign.jobs import Cause, JobState
from simcampaign.web.cloud import CloudTask, Simulation

BRIDGE = Path(__file__).with_name("tidy3d_bridge.py")
LOOK_SECONDS = 2.0
"""Pause between looks at tasks; their cloud tells nothing by itself."""

CLOSED = "closed"
"""Name of the task, behind the key of an array's first one, which says that nothing may begin there any more."""

_QUEUED = frozenset({"queued", "queued_solver", "preprocess"})
_RUNNING = frozenset({"running", "preprocess_success", "run_success", "postprocess", "aborting"})
_FINISHED = frozenset({"success", "visualize", "completed", "processed", "postprocess_success", "diverge", "diverged"})
_FAULTY = frozenset({"validate_error", "blocked"})
_FAILED = frozenset({"error", "errored", "preprocess_error", "run_error", "postprocess_error"})
_CHECKED = frozenset({"validate_success", "validate_warn", "warning", *_RUNNING, *_FINISHED})


class Tidy3dCloud:
    """Drives the official client. May be used from several threads."""

    def __init__(self, python: str) -> None:
        """Use the client that is in the environment of this Python; it is started when it is needed."""
        self._python = python
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._folders: dict[str, str] = {}
        self._sizes: dict[str, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the client out, which is started again where it is needed."""
        return {"_python": self._python}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._python = state["_python"]
        self._forget()

    def _ask(self, name: str, *arguments: object) -> Any:
        with self._lock:
            process = self._running()
            assert process.stdin is not None  # noqa: S101 - asked for
            assert process.stdout is not None  # noqa: S101 - asked for
            try:
                process.stdin.write(json.dumps([name, arguments]) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except OSError:
                line = ""
            if not line:
                process.kill()
                process.communicate()
                self._process = None
                hint = f"{self._python} -c 'import tidy3d.web'"
                raise SiteError(f"Tidy3D's client does not run with {self._python}", hint)
        told = json.loads(line)
        if "error" not in told:
            return told["answer"]
        if told["network"]:
            raise NetworkError(f"Tidy3D's cloud cannot be asked: {told['error']}", "the call is made again")
        raise SiteError(f"Tidy3D's client refuses: {told['error']}", "tidy3d configure")

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            try:
                self._process = subprocess.Popen(
                    [self._python, str(BRIDGE)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            except OSError as error:
                hint = "set python in sites.toml to that of an environment that has tidy3d"
                raise SiteError(f"{self._python} cannot be started: {error.strerror}", hint) from error
        return self._process

    def about(self) -> str:
        """Return in words what answers."""
        return str(self._ask("about"))

    def tasks(self, folder: str) -> Sequence[CloudTask]:
        """Return the tasks of a folder, one for each key: that which is farthest; none if it was closed."""
        found = self._listed(folder)
        return [] if _is_closed(found) else list(found.values())

    def _listed(self, folder: str) -> dict[str, CloudTask]:
        best: dict[str, CloudTask] = {}
        for task in map(self._task, self._ask("tasks", folder)):
            self._folders[task.id] = folder
            other = best.get(task.key)
            if other is None or _rank(task) > _rank(other):
                best[task.key] = task
        return best

    def upload(self, folder: str, simulations: Sequence[Simulation]) -> Sequence[CloudTask]:
        """Make tasks and have them quoted, in order; those that are there already are returned as they are."""
        found = self._open(folder)
        is_whole = {key: _rank(task) > 0 for key, task in found.items()}
        self._ask("delete", [task.id for key, task in found.items() if not is_whole[key]])
        missing = [each for each in simulations if not is_whole.get(each.key)]
        made = self._ask("upload", folder, [(f"{each.key} {each.name}", str(each.path)) for each in missing])
        for task in map(self._task, made):
            self._folders[task.id] = folder
            found[task.key] = task
        return [found[each.key] for each in simulations]

    def _open(self, folder: str) -> dict[str, CloudTask]:
        found = self._listed(folder)
        if _is_closed(found):
            raise SiteError(f"folder {folder} was closed: its tasks were given up")
        return found

    def start(self, ids: Sequence[str]) -> None:
        """Start tasks; those that were started already are left alone.

        Their cloud starts them one by one: after an error some may have begun, and this is called again.
        """
        for folder in {self._folders[each] for each in ids if each in self._folders}:
            self._open(folder)
        states = self._ask("look", list(ids))
        self._ask("start", [each["id"] for each in states if each is not None and self._task(each).state is None])

    def close(self, folder: str, key: str) -> bool:
        """Forget the tasks of a folder in which none was started, and mark it, so that none is started by us again.

        Their cloud refuses nothing for the mark: a start that has passed its look at the folder still takes place.
        """
        self._ask("mark", folder, f"{key} {CLOSED}")
        found = self._ask("tasks", folder)
        tasks = [self._task(each) for each in found]
        if any(task.state is not None for task in tasks):
            self._ask("delete", [task.id for task in tasks if task.name == CLOSED])
            return False
        self._ask("delete", [task.id for task in tasks if task.name != CLOSED])
        return True

    def look(self, tasks: Mapping[str, str]) -> tuple[Sequence[CloudTask], Sequence[str]]:
        """Return those that changed, and the ids that are not there."""
        found = dict(zip(tasks, self._ask("look", list(tasks)), strict=True))
        now = [self._task(each) for each in found.values() if each is not None]
        return [task for task in now if tasks[task.id] != task.seen], [key for key, each in found.items() if not each]

    def wait(self, tasks: Mapping[str, str], seconds: float) -> None:
        """Return when one of these tasks changed, at the latest after so many seconds."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
            if not tasks or any(self.look(tasks)):
                return

    def download(self, files: Iterable[tuple[CloudTask, Path]]) -> int:
        """Fetch results, each whole or not at all; returns bytes fetched."""
        wanted = list(files)
        sizes = self._ask("download", [(task.id, str(target)) for task, target in wanted])
        self._sizes |= {task.id: size for (task, _), size in zip(wanted, sizes, strict=True)}
        return sum(sizes)

    def logs(self, ids: Sequence[str]) -> Sequence[bytes]:
        """Return what tasks printed."""
        return [str(each).encode() for each in self._ask("logs", list(ids))]

    def abort(self, ids: Sequence[str]) -> None:
        """End tasks that wait or run."""
        states = self._ask("look", list(ids))
        active = [each["id"] for each in states if each and (state := self._task(each).state) and state.active]
        self._ask("abort", active)

    def delete(self, ids: Sequence[str]) -> None:
        """Forget tasks with their files."""
        self._ask("delete", list(ids))

    def _task(self, told: Mapping[str, Any]) -> CloudTask:
        key, _, name = str(told["name"]).partition(" ")
        status, metadata = str(told["status"]), str(told["metadata"])
        state = _state(status)
        is_faulty = status in _FAULTY or metadata in _FAULTY
        return CloudTask(
            id=told["id"],
            key=key,
            name=name,
            state=state,
            seen=f"{status} {metadata}",
            quoted=told["estimated"] if metadata in _CHECKED else None,
            cost=(told["real"] or 0.0) if state is not None and not state.active else None,
            fault=told.get("fault") or ("it is not valid" if is_faulty else ""),
            message=f"Tidy3D's cloud calls it {status}" if state is JobState.FAILED else "",
            cause=Cause.APPLICATION if state is JobState.FAILED else None,
            started=told["started"],
            ended=told["ended"],
            # Their cloud tells no sizes: what was fetched tells it.
            result_bytes=self._sizes.get(told["id"], 0) if state is JobState.FINISHED else None,
        )


def _state(status: str) -> JobState | None:
    if status in _QUEUED:
        return JobState.QUEUED
    if status in _RUNNING:
        return JobState.RUNNING
    if status in _FINISHED:
        return JobState.FINISHED
    if status in _FAILED:
        return JobState.FAILED
    if status in {"aborted", "deleted"}:
        return JobState.CANCELLED
    return None


def _rank(task: CloudTask) -> int:
    """Return how far a task is: without a simulation, quoted, started."""
    if task.state is not None:
        return 2
    return int(task.quoted is not None or bool(task.fault))


def _is_closed(found: Mapping[str, CloudTask]) -> bool:
    return any(task.name == CLOSED for task in found.values())
