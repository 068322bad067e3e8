"""The session: one event loop's dealings with one solver. Everything else in this package drives it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simcampaign.errors import ConfigError, Problem, SimulationError
from simcampaign.web.endpoint import Endpoint
from simcampaign.web.gathering import Gathering
from simcampaign.web.link import Link, Told
from simcampaign.web.watching import Info, Watch

AT_ONCE = 16
"""Uploads, and downloads, that are under way at once."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A simulation's file, and the task that is made of it."""

    path: Path
    sha256: str
    size: int
    name: str
    folder: str = "default"
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    """The same key is the same task, however often it is asked for."""


class Session:
    """Steps that many tasks take at the same time, each at its own speed."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Ask ``endpoint``."""
        self.endpoint = endpoint
        self.link = Link(endpoint.url, endpoint.token)
        self._creating: Gathering[Upload, Info] = Gathering(self._create)
        self._starting: Gathering[tuple[str, int], Info] = Gathering(self._start)
        self._watch = Watch(self.link)
        self._uploads, self._downloads = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(AT_ONCE)
        self._about: Info | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self.link.close()

    async def about(self) -> Info:
        """Return what the service says of itself; it is asked once."""
        if self._about is None:
            self._about = (await self.link.ask("GET", "/about")).json()
        return self._about

    async def _create(self, uploads: Sequence[Upload]) -> Sequence[Info]:
        tasks = [
            {"key": each.key, "name": each.name, "folder": each.folder, "sha256": each.sha256, "size": each.size}
            for each in uploads
        ]
        return list((await self.link.ask("POST", "/tasks", json={"tasks": tasks})).json()["tasks"])

    async def _start(self, tasks: Sequence[tuple[str, int]]) -> Sequence[Info]:
        body = {"tasks": [{"id": task_id, "attempt": attempt} for task_id, attempt in tasks]}
        return list((await self.link.ask("POST", "/start", json=body)).json()["tasks"])

    async def upload(self, wanted: Upload, told: Told | None = None) -> Info:
        """Create a task and send its file, as far as it is not there. Raises ``ConfigError`` if it is refused."""
        info = await self._creating.ask(wanted)
        if info["status"] == "draft":
            async with self._uploads:
                info = await self.link.upload(info["id"], wanted.path, info["arrived"], told)
        if info["status"] == "invalid":
            raise ConfigError([Problem(wanted.name, str(wanted.path), info["message"])], "change the simulation")
        return info

    async def start(self, task_id: str, attempt: int = 1) -> Info:
        """Start a task; one that had this attempt is left alone."""
        return await self._starting.ask((task_id, attempt))

    async def start_all(self, ids: Sequence[str], budget: float | None, priority: int = 0) -> None:
        """Start tasks, all or none. Raises ``ConflictError`` if they may cost more than the budget."""
        body = {"tasks": [{"id": task_id} for task_id in ids], "budget": budget, "priority": priority}
        await self.link.ask("POST", "/start", json=body)

    async def monitor(self, task_id: str, told: Callable[[Info], None] = lambda _info: None) -> Info:
        """Wait until a task is over. Raises ``SimulationError`` if it did not end well."""
        info = await self._watch.over(task_id, told)
        if info["status"] != "completed":
            reason = info["message"] or f"it is {info['status']}"
            hint = f"web.download_log({task_id!r}, 'solver.log')"
            raise SimulationError(f"task {info['name']} ({task_id}) was not solved: {reason}", hint)
        return info

    async def download(self, info: Info, target: Path, told: Told | None = None) -> Path:
        """Fetch the result of a task that is completed."""
        async with self._downloads:
            await self.link.download(f"/tasks/{info['id']}/result", target, info["result"]["sha256"], told)
        return target

    async def get(self, path: str, **params: Any) -> Info:
        """Return what the service says."""
        wanted = {name: value for name, value in params.items() if value is not None}
        return dict((await self.link.ask("GET", path, params=wanted)).json())

    async def post(self, path: str, body: Info) -> Info:
        """Have the service do something that may be asked for twice."""
        return dict((await self.link.ask("POST", path, json=body)).json())
