"""Dispatch of jobs that do nothing: the local site against other launchers and a bare ``posix_spawn`` loop.

    python -m benchmarks.dispatch [--jobs 2000] [--slots 2] [--rounds 5] [--no-peer]

All run the same program, as many at once, in turns on the same host. The time of the local site goes from ``submit`` to
the report of the last job's end, so that it holds the start of the runner, and a log file and two lines of journal per
job. That of HyperQueue, Parsl and submitit goes from the making of their executor to the end of the last job; what they
need for one job is so much that some are given fewer. Goal: within 1 ms per job of the spawn loop.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.peer import PeerUnavailable, environment
from simcampaign.jobs import ArraySpec, JobSpec, JobState
from simcampaign.sites.local import LocalSite

GOAL_MS = 1.0
FLOOR, OURS = "posix_spawn loop", "local site"


def spawn_loop(program: str, jobs: int, slots: int, _root: Path) -> None:
    """Keep ``slots`` processes alive with nothing but posix_spawn and wait: the floor."""
    environment = dict(os.environ)
    for started in range(jobs):
        if started >= slots:
            os.wait()
        os.posix_spawn(program, [program], environment)
    for _ in range(min(jobs, slots)):
        os.wait()


def xargs(program: str, jobs: int, slots: int, _root: Path) -> None:
    lines = "\n".join(map(str, range(jobs)))
    subprocess.run(["xargs", f"-P{slots}", "-n1", program], input=lines, text=True, check=True)


def local_site(program: str, jobs: int, slots: int, root: Path) -> None:
    site = LocalSite(root=root, slots=slots)
    specs = [JobSpec(index, f"bench_{index}", f"inputs/{index}.xml", "0") for index in range(jobs)]
    remote_id = site.submit(ArraySpec("bench", "bench", f"{root}/", f"{root}/outputs/", (program,), specs))
    cursor, ended = "", 0
    while ended < jobs:
        report = site.status({remote_id: cursor})[remote_id]
        assert all(change.state in {JobState.RUNNING, JobState.FINISHED} for change in report.changes)
        ended += sum(change.state is JobState.FINISHED for change in report.changes)
        cursor = report.cursor
        if ended < jobs:
            site.wait([remote_id], 1.0)
            time.sleep(0.02)  # as an engine does: one look for many jobs


def parallel(program: str, jobs: int, slots: int, _root: Path) -> None:
    if shutil.which("parallel") is None:
        raise PeerUnavailable("it is not installed (Debian: apt-get install parallel)")
    lines = "\n".join(map(str, range(jobs)))
    command = ["parallel", "--will-cite", f"-j{slots}", "-n1", program]
    subprocess.run(command, input=lines, text=True, check=True)


WAYS: dict[str, Callable[[str, int, int, Path], None]] = {
    FLOOR: spawn_loop,
    "xargs": xargs,
    OURS: local_site,
}

LAUNCHERS = {"HyperQueue": 2000, "Parsl": 2000, "submitit": 40}
"""The peers of ``launchers.py``, and the most jobs that each is given."""

PEERS = ("GNU parallel", *LAUNCHERS)


def measure_way(name: str, program: str, jobs: int, slots: int, root: Path) -> float:
    """Return milliseconds of wall time per job of one round. Raises ``PeerUnavailable``."""
    if name in LAUNCHERS:
        jobs = min(jobs, LAUNCHERS[name])
        words = [name, program, str(jobs), str(slots), str(root)]
        launch = [str(environment()), "-W", "ignore", str(Path(__file__).with_name("launchers.py")), *words]
        done = subprocess.run(launch, check=False, capture_output=True, text=True, cwd=root)
        if done.returncode:
            raise PeerUnavailable(done.stderr.strip().rpartition("\n")[2])
        return float(done.stdout.splitlines()[-1]) / jobs * 1000
    before = time.perf_counter()
    {**WAYS, "GNU parallel": parallel}[name](program, jobs, slots, root)
    return (time.perf_counter() - before) / jobs * 1000


def measure(jobs: int, slots: int, rounds: int, peers: bool) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Return milliseconds per job of each way and round, the ways taking turns, and why a peer has none."""
    program = shutil.which("true")
    assert program is not None
    taken: dict[str, list[float]] = {name: [] for name in (*WAYS, *(PEERS if peers else ()))}
    absent: dict[str, str] = {}
    for _ in range(rounds):
        for name, each in taken.items():
            if name in absent:
                continue
            with tempfile.TemporaryDirectory() as root:
                try:
                    each.append(measure_way(name, program, jobs, slots, Path(root)))
                except PeerUnavailable as error:
                    absent[name] = str(error)
    return {name: each for name, each in taken.items() if each}, absent


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=2000, help="jobs per round")
    parser.add_argument("--slots", type=int, default=2, help="jobs at once")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; medians are shown")
    parser.add_argument("--peer", action=argparse.BooleanOptionalAction, default=True, help="measure the peers, too")
    options = parser.parse_args(argv)
    taken, absent = measure(options.jobs, options.slots, options.rounds, options.peer)
    milliseconds = {name: statistics.median(each) for name, each in taken.items()}
    floor, ours = milliseconds[FLOOR], milliseconds[OURS]
    table = Table(title=f"{options.jobs} × true, {options.slots} at once, median of {options.rounds} rounds")
    for heading in ("", "jobs", "ms per job", "× spawn loop", "ms above it", "× local site"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, each in milliseconds.items():
        jobs = min(options.jobs, LAUNCHERS.get(name, options.jobs))
        figures = f"{each:.3f}", f"{each / floor:.2f}", f"{each - floor:+.3f}", f"{each / ours:.2f}"
        table.add_row(name, str(jobs), *figures)
    console = Console(width=100)
    console.print(table)
    for name, why in absent.items():
        console.print(f"{name} was not measured: {why}")
    above = ours - floor
    console.print(f"Goal, within {GOAL_MS:g} ms of the spawn loop: {'met' if above <= GOAL_MS else 'missed'}")


if __name__ == "__main__":
    main()
