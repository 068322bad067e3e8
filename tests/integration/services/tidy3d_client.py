"""An official client in its own environment: does what it is told, a line of JSON each, and answers with one.

    python tidy3d_client.py [flex_rf]

It is a program of tidy3d's environment; nothing of simcampaign is there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import tidy3d as td
from tidy3d.components.base import Tidy3dBaseModel
from tidy3d.plugins.mode import ModeSolver
from tidy3d.plugins.smatrix import LumpedPort, TerminalComponentModeler
from tidy3d.web.core.task_core import WebTask

if sys.argv[1:] == ["flex_rf"]:
    from flex_rf import web
else:
    from tidy3d import web

LIGHT = td.C_0 / 1.55


def waveguide(width: float, cell: float = 0.1) -> td.Simulation:
    silicon = td.Medium(permittivity=12)
    return td.Simulation(
        size=(4, 3, 0.5),
        grid_spec=td.GridSpec.uniform(cell),
        structures=[td.Structure(geometry=td.Box(size=(width, 0.22, td.inf)), medium=silicon)],
        run_time=1e-12,
    )


def modes(width: float, cell: float = 0.1, number: int = 1) -> ModeSolver:
    plane = td.Box(size=(3, 2.4, 0))
    spec = td.ModeSpec(num_modes=number)
    return ModeSolver(simulation=waveguide(width, cell), plane=plane, mode_spec=spec, freqs=[LIGHT])


def fields() -> td.Simulation:
    """Return what takes their FDTD."""
    pulse = td.GaussianPulse(freq0=LIGHT, fwidth=LIGHT / 10)
    return waveguide(0.5).updated_copy(sources=[td.PointDipole(source_time=pulse, polarization="Ex")])


def long() -> ModeSolver:
    """Return what takes minutes."""
    return modes(0.5, 0.006, 40)


def index(data: Any) -> float:
    modes_of = getattr(data, "modes", data)
    return float(modes_of.n_eff.values[0, 0])


def local(width: float) -> float:
    return index(modes(width).solve())


def run(width: float, path: str, **options: Any) -> dict[str, Any]:
    data = web.run(modes(width), path=path, **options)
    return {"type": type(data).__name__, "index": index(data)}


def run_simulation(path: str) -> dict[str, Any]:
    solver = modes(0.5)
    simulation = td.ModeSimulation.from_mode_solver(solver)
    data = web.run(simulation, task_name="simulation", path=path, verbose=False)
    return {"type": type(data).__name__, "index": index(data)}


def nested(path: str, folder: str) -> Any:
    data = web.run({"a": [modes(0.4)], "b": (modes(0.6),)}, path=path, folder_name=folder, verbose=False)
    return {"a": [index(each) for each in data["a"]], "b": [index(each) for each in data["b"]]}


def upload(width: float, **options: Any) -> str:
    return str(web.upload(modes(width), verbose=False, **options))


def start_long() -> str:
    task_id = web.upload(long(), task_name="long", verbose=False)
    web.start(task_id)
    return str(task_id)


def start(task_id: str) -> None:
    web.start(task_id)


def status(task_id: str) -> str:
    return str(web.get_info(task_id).status)


def monitor(task_id: str) -> None:
    web.monitor(task_id, verbose=False)


def load(task_id: str, path: str) -> float:
    return index(web.load(task_id, path=path, verbose=False))


def load_simulation(task_id: str, path: str) -> str:
    return type(web.load_simulation(task_id, path=path, verbose=False)).__name__


def log(task_id: str, path: str) -> str:
    web.download_log(task_id, path=path, verbose=False)
    return Path(path).read_text()


def costs(task_id: str) -> tuple[float, float | None]:
    return web.estimate_cost(task_id, verbose=False), web.real_cost(task_id, verbose=False)


def abort(task_id: str) -> None:
    web.abort(task_id)


def delete(task_id: str) -> None:
    web.delete(task_id)


def delete_old(days: int, folder: str) -> int:
    return int(web.delete_old(days, folder_name=folder))


def tasks(folder: str) -> list[str]:
    return [each["task_id"] for each in web.get_tasks(folder=folder)]


def account() -> Any:
    return web.account(verbose=False).credit


def save_job(width: float, path: str) -> str:
    job = web.Job(simulation=modes(width), task_name="job", verbose=False)
    job.start()
    job.to_file(path)
    return str(job.task_id)


def resume_job(path: str, data: str) -> tuple[str, float]:
    job = web.Job.from_file(path)
    return str(job.task_id), index(job.run(path=data))


def start_batch(path: str, widths: list[float]) -> None:
    batch = web.Batch(simulations={str(each): modes(each) for each in widths}, folder_name="batch", verbose=False)
    batch.upload()
    batch.to_file(path)
    batch.start()


def resume_batch(path: str, folder: str) -> dict[str, float]:
    batch = web.Batch.from_file(path)
    return {name: index(data) for name, data in batch.run(path_dir=folder).items()}


def refuse(kind: str) -> None:
    """Upload what nothing solves here."""
    if kind == "Simulation":
        web.upload(fields(), task_name="fdtd", verbose=False)
        return
    mm = 1000
    port = LumpedPort(name="in", center=(0, 0, mm / 2), size=(0, mm, mm), voltage_axis=2, impedance=50)
    space = td.Simulation(size=(9 * mm,) * 3, grid_spec=td.GridSpec.uniform(mm / 2), run_time=1e-9)
    modeler = TerminalComponentModeler(simulation=space, ports=[port], freqs=[5e9])
    web.upload(modeler, task_name="modeler", verbose=False)


def write(width: float, path: str) -> None:
    modes(width).to_file(path)


def write_long(path: str) -> None:
    long().to_file(path)


def write_plain(path: str) -> None:
    fields().to_file(path)


def read(path: str) -> float:
    return index(Tidy3dBaseModel.from_file(path))


def orphan(named: str, folder: str) -> str:
    """Make a task whose simulation never comes, as a client does whose next call was cut off."""
    return str(WebTask.create("MODE_SOLVER", named, folder).task_id)


def eme() -> str:
    """Upload what a solver of another package is there for."""
    grid = td.EMEUniformGrid(num_cells=2, mode_spec=td.EMEModeSpec(num_modes=1))
    space = td.GridSpec.uniform(0.2)
    simulation = td.EMESimulation(size=(4, 3, 4), axis=2, grid_spec=space, eme_grid_spec=grid, freqs=[LIGHT])
    return str(web.upload(simulation, task_name="eme", verbose=False))


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        begun = time.monotonic()
        try:
            answer: dict[str, Any] = {"answer": globals()[name](**arguments)}
        except Exception as error:  # noqa: BLE001 - told to the test
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({**answer, "seconds": time.monotonic() - begun}), file=answers, flush=True)


if __name__ == "__main__":
    main()
