"""The steps for programs that use asyncio: the same calls as in ``web``, to be awaited."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from typing_extensions import Unpack

from simcampaign.errors import SimcampaignError, SimulationError
from simcampaign.web import endpoint
from simcampaign.web.cache import Cache
from simcampaign.web.courses import Courses, Terms
from simcampaign.web.lazy import stand_in
from simcampaign.web.link import Source, digest
from simcampaign.web.plan import Plan, Where, check
from simcampaign.web.session import Session, Upload
from simcampaign.web.shapes import replaced
from simcampaign.web.watching import Info, Told, tell, unheard

cache = Cache()
"""The results that are kept on this machine."""


class More(TypedDict, total=False):
    """What else may be said of simulations that are to be solved."""

    priority: int
    """Higher ones are solved first."""

    callback_url: str | None
    """Where the service tells, by a POST with JSON, that a task is over; its owner says which hosts that may be."""

    batch_file: Where | None
    """The record from which another program goes on; by default beside the results, and removed when all are there."""


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
    told: Told = unheard,
    **more: Unpack[More],
) -> Any:
    """Have simulations solved and return their results, in the same shape; see ``web.run``."""
    plan = Plan(simulation, task_name, path, folder_name, more.get("callback_url") or "", more.get("batch_file"))
    now = await session()
    record = await asyncio.to_thread(plan.write, now.endpoint.name)
    terms = Terms(budget=budget, priority=more.get("priority", 0))
    ends = _Ends(told)
    await Courses(now, record, terms, cache).run(range(len(record.entries)), ends, again=True)
    if error := first_of(list(ends.errors.values()), len(record.entries)):
        raise error
    if more.get("batch_file") is None:
        plan.file.unlink(missing_ok=True)
    paths = [Path(each.path) for each in record.places]
    if plan.single:
        return await asyncio.to_thread(_read, paths[0])
    results = iter([await asyncio.to_thread(lazily, each) for each in paths])
    return replaced(simulation, lambda: next(results))


class _Ends:
    """Hears of simulations, and keeps why some were not solved."""

    def __init__(self, told: Told) -> None:
        self.errors: dict[int, Exception] = {}
        self._told = told

    def heard(self, _number: int, info: Info) -> None:
        tell(self._told, info)

    def over(self, number: int, end: Info | Exception) -> None:
        if isinstance(end, Exception):
            self.errors[number] = end


def first_of(errors: Sequence[Exception], count: int) -> Exception | None:
    """Return the error of the only one of ``count`` simulations that was not solved, or one that tells of them all."""
    if not errors:
        return None
    if len({id(each) for each in errors}) == 1 or not all(isinstance(each, SimcampaignError) for each in errors):
        return errors[0]
    lines = [f"{len(errors)} of {count} simulations were not solved:", *(f"  {each.args[0]}" for each in errors[:20])]
    if len(errors) > 20:
        lines.append(f"  … and {len(errors) - 20} more")
    return SimulationError("\n".join(lines), "the others are on the disk")


def lazily(path: Path) -> Any:
    """Return what stands for the result in a file until it is touched."""
    from simcampaign import solver  # noqa: PLC0415 - heavy

    return stand_in(solver.result_class(path), path, _read)


def _read(path: Path) -> Any:
    from simcampaign import solver  # noqa: PLC0415 - heavy

    return solver.read_result(path)


async def upload(simulation: Any, task_name: str, folder_name: str = "default", callback_url: str | None = None) -> str:
    """Upload a simulation, have it quoted, and return the id of its task; nothing is started."""
    check(simulation, task_name)
    now = await session()
    with tempfile.TemporaryDirectory(prefix="simcampaign-") as folder:
        path = Path(folder) / "simulation.hdf5"
        await asyncio.to_thread(simulation.to_file, path)
        source = Source(path, path.stat().st_size)
        about = {"folder": folder_name, "key": uuid.uuid4().hex, "callback": callback_url or ""}
        wanted = Upload(source, await asyncio.to_thread(digest, path), task_name, **about)
        return str((await now.upload(wanted))["id"])


async def start(task_id: str, budget: float | None = None, priority: int = 0) -> None:
    """Start a task and return at once. Raises ``ConflictError`` if it may cost more than ``budget``."""
    await (await session()).start_all([(task_id, 1)], budget, priority)


async def monitor(task_id: str, told: Told = unheard) -> Info:
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
