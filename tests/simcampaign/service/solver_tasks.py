"""Tasks of a solver service, driven by a test as a client would."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from simcampaign import solver
from tests.simcampaign.service.server import Server
from tests.support import until

API = "/solver/v1"
SPACE: dict[str, Any] = {"x": (-1.2, 1.2), "y": (-1.0, 1.0), "cell": 0.2}
ENDS = {"completed", "failed", "cancelled", "lost"}


def waveguide(width: float, **more: Any) -> solver.ModeSolver:
    """Return a small simulation."""
    core = solver.Rectangle(x=(-width / 2, width / 2), y=(-0.11, 0.11), medium={"index": 3.476})
    return solver.ModeSolver(**SPACE, background={"index": 1.444}, rectangles=[core], frequencies=[193.4e12], **more)


def heat(temperature: float) -> solver.HeatConduction:
    """Return a simulation whose result another one may refer to."""
    walls = dict.fromkeys(("x_min", "x_max", "y_min", "y_max"), temperature)
    return solver.HeatConduction(**SPACE, background={"conductivity": 100.0}, walls=walls)


def heated(width: float, parent: str) -> solver.ModeSolver:
    """Return a simulation that refers to the result of another task."""
    return waveguide(width, temperature=solver.Reference(task_id=parent, name="temperature"))


def create(http: httpx.Client, data: bytes, key: str, folder: str = "default") -> dict[str, Any]:
    """Create a task and return it."""
    task = {"key": key, "name": key, "folder": folder, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    answer = http.post(f"{API}/tasks", json={"tasks": [task]})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["tasks"][0])


def send(http: httpx.Client, task_id: str, data: bytes, offset: int = 0) -> httpx.Response:
    """Send bytes of a simulation."""
    headers = {"content-type": "application/octet-stream"}
    return http.put(f"{API}/tasks/{task_id}/simulation", params={"offset": offset}, content=data, headers=headers)


def upload(http: httpx.Client, simulation: solver.Document, folder: Path, key: str = "") -> str:
    """Upload a simulation and return the id of its task."""
    file = folder / "simulation.hdf5"
    simulation.to_file(file)
    data = file.read_bytes()
    task = create(http, data, key or hashlib.sha256(data).hexdigest(), folder.name)
    answer = send(http, task["id"], data)
    assert answer.json()["status"] == "ready", answer.text
    return str(task["id"])


def start(http: httpx.Client, ids: Iterable[str] | Mapping[str, int], **more: Any) -> httpx.Response:
    """Ask for tasks to be started, each as its first attempt or as that of a number."""
    attempts = ids if isinstance(ids, Mapping) else dict.fromkeys(ids, 1)
    tasks = [{"id": task_id, "attempt": attempt} for task_id, attempt in attempts.items()]
    return http.post(f"{API}/start", json={"tasks": tasks, **more})


def get(http: httpx.Client, task_id: str) -> dict[str, Any]:
    """Return a task."""
    answer = http.get(f"{API}/tasks/{task_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ended(http: httpx.Client, task_id: str) -> dict[str, Any]:
    """Wait until a task is over and return it."""
    until(lambda: get(http, task_id)["status"] in ENDS, 120)
    return get(http, task_id)


class Gate:
    """A Python for the solver that waits, says how far it is, or fails, as long as a test wants it to."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.python = folder / "python"
        self._closed, self._broken = folder / "closed", folder / "broken"
        self.python.write_text(
            "#!/bin/sh\necho progress 42.0 0.25\n"
            f"while [ -e '{self._closed}' ]; do sleep 0.02; done\n"
            f"if [ -e '{self._broken}' ]; then echo 'no licence' >&2; exit 3; fi\n"
            f'exec {sys.executable} "$@"\n'
        )
        self.python.chmod(0o755)

    @property
    def settings(self) -> str:
        """What ``service.toml`` says of it."""
        return f'[solver]\npython = "{self.python}"\n'

    def close(self) -> None:
        """Let what is started wait."""
        self._closed.touch()

    def open(self) -> None:
        """Let it go on."""
        self._closed.unlink(missing_ok=True)

    def fail(self, *, on: bool) -> None:
        """Let what is started fail from now on, or no more."""
        if on:
            self._broken.touch()
        else:
            self._broken.unlink(missing_ok=True)


def jobs_of(server: Server, task_id: str) -> list[dict[str, Any]]:
    """Return all jobs of a task."""
    return [job for job in server.http.get("/jobs").json() if job["id"].startswith(task_id)]
