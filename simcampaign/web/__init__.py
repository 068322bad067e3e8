"""The solver in the cloud, or on this machine: upload simulations, have them solved, get the data.

    from simcampaign import web
    data = web.run(simulation, "waveguide")

``SIMCAMPAIGN_SOLVER_URL`` says where the solver is; without it one is started on this machine. Everything here waits;
``web.aio`` has the same as coroutines.
"""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from simcampaign.web import aio
from simcampaign.web.aio import More, cache
from simcampaign.web.batch import Batch, Task
from simcampaign.web.courses import Terms
from simcampaign.web.loop import the_loop
from simcampaign.web.plan import Plan, Where
from simcampaign.web.refer import ref
from simcampaign.web.report import Report
from simcampaign.web.watching import Info, Told, tell, unheard

__all__ = [
    "Batch",
    "Task",
    "abort",
    "account",
    "aio",
    "cache",
    "delete",
    "download",
    "download_log",
    "estimate_cost",
    "get_info",
    "get_run_info",
    "get_tasks",
    "load",
    "monitor",
    "real_cost",
    "ref",
    "run",
    "run_async",
    "start",
    "test",
    "upload",
]


def _wait(work: Coroutine[Any, Any, Any]) -> Any:
    return the_loop().call(work)


def run(
    simulation: Any,
    task_name: str,
    path: Where | None = None,
    folder_name: str = "default",
    verbose: bool = True,
    budget: float | None = None,
    progress_callback: Told = unheard,
    **more: Unpack[More],
) -> Any:
    """Have simulations solved and return their data.

    Parameters
    ----------
    simulation
        A simulation, or a dict, list or tuple of simulations, nested at will: the data come in the same shape, each
        fetched as soon as it is there and read when it is touched. The same simulation at several places is solved
        once.
    task_name
        What its task is called; in a nested shape keys and indices are added.
    path
        File of the data, by default ``TASK_NAME.hdf5`` here; of a nested shape the folder of its files.
    budget
        Credits that all together may cost; with more nothing is started.
    progress_callback
        Is called with what ``get_info`` returns whenever a task has changed, from another thread.
    callback_url
        Where the service tells that a task is over; its owner decides which hosts that may be.
    batch_file
        The record that is written before anything is created, by default beside the data, and removed when all are
        there. If the program is killed, the same call goes on with the same tasks.

    Raises ``ConfigError`` for simulations that cannot be solved, ``ConflictError`` beyond the budget,
    ``SimulationError`` for what was not solved, ``NetworkError`` if the solver cannot be reached.
    """
    with Report(verbose) as report:
        told = _both(report.told, progress_callback)
        return _wait(aio.run(simulation, task_name, path, folder_name, budget, told, **more))


def run_async(
    simulation: Any,
    task_name: str = "batch",
    path: Where | None = None,
    folder_name: str = "default",
    verbose: bool = False,
    budget: float | None = None,
    progress_callback: Told = unheard,
    **more: Unpack[More],
) -> Batch:
    """Have simulations solved while the program goes on: returns a ``Batch`` of futures at once.

    The parameters are those of ``run``. The record, ``TASK_NAME.batch`` beside the data, stays.
    """
    plan = Plan(simulation, task_name, path, folder_name, more.get("callback_url") or "", more.get("batch_file"))
    return Batch.begin(plan, Terms(budget=budget, priority=more.get("priority", 0)), verbose, progress_callback)


def _both(first: Told, second: Told) -> Told:
    def told(info: Info) -> None:
        tell(first, info)
        tell(second, info)

    return told


def upload(simulation: Any, task_name: str, folder_name: str = "default", callback_url: str | None = None) -> str:
    """Upload a simulation, have it quoted, and return the id of its task; nothing is started."""
    return str(_wait(aio.upload(simulation, task_name, folder_name, callback_url)))


def start(task_id: str, budget: float | None = None, priority: int = 0) -> None:
    """Start a task and return at once. Raises ``ConflictError`` if it may cost more than ``budget``."""
    _wait(aio.start(task_id, budget, priority))


def monitor(task_id: str, verbose: bool = True, progress_callback: Told = unheard) -> None:
    """Wait until a task is over. Raises ``SimulationError`` if it did not end well."""
    with Report(verbose) as report:
        _wait(aio.monitor(task_id, _both(report.told, progress_callback)))


def download(task_id: str, path: Where) -> Path:
    """Fetch the result of a task into a file, once it is completed."""
    return Path(_wait(aio.download(task_id, path)))


def load(task_id: str, path: Where | None = None) -> Any:
    """Wait for a task, fetch its result and return it; ``path`` is by default ``TASK_ID.hdf5``."""
    return _wait(aio.load(task_id, path))


def download_log(task_id: str, path: Where) -> Path:
    """Fetch what the solver printed."""
    return Path(_wait(aio.download_log(task_id, path)))


def get_info(task_id: str) -> dict[str, Any]:
    """Return what there is to know of a task."""
    return dict(_wait(aio.get_info(task_id)))


def get_run_info(task_id: str) -> tuple[float, float | None]:
    """Return percent done, and which part of the largest field energy is left (None where no field decays)."""
    percent, decay = _wait(aio.get_run_info(task_id))
    return percent, decay


def get_tasks(num_tasks: int = 100, folder: str | None = None) -> list[dict[str, Any]]:
    """Return tasks, newest first; of one folder or of all."""
    return list(_wait(aio.get_tasks(num_tasks, folder)))


def abort(*task_ids: str) -> None:
    """End tasks that run or wait."""
    _wait(aio.abort(*task_ids))


def delete(*task_ids: str) -> None:
    """Forget tasks with their files."""
    _wait(aio.delete(*task_ids))


def estimate_cost(task_id: str) -> float:
    """Return what a task costs at most, in credits."""
    return float(_wait(aio.estimate_cost(task_id)))


def real_cost(task_id: str) -> float | None:
    """Return what a task cost, in credits; None while it is not completed."""
    cost: float | None = _wait(aio.real_cost(task_id))
    return cost


def account() -> dict[str, Any]:
    """Return who asks, and the credits spent."""
    return dict(_wait(aio.account()))


def test() -> dict[str, Any]:
    """Return what the solver says of itself. Raises ``NetworkError`` if it does not answer."""
    return dict(_wait(aio.test()))
