"""Run the benchmarks one after the other, each in a process of its own, and say in the end which goals are met.

    python -m benchmarks [NAME ...]

Options of a single one: ``python -m benchmarks.NAME --help``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

NAMES = ("plan", "storage", "dispatch", "overhead", "batch", "ssh", "slurm", "service", "solver", "web")


@dataclass(frozen=True)
class Ran:
    """How a benchmark ended."""

    name: str
    status: int
    seconds: float
    load: float
    """Load average over the minute before it started: above one or so, its wall times mean little."""

    goals: Sequence[str]
    """The lines of its output that say whether a goal is met."""


def purpose(name: str) -> str:
    """Return the first line of a benchmark's docstring."""
    return (importlib.import_module(f"benchmarks.{name}").__doc__ or "").partition("\n")[0]


def run(name: str) -> Ran:
    """Run one benchmark, passing its output on as it comes."""
    load, before, goals = os.getloadavg()[0], time.perf_counter(), []
    with subprocess.Popen([sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith("Goal"):
                goals.append(line.strip())
    return Ran(name, process.returncode, time.perf_counter() - before, load, goals)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the named benchmarks, or all; returns 1 if one of them broke."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=(__doc__ or "").partition("\n")[0],
        epilog="\n".join(f"{name:<10} {purpose(name)}" for name in NAMES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}; default: all")
    names: list[str] = parser.parse_args(argv).names or list(NAMES)
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"{', '.join(unknown)}: no such benchmark; there are {', '.join(NAMES)}")
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores\n")
    ended = []
    for name in names:
        print(f"== {name}: {purpose(name)}\n", flush=True)
        ended.append(run(name))
        print(flush=True)
    print("== in short")
    for each in ended:
        how = "done" if each.status == 0 else f"BROKE with status {each.status}"
        print(f"{each.name:<10} {how} in {each.seconds:.0f} s; load average before it {each.load:.1f}")
        for goal in each.goals:
            print(f"{'':<10} {goal}")
    return int(any(each.status for each in ended))


if __name__ == "__main__":
    sys.exit(main())
