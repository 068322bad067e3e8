"""The solver in the cloud, or on this machine: upload simulations, have them solved, get the data.

    from simcampaign import web
    data = web.run(simulation, "waveguide")

``SIMCAMPAIGN_SOLVER_URL`` says where the solver is; without it one is started on this machine. Everything here waits;
``web.aio`` has the same as coroutines.
"""

from __future__ import annotations

import functools
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from simcampaign.sites.hosts.loop import LoopThread
from simcampaign.web import aio
from simcampaign.web.aio import Where
from simcampaign.web.report import Report

__all__ = [
    "abort",
    "account",
    "aio",
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
    "run",
    "start",
    "test",
    "upload",
]


@functools.cache
def _loop() -> LoopThread:
    return LoopThread("simcampaign web")


def _wait(work: Coroutine[Any, Any, Any]) -> Any:
    return _loop().call(work)


def run(
    simulation: Any,
    task_name: str,
    path: Where | None = None,
    folder_name: str = "default",
    verbose: bool = True,
    budget: float | None = None,
) -> Any:
    """Have a simulation solved and return its data.

    Parameters
    ----------
    simulation
        A simulation, or a dict, list or tuple of simulations, nested at will: the data come in the same shape. The same
        simulation at several places is solved once.
    task_name
        What its task is called; in a nested shape keys and indices are added.
    path
        File of the data, by default ``TASK_NAME.hdf5`` here; of a nested shape the folder of its files.
    budget
        Credits that all together may cost; with more nothing is started.

    Raises ``ConfigError`` for simulations that cannot be solved, ``ConflictError`` beyond the budget,
    ``SimulationError`` for what was not solved, ``NetworkError`` if the solver cannot be reached.
    """
    with Report(verbose) as report:
        return _wait(aio.run(simulation, task_name, path, folder_name, budget, report.told))


def upload(simulation: Any, task_name: str, folder_name: str = "default") -> str:
    """Upload a simulation, have it quoted, and return the id of its task; nothing is started."""
    return str(_wait(aio.upload(simulation, task_name, folder_name)))


def start(task_id: str, budget: float | None = None, priority: int = 0) -> None:
    """Start a task and return at once. Raises ``ConflictError`` if it may cost more than ``budget``."""
    _wait(aio.start(task_id, budget, priority))


def monitor(task_id: str, verbose: bool = True) -> None:
    """Wait until a task is over. Raises ``SimulationError`` if it did not end well."""
    with Report(verbose) as report:
        _wait(aio.monitor(task_id, report.told))


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
