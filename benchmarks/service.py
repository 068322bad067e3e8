"""The job manager beside PyEDB's: latency of one job, jobs a second, listing them, memory, start-up.

    python -m benchmarks.service [--singles 100] [--few 200] [--many 5000] [--no-peer]

Both run as their owners start them, with two slots, and jobs whose program ends at once. One client submits over HTTP
and hears of ends over Socket.IO. Ours answers a submission when it is on the disk; the peer keeps its jobs in memory,
and loses them when it ends. Goals: 50 ms from a submission to the event of its end for 99 of 100 jobs, 200 jobs a
second, a start within 2 s, and memory that does not grow from a few finished jobs to many.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.managers import Manager, Ours, PyEdb
from benchmarks.peer import PeerUnavailable

GOAL_P99_MS, GOAL_RATE, GOAL_START_SECONDS, GOAL_GROWTH = 50.0, 200.0, 2.0, 1.10
CLIENTS = 8
"""Threads that submit at the same time, where many are submitted."""


@dataclass(frozen=True)
class Measured:
    """What was seen of one manager."""

    start: float
    """Seconds from its start to its first answer."""

    singles: Sequence[float]
    """Seconds from the submission of a job to the event of its end, one job after the other, sorted."""

    few_rate: float
    many_rate: float
    """Jobs a second, from the first submission to the last end."""

    few_together_rate: float | None
    many_together_rate: float | None
    """Jobs a second, if all are submitted with one request; None where there is no such request."""

    listing: float
    """Seconds until all jobs are listed."""

    listing_mib: float
    idle_mib: float
    few_mib: float
    many_mib: float
    listed_mib: float
    """Memory after its start, after a few jobs, after many, and once these were listed."""

    def quantile(self, share: float) -> float:
        """Return the milliseconds that this share of the single jobs took at most."""
        return 1000 * self.singles[min(len(self.singles) - 1, int(share * len(self.singles)))]


def measure(manager: Manager, singles: int, few: int, many: int) -> Measured:
    """Start a manager, and give it jobs one by one, then a few, then many at once."""
    with manager.running() as start:
        idle = manager.memory_mib()
        # The first few find what starts late not started yet.
        times = sorted([_single(manager) for _ in range(singles + 5)][5:])
        few_rate = _rate(manager, few)
        few_mib = manager.memory_mib()
        many_rate = _rate(manager, many)
        many_mib = manager.memory_mib()
        began = time.perf_counter()
        listed = manager.get("/jobs")
        listing = time.perf_counter() - began
        listed_mib = manager.memory_mib()
        return Measured(
            start=start,
            singles=times,
            few_rate=few_rate,
            many_rate=many_rate,
            few_together_rate=_rate_together(manager, few),
            many_together_rate=_rate_together(manager, many),
            listing=listing,
            listing_mib=len(listed) / 2**20,
            idle_mib=idle,
            few_mib=few_mib,
            many_mib=many_mib,
            listed_mib=listed_mib,
        )


def _single(manager: Manager) -> float:
    began = time.perf_counter()
    manager.wait({manager.submit()})
    return time.perf_counter() - began


def _rate(manager: Manager, count: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        ids = set(clients.map(lambda _: manager.submit(), range(count)))
    manager.wait(ids)
    return count / (time.perf_counter() - began)


def _rate_together(manager: Manager, count: int) -> float | None:
    began = time.perf_counter()
    ids = manager.submit_together(count)
    if ids is None:
        return None
    manager.wait(set(ids))
    return count / (time.perf_counter() - began)


def show(measured: dict[str, Measured], few: int, many: int) -> Table:
    """Return the table of all that was measured, with ratios to the first column."""
    table = Table(title="job managers, two slots, jobs that do nothing")
    table.add_column("")
    for name in measured:
        table.add_column(name, justify="right")
    rows: dict[str, Callable[[Measured], str]] = {
        "start to first answer, s": lambda each: f"{each.start:.2f}",
        "one job, p50, ms": lambda each: f"{each.quantile(0.5):.1f}",
        "one job, p90, ms": lambda each: f"{each.quantile(0.9):.1f}",
        "one job, p99, ms": lambda each: f"{each.quantile(0.99):.1f}",
        "one job, mean, ms": lambda each: f"{1000 * statistics.fmean(each.singles):.1f}",
        f"{few:,} jobs, jobs/s": lambda each: f"{each.few_rate:.0f}",
        f"{many:,} jobs, jobs/s": lambda each: f"{each.many_rate:.0f}",
        f"{few:,} jobs in one request, jobs/s": lambda each: _per_second(each.few_together_rate),
        f"{many:,} jobs in one request, jobs/s": lambda each: _per_second(each.many_together_rate),
        f"GET /jobs at {many:,}, s": lambda each: f"{each.listing:.2f} ({each.listing_mib:.1f} MiB)",
        "memory idle, MiB": lambda each: f"{each.idle_mib:.0f}",
        f"memory after {few:,} jobs, MiB": lambda each: f"{each.few_mib:.0f}",
        f"memory after {many:,} jobs, MiB": lambda each: f"{each.many_mib:.0f}",
        "memory once they were listed, MiB": lambda each: f"{each.listed_mib:.0f}",
    }
    for label, text in rows.items():
        table.add_row(label, *(text(each) for each in measured.values()))
    return table


def _per_second(rate: float | None) -> str:
    return "not possible" if rate is None else f"{rate:.0f}"


def ratios(ours: Measured, peer: Measured) -> list[str]:
    """Return ours against the peer's, as lines; more than 1 is better for us."""
    return [
        f"start-up: {peer.start / ours.start:.2f}× as fast",
        f"p99 of one job: {peer.quantile(0.99) / ours.quantile(0.99):.2f}× as fast",
        f"p50 of one job: {peer.quantile(0.5) / ours.quantile(0.5):.2f}× as fast",
        f"few jobs: {ours.few_rate / peer.few_rate:.2f}× as many a second",
        f"many jobs: {ours.many_rate / peer.many_rate:.2f}× as many a second",
    ]


