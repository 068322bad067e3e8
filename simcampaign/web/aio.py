"""The steps for programs that use asyncio: the same calls as in ``web``, to be awaited."""

from __future__ import annotations

import asyncio
import os
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from simcampaign.errors import ConfigError, Problem, SimcampaignError, SimulationError
from simcampaign.web import endpoint
from simcampaign.web.link import digest
from simcampaign.web.session import Session, Upload
from simcampaign.web.shapes import file_name, leaves, replaced
from simcampaign.web.watching import Info

Where = str | os.PathLike[str]

_sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[endpoint.Endpoint, Session]] = (
    weakref.WeakKeyDictionary()
)


async def session() -> Session:
    """Return this event loop's session with the solver that is configured now."""
    found = await asyncio.to_thread(endpoint.find)
    sessions = _sessions.setdefault(asyncio.get_running_loop(), {})
    if found not in sessions:
        sessions[found] = Session(found)
    return sessions[found]


async def run(
    simulation: Any,
    task_name: str,
    path: Where | None = None,
    folder_name: str = "default",
    budget: float | None = None,
    told: Callable[[Info], None] = lambda _info: None,
) -> Any:
    """Have simulations solved and return their results, in the same shape; see ``web.run``."""
    now = await session()
    base = Path.cwd() if path is None else Path(path)
    items = list(leaves(simulation))
    single = len(items) == 1 and not items[0][0]
    targets = [
        base / f"{file_name(task_name, place)}.hdf5" if path is None or not single else base for place, _ in items
    ]
    with tempfile.TemporaryDirectory(prefix="simcampaign-") as folder:
        uploads = await asyncio.to_thread(_write, items, task_name, folder_name, Path(folder))
        first: dict[str, int] = {}
        for number, each in enumerate(uploads):
            first.setdefault(each.sha256, number)
        infos: dict[str, Info] = {}
        if budget is not None:
            made = await asyncio.gather(*(now.upload(uploads[number]) for number in first.values()))
            infos = {info["sha256"]: info for info in made}
            await now.start_all([info["id"] for info in made], budget)

        async def solve(upload: Upload) -> Info:
            info = infos.get(upload.sha256) or await now.upload(upload)
            told(info)
            if budget is None:
                told(await now.start(info["id"]))
            return await now.monitor(info["id"], told)

        async def one(number: int) -> Info:
            info = await solve(uploads[number])
            same = [target for target, each in zip(targets, uploads, strict=True) if each.sha256 == info["sha256"]]
            for target in same:
                await now.download(info, target)
            return info

        done = await asyncio.gather(*(one(number) for number in first.values()), return_exceptions=True)
    _raise_first(done)
    results = iter([await asyncio.to_thread(_read, target) for target in targets])
    return replaced(simulation, lambda: next(results))


def _write(items: list[tuple[tuple[str, ...], Any]], task_name: str, folder_name: str, folder: Path) -> list[Upload]:
    uploads = []
    for number, (place, simulation) in enumerate(items):
        name = "/".join((task_name, *place))
        path = folder / f"{number}.hdf5"
        upload = write(simulation, name, folder_name, path)
        uploads.append(replace(upload, name=name))
    return uploads


def write(simulation: Any, task_name: str, folder_name: str, path: Path) -> Upload:
    """Write the file of a simulation. Raises ``ConfigError`` for what is none."""
    if not hasattr(simulation, "to_file"):
        reason = "is no simulation, and no dict, list or tuple of simulations"
        raise ConfigError([Problem(task_name, type(simulation).__name__, reason)], "see docs/web.md")
    simulation.to_file(path)
    return Upload(path, digest(path), path.stat().st_size, task_name, folder_name)


def _raise_first(done: list[Any]) -> None:
    errors = [each for each in done if isinstance(each, BaseException)]
    if not errors:
        return
    if len(errors) == 1 or not all(isinstance(each, SimcampaignError) for each in errors):
        raise errors[0]
    lines = [f"{len(errors)} of {len(done)} simulations were not solved:", *(f"  {each.args[0]}" for each in errors)]
    raise SimulationError("\n".join(lines), "the others are on the disk")


def _read(path: Path) -> Any:
    from simcampaign import solver  # noqa: PLC0415 - heavy

    return solver.read_result(path)


async def upload(simulation: Any, task_name: str, folder_name: str = "default") -> str:
    """Upload a simulation, have it quoted, and return the id of its task; nothing is started."""
    now = await session()
    with tempfile.TemporaryDirectory(prefix="simcampaign-") as folder:
        wanted = await asyncio.to_thread(write, simulation, task_name, folder_name, Path(folder) / "simulation.hdf5")
        return str((await now.upload(wanted))["id"])


async def start(task_id: str, budget: float | None = None, priority: int = 0) -> None:
    """Start a task and return at once. Raises ``ConflictError`` if it may cost more than ``budget``."""
    await (await session()).start_all([task_id], budget, priority)


async def monitor(task_id: str, told: Callable[[Info], None] = lambda _info: None) -> Info:
    """Wait until a task is over. Raises ``SimulationError`` if it did not end well."""
    return await (await session()).monitor(task_id, told)


async def download(task_id: str, path: Where) -> Path:
    """Fetch the result of a task into a file. Raises ``SimulationError`` if there is none."""
    now = await session()
    return await now.download(await now.monitor(task_id), Path(path))


async def load(task_id: str, path: Where | None = None) -> Any:
    """Wait for a task, fetch its result and return it; ``path`` is by default ``TASK_ID.hdf5``."""
    target = await download(task_id, Path(f"{task_id}.hdf5") if path is None else path)
    return await asyncio.to_thread(_read, target)


async def download_log(task_id: str, path: Where) -> Path:
    """Fetch what the solver printed."""
    answer = await (await session()).link.ask("GET", f"/tasks/{task_id}/log")
    target = Path(path)
    await asyncio.to_thread(target.write_text, answer.text, encoding="utf-8")
    return target


async def get_info(task_id: str) -> Info:
    """Return what there is to know of a task."""
    return await (await session()).get(f"/tasks/{task_id}")


async def get_run_info(task_id: str) -> tuple[float, float | None]:
    """Return percent done, and which part of the largest field energy is left (None where no field decays)."""
    info = await (await session()).get(f"/tasks/{task_id}/run")
    return float(info["percent"]), info["field_decay"]


async def get_tasks(num_tasks: int = 100, folder: str | None = None) -> list[Info]:
    """Return tasks, newest first; of one folder or of all."""
    return list((await (await session()).get("/tasks", limit=num_tasks, folder=folder))["tasks"])


async def abort(*task_ids: str) -> None:
    """End tasks that run or wait."""
    await (await session()).post("/abort", {"tasks": list(task_ids)})


async def delete(*task_ids: str) -> None:
    """Forget tasks with their files."""
    await (await session()).post("/delete", {"tasks": list(task_ids)})


async def estimate_cost(task_id: str) -> float:
    """Return what a task costs at most, in credits."""
    return float((await get_info(task_id))["estimated"])


async def real_cost(task_id: str) -> float | None:
    """Return what a task cost, in credits; None while it is not completed."""
    cost = (await get_info(task_id))["real"]
    return None if cost is None else float(cost)


async def account() -> Info:
    """Return who asks, and the credits spent."""
    return await (await session()).get("/account")


async def test() -> Info:
    """Return what the solver says of itself. Raises ``NetworkError`` if it does not answer."""
    return await (await session()).about()
