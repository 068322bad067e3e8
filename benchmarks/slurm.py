"""An array on Slurm: the site against ``sbatch --array`` and ``squeue`` by hand, on a cluster of virtual nodes here.

    python -m benchmarks.slurm [--jobs 1000] [--nodes 4] [--cpus 8] [--rounds 3]

Both run the program ``true`` as often, in turns. By hand: a script that does nothing else, its output thrown away, and
``squeue`` each second until the array is gone from the queue. The site: from ``submit`` to the report of the last job's
end, with a start marker, a log and an exit code for each job. Goals: 1.10 × the wall time, and no more than six of the
scheduler's commands a minute while the site waits.
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
from simcampaign.sites.cluster import SlurmSite
from simcampaign.sites.cluster.slurm import SlurmOptions
from simcampaign.sites.hosts import Done, ThisHost
from tests.integration.services.slurm import NoSlurm, slurm_cluster

GOAL = 1.10
COMMANDS_A_MINUTE = 6.0
_SCHEDULERS = ("squeue", "sacct", "sinfo", "scontrol", "sbatch", "scancel")


class CountingHost(ThisHost):
    """This host, with a count of the commands that it ran for the scheduler."""

    def __init__(self) -> None:
        self.commands = 0

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 60.0) -> Done:
        self.commands += any(word in _SCHEDULERS for word in command)
        return super().run(command, stdin=stdin, timeout_seconds=timeout_seconds)


def by_hand(jobs: int, folder: Path) -> tuple[float, int]:
    """Return seconds of wall time, and commands while waiting."""
    script = folder / "true.sh"
    script.write_text(f"#!/bin/sh\n{shutil.which('true')}\n")
    began = time.perf_counter()
    array = f"--array=0-{jobs - 1}"
    submit = ["sbatch", "--parsable", "--output=/dev/null", array, str(script)]
    number = subprocess.run(submit, check=True, capture_output=True, text=True).stdout.strip()
    commands = 0
    while subprocess.run(["squeue", "-h", "-j", number], check=True, capture_output=True).stdout.strip():
        commands += 1
        time.sleep(1)
    return time.perf_counter() - began, commands


def by_site(jobs: int, folder: Path) -> tuple[float, int]:
    """Return seconds of wall time, and commands of the scheduler while waiting."""
    host = CountingHost()
    site = SlurmSite("bench", SlurmOptions(scratch=str(folder / "scratch")), host)
    name = f"bench{time.time_ns()}"
    specs = [JobSpec(index, f"{name}_{index}", f"inputs/{index}.xml", "0") for index in range(jobs)]
    began = time.perf_counter()
    remote_id = site.submit(ArraySpec(name, name, f"{folder}/", f"{folder}/outputs/", ("true",), specs))
    host.commands = 0
    cursor, ended = "", 0
    while ended < jobs:
        report = site.status({remote_id: cursor})[remote_id]
        assert all(change.state in {JobState.RUNNING, JobState.FINISHED} for change in report.changes)
        ended += sum(change.state is JobState.FINISHED for change in report.changes)
        cursor = report.cursor
        if ended < jobs:
            site.wait([remote_id], 1.0)
            time.sleep(0.1)  # as an engine does: one look for many jobs
    return time.perf_counter() - began, host.commands


WAYS: dict[str, Callable[[int, Path], tuple[float, int]]] = {"sbatch and squeue": by_hand, "the site": by_site}


def measure(jobs: int, rounds: int) -> dict[str, list[tuple[float, int]]]:
    """Return wall seconds and commands per way and round, the ways taking turns; one small round first warms up."""
    measured: dict[str, list[tuple[float, int]]] = {name: [] for name in WAYS}
    for number in range(rounds + 1):
        for name, way in WAYS.items():
            with tempfile.TemporaryDirectory() as folder:
                found = way(jobs if number else 20, Path(folder))
            if number:
                measured[name].append(found)
    return measured


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1000, help="jobs of the array")
    parser.add_argument("--nodes", type=int, default=4, help="virtual nodes")
    parser.add_argument("--cpus", type=int, default=8, help="cores that each node says it has")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are shown")
    options = parser.parse_args(argv)
    console = Console()
    try:
        with slurm_cluster(nodes=options.nodes, cpus=options.cpus) as cluster:
            os.environ.update(cluster.environment)
            measured = measure(options.jobs, options.rounds)
    except NoSlurm as error:
        console.print(f"Slurm cannot be run here: {error}")
        return
    walls = {name: statistics.median(wall for wall, _ in each) for name, each in measured.items()}
    rates = {name: max(60 * count / wall for wall, count in each) for name, each in measured.items()}
    floor = walls["sbatch and squeue"]
    table = Table(title=f"array of {options.jobs} × true, median of {options.rounds} rounds")
    for heading in ("", "s", "× by hand", "commands a minute, at most"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, wall in walls.items():
        table.add_row(name, f"{wall:.1f}", f"{wall / floor:.2f}", f"{rates[name]:.1f}")
    console.print(table)
    within = walls["the site"] / floor <= GOAL
    console.print(f"Goal, {GOAL:.2f} × the wall time by hand: {'met' if within else 'missed'}")
    seldom = rates["the site"] <= COMMANDS_A_MINUTE
    console.print(f"Goal, {COMMANDS_A_MINUTE:g} commands a minute: {'met' if seldom else 'missed'}")


if __name__ == "__main__":
    main()
