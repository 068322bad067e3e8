"""A solver service of our own as a cloud: what a site asks, said to its endpoint."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from simcampaign.errors import ConfigError, ConflictError, LocationError, NetworkError, SimcampaignError, SiteError
from simcampaign.jobs import Cause, JobState
from simcampaign.web.cloud import CloudTask, Simulation
from simcampaign.web.endpoint import Endpoint
from simcampaign.web.link import Source, digest
from simcampaign.web.loop import the_loop
from simcampaign.web.session import Session, Upload
from simcampaign.web.watching import Info

T = TypeVar("T")

PAGE = 1000
"""Tasks in one request."""

LONGEST_WAIT = 30.0
"""Seconds that the service holds a request at most."""

AT_ONCE = 16
"""Logs that are fetched at the same time."""

CLOSED = "0" * 64
"""Checksum of a simulation that nobody has: its task says that a folder is closed."""

_STATES = {
    "queued": JobState.QUEUED,
    "scheduled": JobState.QUEUED,
    "running": JobState.RUNNING,
    "saving": JobState.RUNNING,
    "completed": JobState.FINISHED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
    "lost": JobState.LOST,
}


class OwnCloud:
    """Talks to one service. May be used from several threads."""

    def __init__(self, find: Callable[[], Endpoint]) -> None:
        """Ask the endpoint that ``find`` returns; it is asked for when it is needed, and again if it went away."""
        self._find = find
        self._session: Session | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out connections, which are made again where they are needed."""
        return {"_find": self._find, "_session": None}

    def _ask(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        with _told_as_site():
            if self._session is None:
                self._session = the_loop().call(_open(self._find()))
            try:
                return the_loop().call(work(self._session))
            except NetworkError:
                self._session = None  # this machine's own solver may listen elsewhere now
                raise

    def about(self) -> str:
        """Return in words what answers, and as whom one asks."""
        about = self._ask(lambda session: session.about())
        return f"simcampaign {about['version']}, as {about['user']}, jobs at its site {about['site']}"

    def tasks(self, folder: str) -> Sequence[CloudTask]:
        """Return the tasks of a folder; none if it was closed."""
        return [_task(info) for info in self._ask(lambda session: _listed(session, folder)) if not _is_mark(info)]

    def upload(self, folder: str, simulations: Sequence[Simulation]) -> Sequence[CloudTask]:
        """Make tasks and have them quoted, in order."""
        return [_task(info) for info in self._ask(lambda session: _upload(session, folder, simulations))]

    def start(self, ids: Sequence[str]) -> None:
        """Start tasks, all or none."""
        self._ask(lambda session: session.start_all([(task_id, 1) for task_id in ids], None))

    def close(self, folder: str, key: str) -> bool:
        """Forget the tasks of a folder in which none was started, and take its first one no more."""
        return self._ask(lambda session: _close(session, folder, key))

    def look(self, tasks: Mapping[str, str]) -> tuple[Sequence[CloudTask], Sequence[str]]:
        """Return those that changed, and the ids that are not there: one request for a thousand."""
        infos, missing = self._ask(lambda session: _states(session, tasks))
        return [_task(info) for info in infos], missing

    def wait(self, tasks: Mapping[str, str], seconds: float) -> None:
        """Return when one of these tasks changed, or after a while; of more than a thousand the first are watched."""
        some = dict(list(tasks.items())[:PAGE])
        self._ask(lambda session: _wait(session, some, min(seconds, LONGEST_WAIT)))

    def download(self, files: Iterable[tuple[CloudTask, Path]]) -> int:
        """Fetch results; one that was cut goes on where it ended, and its checksum is looked at."""
        wanted = list(files)

        async def fetch(session: Session) -> None:
            paths = ((f"/tasks/{task.id}/result", target, task.sha256) for task, target in wanted)
            await asyncio.gather(*(session.link.download(*each) for each in paths))

        self._ask(fetch)
        return sum(task.result_bytes or 0 for task, _ in wanted)

    def logs(self, ids: Sequence[str]) -> Sequence[bytes]:
        """Return what tasks printed."""
        return self._ask(lambda session: _logs(session, ids))

    def abort(self, ids: Sequence[str]) -> None:
        """End tasks that wait or run."""
        self._ask(lambda session: _in_pages(session, "/abort", ids))

    def delete(self, ids: Sequence[str]) -> None:
        """Forget tasks with their files."""
        self._ask(lambda session: _in_pages(session, "/delete", ids))


@contextlib.contextmanager
def _told_as_site() -> Iterator[None]:
    """Turn what the service refuses into what sites raise."""
    try:
        yield
    except ConfigError as error:
        raise SiteError("; ".join(map(str, error.problems)), error.hint) from error
    except (ConflictError, LocationError) as error:
        raise SiteError(str(error.args[0]), error.hint) from error


async def _open(endpoint: Endpoint) -> Session:
    return Session(endpoint)


def _task(info: Info) -> CloudTask:
    result, state = info["result"], _STATES.get(info["status"])
    over = state is not None and not state.active
    return CloudTask(
        id=info["id"],
        key=info["key"],
        name=info["name"],
        state=state,
        seen=info["seen"],
        quoted=info["estimated"],
        cost=(info["real"] or 0.0) if over else None,
        fault=info["message"] if info["status"] == "invalid" else "",
        message=info["message"],
        cause=Cause(info["cause"]) if info["cause"] in set(Cause) else None,
        started=_seconds(info["started"]),
        ended=_seconds(info["ended"]),
        result_bytes=result["size"] if result else None,
        sha256=result["sha256"] if result else "",
    )


def _is_mark(info: Info) -> bool:
    return bool(info["sha256"] == CLOSED)


def _seconds(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()


async def _listed(session: Session, folder: str) -> list[Info]:
    found: list[Info] = []
    cursor: int | None = None
    while True:
        page = await session.get("/tasks", folder=folder, limit=PAGE, cursor=cursor)
        found += page["tasks"]
        cursor = page["next"]
        if cursor is None:
            return found[::-1]


async def _upload(session: Session, folder: str, simulations: Sequence[Simulation]) -> list[Info]:
    sources = [(each, await asyncio.to_thread(digest, each.path)) for each in simulations]
    uploads = [
        Upload(Source(each.path, each.path.stat().st_size), sha256, each.name, folder, each.key)
        for each, sha256 in sources
    ]
    if not uploads:
        return []
    # Where the folder was closed, the first key is taken: nothing more is sent then.
    first = await session.upload(uploads[0])
    rest = await asyncio.gather(*(session.upload(each) for each in uploads[1:]), return_exceptions=True)
    faults = [each for each in rest if isinstance(each, BaseException)]
    for fault in faults:
        if not isinstance(fault, SimcampaignError) or isinstance(fault, NetworkError):
            raise fault
    if faults:
        raise SiteError(f"{len(faults)} of {len(uploads)} simulations are refused, the first: {faults[0].args[0]}")
    return [first, *(each for each in rest if isinstance(each, dict))]


async def _close(session: Session, folder: str, key: str) -> bool:
    found = [info for info in await _listed(session, folder) if not _is_mark(info)]
    if any(info["status"] in _STATES for info in found):
        return False
    try:
        await _in_pages(session, "/delete", [info["id"] for info in found])
    except ConflictError:
        return False  # it was started in this instant
    mark = {"key": key, "name": "closed", "folder": folder, "sha256": CLOSED, "size": 1}
    with contextlib.suppress(ConflictError):  # it came back in this instant
        await session.post("/tasks", {"tasks": [mark]})
    return all(_is_mark(info) for info in await _listed(session, folder))


async def _states(session: Session, tasks: Mapping[str, str]) -> tuple[list[Info], list[str]]:
    infos: list[Info] = []
    missing: list[str] = []
    for some in _pages(list(tasks)):
        answer = await session.post("/status", {"tasks": {task_id: tasks[task_id] for task_id in some}})
        infos += answer["tasks"]
        missing += answer["missing"]
    return infos, missing


async def _wait(session: Session, tasks: Mapping[str, str], seconds: float) -> None:
    await session.link.ask("POST", "/status", json={"tasks": tasks, "wait": seconds}, patience=seconds)


async def _logs(session: Session, ids: Sequence[str]) -> list[bytes]:
    lanes = asyncio.Semaphore(AT_ONCE)

    async def one(task_id: str) -> bytes:
        parts: list[bytes] = []
        offset = 0
        async with lanes:
            while True:
                answer = await session.link.ask("GET", f"/tasks/{task_id}/log", params={"offset": offset})
                parts.append(answer.content)
                following = int(answer.headers["x-next-offset"])
                if not answer.content or following == offset:
                    return b"".join(parts)
                offset = following

    return list(await asyncio.gather(*(one(task_id) for task_id in ids)))


async def _in_pages(session: Session, path: str, ids: Sequence[str]) -> None:
    for some in _pages(ids):
        await session.post(path, {"tasks": list(some)})


def _pages(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(ids), PAGE):
        yield ids[first : first + PAGE]