def goals(ours: Measured) -> list[str]:
    """Return whether each goal is met, as lines."""
    p99, growth = ours.quantile(0.99), ours.many_mib / ours.few_mib
    met = {
        f"p99 of one job ≤ {GOAL_P99_MS:g} ms: {p99:.1f}": p99 <= GOAL_P99_MS,
        f"≥ {GOAL_RATE:g} jobs a second: {ours.many_rate:.0f}": ours.many_rate >= GOAL_RATE,
        f"start within {GOAL_START_SECONDS:g} s: {ours.start:.2f}": ours.start <= GOAL_START_SECONDS,
        f"memory grows by {GOAL_GROWTH:.2f}× at most: {growth:.2f}": growth <= GOAL_GROWTH,
    }
    return [f"Goal, {text}: {'met' if is_met else 'missed'}" for text, is_met in met.items()]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--singles", type=int, default=100, help="jobs one after the other")
    parser.add_argument("--few", type=int, default=200, help="jobs at once, at first")
    parser.add_argument("--many", type=int, default=5000, help="jobs at once, then")
    parser.add_argument("--no-peer", action="store_true", help="measure ours alone")
    options = parser.parse_args(argv)
    console = Console()
    measured: dict[str, Measured] = {}
    for kind in (Ours,) if options.no_peer else (Ours, PyEdb):
        with tempfile.TemporaryDirectory() as folder:
            try:
                measured[kind.name] = measure(kind(Path(folder)), options.singles, options.few, options.many)
            except PeerUnavailable as error:
                console.print(f"{kind.name} is not there: {error}")
    console.print(show(measured, options.few, options.many))
    ours = measured[Ours.name]
    if PyEdb.name in measured:
        for line in ratios(ours, measured[PyEdb.name]):
            console.print(line)
    for line in goals(ours):
        console.print(line)


if __name__ == "__main__":
    main()
