"""Plan: manifest in memory to jobs, and the same question asked of container-collection.

    python -m benchmarks.plan [--sizes 100000 1000000] [--rounds 3] [--no-peer]

Half of the files are there. Each measurement is the first call in a fresh process that has read the manifest, so that
neither making the test data nor an earlier call counts; CPU time is that of all threads. Goals: 10^5 runs in 0.3 s of
CPU, 10^6 in 3 s and 1 GiB.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks.peer import PEER, PeerUnavailable, ask_peer
from simcampaign.manifest import build
from simcampaign.plan import find_missing_conditions, make_plan
from simcampaign.series import Series, run_stem

GOALS = {100_000: (0.3, 1024.0), 1_000_000: (3.0, 1024.0)}
"""Runs → most seconds of CPU time and most MiB at the peak."""

PEER_RUNS = 100_000
"""The peer is asked up to this size: its time grows with runs × conditions."""


@dataclass(frozen=True)
class Shape:
    """Conditions × seeds."""

    conditions: int
    seeds: int

    def __str__(self) -> str:
        return f"{self.conditions:,} × {self.seeds:,}"

    @property
    def runs(self) -> int:
        return self.conditions * self.seeds

    def series(self) -> Series:
        conditions = [
            {"key": f"T{index:06d}_drug", "temperature": 20 + index * 1e-4, "drug": "none", "dose": 0.5}
            for index in range(self.conditions)
        ]
        return Series("sweep", conditions, range(self.seeds), ("csv", "h5"))

    def manifest(self) -> pl.DataFrame:
        """Return a manifest with half of the files: 45 % of the runs have both, 10 % one, 45 % none."""
        series = self.series()
        order = np.random.default_rng(0).permutation(self.runs)
        complete, some = order[: self.runs * 45 // 100], order[: self.runs * 55 // 100]
        return build([("/campaigns", list(self._files(series, chosen))) for chosen in (complete, some)], series)

    def _files(self, series: Series, chosen: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[str]:
        extension = "h5" if len(chosen) == self.runs * 45 // 100 else "csv"
        stems = [run_stem(series.name, str(condition["key"])) for condition in series.conditions]
        for run in chosen.tolist():
            condition, seed = divmod(run, self.seeds)
            yield f"sweep/2026-01-31/outputs/{stems[condition]}{seed:04d}.{extension}"


@dataclass(frozen=True)
class Measured:
    """What one call took."""

    cpu: float
    wall: float
    peak: float
    """MiB of memory that the process held at most."""

    growth: float
    """MiB of these that it did not hold before the call."""

    found: int
    """Runs that are not done."""


def plan_jobs(series: Series, manifest: pl.DataFrame) -> int:
    return make_plan(series, manifest).runs_to_do


def list_missing(series: Series, manifest: pl.DataFrame) -> int:
    return len(find_missing_conditions(manifest, series.name, series.conditions, series.seeds, series.extensions))


CALLS: dict[str, Callable[[Series, pl.DataFrame], int]] = {
    "make_plan": plan_jobs,
    "find_missing_conditions": list_missing,
}


def memory(field: str) -> float:
    """Return a field of this process's memory in MiB: VmRSS, what it holds, or VmHWM, the most that it ever held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def measure(call: str, shape: Shape, path: Path) -> Measured:
    """Make one call in this process."""
    series, manifest = shape.series(), pl.read_parquet(path)
    Path("/proc/self/clear_refs").write_text("5")  # what reading took at its peak is forgotten
    held, wall, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
    found = CALLS[call](series, manifest)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = memory("VmHWM")
    return Measured(cpu, wall, peak, peak - held, found)


def measure_apart(call: str, shape: Shape, path: Path, rounds: int) -> Measured:
    """Make each of several calls in a process of its own; returns the one with the median CPU time."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes:
        taken = [processes.submit(measure, call, shape, path).result() for _ in range(rounds)]
    middle = statistics.median_low(each.cpu for each in taken)
    return next(each for each in taken if each.cpu == middle)


def shapes(runs: int) -> list[Shape]:
    """Return few conditions with many seeds, and many conditions with ten seeds."""
    few = min(1000, max(1, runs // 10))
    many = max(1, runs // 10)
    return [Shape(few, runs // few)] + ([Shape(many, 10)] if many != few else [])


def measure_peer(shape: Shape, path: Path, ours: Measured) -> list[str]:
    """Ask the peer the same question; returns lines that compare."""
    series = shape.series()
    question = {
        "name": series.name,
        "conditions": series.conditions,
        "seeds": list(series.seeds),
        "extensions": series.extensions,
    }
    table = path.with_suffix(".csv")
    pl.read_parquet(path).write_csv(table)
    try:
        answer = ask_peer({**question, "manifest": str(table)})
    except PeerUnavailable as error:
        return [f"{PEER} was not measured: {error}"]
    assert answer["found"] == ours.found, "the two do not agree on what is missing"
    return [
        f"find_missing_conditions, {shape} runs, {ours.found:,} of them not done, by CPU time:",
        f"  {PEER:<28} {answer['cpu']:8.3f} s",
        f"  {'simcampaign':<28} {ours.cpu:8.3f} s",
        f"  simcampaign is {answer['cpu'] / ours.cpu:.0f}× as fast",
    ]


def judge(runs: int, planned: Sequence[Measured]) -> str:
    seconds, mebibytes = GOALS[runs]
    cpu, peak = max(each.cpu for each in planned), max(each.peak for each in planned)
    verdict = "met" if cpu <= seconds and peak <= mebibytes else "missed"
    limits = f"{seconds:g} s CPU and {mebibytes:.0f} MiB"
    return f"Goal, {runs:,} runs planned within {limits}: {verdict} ({cpu:.2f} s, {peak:.0f} MiB)"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(GOALS), help="runs in the series")
    parser.add_argument("--rounds", type=int, default=3, help="calls of each kind; the median is shown")
    parser.add_argument("--peer", action=argparse.BooleanOptionalAction, default=True, help=f"measure {PEER} too")
    options = parser.parse_args(argv)
    table = Table(title=f"manifest in memory, half of the files there, median of {options.rounds}")
    for heading in ("conditions × seeds", "call", "CPU s", "wall s", "peak MiB", "growth MiB", "not done"):
        table.add_column(heading, justify="left" if heading == "call" else "right", no_wrap=True)
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="simcampaign-benchmark-") as folder:
        for runs in options.sizes:
            taken: dict[str, list[Measured]] = {call: [] for call in CALLS}
            for shape in shapes(runs):
                path = Path(folder) / "manifest.parquet"
                shape.manifest().write_parquet(path)
                for call, measured in taken.items():
                    measured.append(measure_apart(call, shape, path, options.rounds))
                    each = measured[-1]
                    numbers = f"{each.cpu:.3f}", f"{each.wall:.3f}", f"{each.peak:.0f}", f"{each.growth:.0f}"
                    table.add_row(str(shape), call, *numbers, f"{each.found:,}")
                if options.peer and runs <= PEER_RUNS:
                    notes += measure_peer(shape, path, taken["find_missing_conditions"][-1])
            if runs in GOALS:
                notes.append(judge(runs, taken["make_plan"]))
    Console(width=100).print(table)
    print("\n".join(notes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
