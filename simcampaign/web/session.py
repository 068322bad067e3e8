"""The session: one event loop's dealings with one solver. Everything else in this package drives it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcampaign.errors import ABSENT, ConfigError, Problem, SimulationError
from simcampaign.web.endpoint import Endpoint
from simcampaign.web.gathering import Gathering
from simcampaign.web.link import Link, Source, Told
from simcampaign.web.watching import Info, Watch


@dataclass(frozen=True, slots=True)
class Upload:
    """A simulation's bytes, and the task that is made of them."""

    source: Source
    sha256: str
    name: str
    folder: str = "default"
    key: str = ""
    """The same key is the same task, however often it is asked for."""

    callback: str = ""
    """Where the service tells that the task is over."""


class Session:
    """Steps that many tasks take at the same time, each at its own speed."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Ask ``endpoint``."""
        self.endpoint = endpoint
        self.link = Link(endpoint.url, endpoint.token)
        self._creating: Gathering[Upload, Info] = Gathering(self._create)
        self._starting: Gathering[tuple[str, int, int], Info] = Gathering(self._start)
        self._watch = Watch(self.link)

    async def close(self) -> None:
        """Close the connections."""
        await self.link.close()

    async def about(self) -> Info:
        """Return what the service says of itself."""
        return await self.get("/about")

    async def _create(self, uploads: Sequence[Upload]) -> Sequence[Info]:
        tasks = [_told(each) for each in uploads]
        return list((await self.post("/tasks", {"tasks": tasks}))["tasks"])

    async def _start(self, tasks: Sequence[tuple[str, int, int]]) -> Sequence[Info]:
        groups: dict[int, list[Info]] = defaultdict(list)
        for task_id, attempt, priority in tasks:
            groups[priority].append({"id": task_id, "attempt": attempt})
        infos: dict[str, Info] = {}
        for priority, group in groups.items():
            answer = await self.post("/start", {"tasks": group, "priority": priority})
            infos |= {info["id"]: info for info in answer["tasks"]}
        return [infos[task_id] for task_id, _, _ in tasks]

    async def upload(self, wanted: Upload, told: Told | None = None) -> Info:
        """Create a task and send its file, as far as it is not there. Raises ``ConfigError`` if it is refused."""
        info = await self._creating.ask(wanted)
        if info["status"] == "draft":
            info = await self.link.upload(info["id"], wanted.source, info["arrived"], told)
        if info["status"] == "invalid":
            raise ConfigError([Problem(wanted.name, ABSENT, info["message"])], "change the simulation")
        return info

    async def start(self, task_id: str, attempt: int = 1, priority: int = 0) -> Info:
        """Start a task; one that had this attempt is left alone."""
        return await self._starting.ask((task_id, attempt, priority))

    async def start_all(self, tasks: Sequence[tuple[str, int]], budget: float | None, priority: int = 0) -> None:
        """Start attempts of tasks, all or none. Raises ``ConflictError`` if they may cost more than the budget."""
        wanted = [{"id": task_id, "attempt": attempt} for task_id, attempt in tasks]
        await self.post("/start", {"tasks": wanted, "budget": budget, "priority": priority})

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
        await self.link.download(f"/tasks/{info['id']}/result", target, info["result"]["sha256"], told)
        return target

    async def get(self, path: str, **params: Any) -> Info:
        """Return what the service says."""
        wanted = {name: value for name, value in params.items() if value is not None}
        return dict((await self.link.ask("GET", path, params=wanted)).json())

    async def post(self, path: str, body: Info) -> Info:
        """Have the service do something that may be asked for twice."""
        return dict((await self.link.ask("POST", path, json=body)).json())


def _told(wanted: Upload) -> Info:
    told = {"key": wanted.key, "name": wanted.name, "folder": wanted.folder}
    callback = {"callback": wanted.callback} if wanted.callback else {}
    return {**told, "sha256": wanted.sha256, "size": wanted.source.size, **callback}
