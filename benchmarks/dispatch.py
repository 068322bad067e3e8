"""Dispatch of jobs that do nothing: the local site against ``xargs`` and a bare ``posix_spawn`` loop.

    python -m benchmarks.dispatch [--jobs 2000] [--slots 2] [--rounds 5]

All three run the same program the same number of times, as many at once, in turns on the same host. The time of the
local site goes from ``submit`` to the report of the last job's end, so that it holds the start of the runner, and a log
file and two lines of journal per job. Goal: within 1 ms per job of the spawn loop.
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

from simcampaign.jobs import ArraySpec, JobSpec, JobState
from simcampaign.sites.local import LocalSite

GOAL_MS = 1.0


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


WAYS: dict[str, Callable[[str, int, int, Path], None]] = {
    "posix_spawn loop": spawn_loop,
    "xargs": xargs,
    "local site": local_site,
}


def measure(jobs: int, slots: int, rounds: int) -> dict[str, list[float]]:
    """Return seconds of wall time per way and round, the ways taking turns."""
    program = shutil.which("true")
    assert program is not None
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            with tempfile.TemporaryDirectory() as root:
                before = time.perf_counter()
                way(program, jobs, slots, Path(root))
                seconds[name].append(time.perf_counter() - before)
    return seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=2000, help="jobs per round")
    parser.add_argument("--slots", type=int, default=2, help="jobs at once")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; medians are shown")
    options = parser.parse_args(argv)
    seconds = measure(options.jobs, options.slots, options.rounds)
    milliseconds = {name: statistics.median(each) / options.jobs * 1000 for name, each in seconds.items()}
    floor = milliseconds["posix_spawn loop"]
    table = Table(title=f"{options.jobs} × true, {options.slots} at once, median of {options.rounds} rounds")
    for heading in ("", "ms per job", "× spawn loop", "ms above it"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, each in milliseconds.items():
        table.add_row(name, f"{each:.3f}", f"{each / floor:.2f}", f"{each - floor:+.3f}")
    console = Console()
    console.print(table)
    above = milliseconds["local site"] - floor
    console.print(f"Goal, within {GOAL_MS:g} ms of the spawn loop: {'met' if above <= GOAL_MS else 'missed'}")


if __name__ == "__main__":
    main()
