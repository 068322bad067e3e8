"""Other launchers of many small jobs, each as its own guide uses it on one machine; run by the Python of the peers.

    python launchers.py NAME PROGRAM JOBS SLOTS FOLDER

Prints the seconds from the making of its executor to the end of the last job as JSON. Imports are not counted.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def hyperqueue(program: str, jobs: int, slots: int, folder: Path) -> Callable[[], None]:
    """A server and a worker of its own; one job with a task for each."""
    library, worker = import_module("hyperqueue"), import_module("hyperqueue.cluster").WorkerConfig(cores=slots)

    def run() -> None:
        with library.LocalCluster(str(folder), worker) as cluster:
            client, job = cluster.client(), library.Job()
            for _ in range(jobs):
                job.program([program])
            client.wait_for_jobs([client.submit(job)])

    return run


def parsl(program: str, jobs: int, slots: int, folder: Path) -> Callable[[], None]:
    """Its lightest executor, threads, with an app that runs a command; nothing is written down but its own log."""
    library = import_module("parsl")
    threads = import_module("parsl.executors").ThreadPoolExecutor

    def run() -> None:
        config = library.Config([threads(max_threads=slots)], run_dir=str(folder), usage_tracking=0)
        with library.load(config):
            app = library.bash_app(lambda: program)
            for each in [app() for _ in range(jobs)]:
                each.result()

    return run


def submitit(program: str, jobs: int, slots: int, folder: Path) -> Callable[[], None]:
    """Its local executor. It starts at once what it is given, so that it is given the next job when one has ended."""
    library = import_module("submitit")
    command = import_module("submitit.helpers").CommandFunction([program], verbose=False)

    def run() -> None:
        executor, left = library.AutoExecutor(folder, cluster="local"), jobs
        active: list[Any] = []
        while active or left:
            active = [each for each in active if not each.done()]
            while left and len(active) < slots:
                active.append(executor.submit(command))
                left -= 1
            time.sleep(0.005)

    return run


LAUNCHERS = {"HyperQueue": hyperqueue, "Parsl": parsl, "submitit": submitit}

if __name__ == "__main__":
    name, program, jobs, slots, folder = sys.argv[1:]
    launch = LAUNCHERS[name](program, int(jobs), int(slots), Path(folder))
    before = time.perf_counter()
    launch()
    print(json.dumps(time.perf_counter() - before))
