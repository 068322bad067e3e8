"""Overhead: the whole flow around work that takes no time, from the command to its exit.

    python -m benchmarks.overhead [--jobs 1 1000] [--rounds 3] [--ways engine xargs]

Each job copies its input to the one output file that its run must leave, so that nothing is left out: a manifest is
built, inputs are rendered, jobs are run, watched and logged, a summary is written. Every measurement starts with an
empty location and an empty ledger. The ways:

    ephemeral   python -m flows.run_local_simulations, which starts Prefect's own server and ends it
    server      the same, with a Prefect server that is running already
    engine      the same campaign and the same steps without Prefect
    xargs       nothing but the copies, as many at once: the floor
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from rich.console import Console
from rich.table import Table

WAYS = ("ephemeral", "server", "engine", "xargs")
FLOW = "flows.run_local_simulations"
COPY = ("install", "-D", "-m644")
"""Copies a file and, as a model must, makes the folder of its output."""

SLOTS = 2
OUR_IMPORTS = "import configs, simcampaign.engine.report, simcampaign.sites.local"
"""What a dry run imports; Prefect and it share some."""

PREFECT_IMPORTS = f"import {FLOW}"
"""What the command imports when it comes to run; the server that it may start, it imports besides."""

PROJECT = Path(__file__).parent.parent
SERVER_SECONDS = 120


@dataclass(frozen=True)
class Bench:
    """Where the campaigns are run, and the environment that keeps them off the person's own files."""

    root: Path
    environment: Mapping[str, str]

    @classmethod
    def at(cls, root: Path) -> Bench:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "SIMCAMPAIGN"))}
        own = {"PREFECT_HOME": str(root / "prefect"), "PYTHONPATH": str(PROJECT), "DO_NOT_TRACK": "1"}
        return cls(root, {**kept, **own})

    def time(self, command: Sequence[str], lines: str = "", **environment: str) -> float:
        """Return the seconds of wall time that a command takes; raises if it fails."""
        before = time.perf_counter()
        done = subprocess.run(
            command,
            input=lines,
            text=True,
            check=False,
            capture_output=True,
            cwd=self.root,
            env={**self.environment, **environment},
        )
        seconds = time.perf_counter() - before
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return seconds

    def campaign(self, way: str, jobs: int, url: str = "") -> float:
        """Run a campaign of ``jobs`` copies in one way; returns seconds from its start to its exit."""
        with tempfile.TemporaryDirectory(dir=self.root) as folder:
            config = write_campaign(Path(folder), jobs)
            outputs = Path(folder) / "outputs"
            outputs.mkdir()
            own = {"SIMCAMPAIGN_HOME": f"{folder}/home"}
            if way == "xargs":
                copy = ["xargs", f"-P{SLOTS}", "-I{}", *COPY, f"{folder}/job.txt", f"{outputs}/copies_A_1000{{}}.csv"]
                seconds = self.time(copy, "".join(f"{index}\n" for index in range(jobs)))
            elif way == "engine":
                seconds = self.time([sys.executable, "-m", "benchmarks.engine_alone", str(config)], **own)
            else:
                api = {"PREFECT_API_URL": url} if way == "server" else {}
                seconds = self.time([sys.executable, "-m", FLOW, str(config)], **own, **api)
            left = len(list(Path(folder).rglob("copies_A_*.csv")))
            assert left == jobs, f"{way}: {jobs} jobs left {left} files"
        return seconds


def write_campaign(folder: Path, jobs: int) -> Path:
    """Write a campaign of one condition; returns its config.

    The seeds are 1000 followed by the job's index, so that a copy can be told the name of its run's output.
    """
    (folder / "job.txt").write_text("{% for c in conditions %}{{ c.key }} {{ c.start_seed }}{% endfor %}\n")
    config = {
        "context": {
            "working_location": str(folder),
            "manifest_location": str(folder),
            "template_location": str(folder),
            "command": [*COPY, "{input}", "{output}copies_A_1000{index}.csv"],
            "slots": SLOTS,
        },
        "series": {
            "name": "copies",
            "template_key": "job.txt",
            "seeds": [int(f"1000{index}") for index in range(jobs)],
            "extensions": ["csv"],
            "conditions": [{"key": "A"}],
        },
        "parameters": {"model": "COPY", "retries": 600, "retry_delay": 1},
    }
    path = folder / "campaign.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return path


@contextmanager
def prefect_server(bench: Bench) -> Iterator[str]:
    """Run a Prefect server on a free port; yields the address of its API."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    host, _, port = address.partition(":")
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    process = subprocess.Popen(
        [*command, "--host", host, "--port", port],
        env={**bench.environment, "PREFECT_HOME": str(bench.root / "server"), "PREFECT_SERVER_ANALYTICS_ENABLED": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await_health(address, process)
        yield f"http://{address}/api"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def await_health(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SERVER_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        connection = HTTPConnection(address, timeout=5)
        try:
            connection.request("GET", "/api/health")
            if connection.getresponse().status == HTTPStatus.OK:
                return
        except OSError:
            time.sleep(0.2)
        finally:
            connection.close()
    raise RuntimeError("Prefect's server does not start; to see why: prefect server start")


def measure(bench: Bench, ways: Sequence[str], sizes: Sequence[int], rounds: int) -> dict[tuple[str, int], float]:
    """Return the median of seconds per way and number of jobs, the ways taking turns."""
    taken: dict[tuple[str, int], list[float]] = {(way, jobs): [] for jobs in sizes for way in ways}
    for _ in range(rounds):
        for way in ways:
            # An idle server takes CPU time, so it runs only while it is needed.
            with prefect_server(bench) if way == "server" else nullcontext("") as url:
                for jobs in sizes:
                    taken[way, jobs].append(bench.campaign(way, jobs, url))
    return {key: statistics.median(seconds) for key, seconds in taken.items()}


def show(seconds: Mapping[tuple[str, int], float], ways: Sequence[str], sizes: Sequence[int], rounds: int) -> None:
    few, many = min(sizes), max(sizes)
    floor = "engine" if "engine" in ways else ways[-1]
    table = Table(title=f"command to exit, zero-length jobs, {SLOTS} at once, median of {rounds}")
    table.add_column("way")
    for jobs in sizes:
        table.add_column(f"s, {jobs:,} jobs" if jobs > 1 else "s, 1 job", justify="right", no_wrap=True)
        table.add_column(f"× {floor}", justify="right", no_wrap=True)
    if many > few:
        table.add_column("ms per further job", justify="right", no_wrap=True)
    for way in ways:
        cells = []
        for jobs in sizes:
            each = seconds[way, jobs]
            cells += [f"{each:.2f}", f"{each / seconds[floor, jobs]:.2f}"]
        if many > few:
            cells.append(f"{(seconds[way, many] - seconds[way, few]) / (many - few) * 1000:.2f}")
        table.add_row(way, *cells)
    Console(width=100).print(table)


def show_phases(bench: Bench, seconds: Mapping[tuple[str, int], float], jobs: int, rounds: int) -> None:
    """Print where the time of the smallest campaign goes, by differences of whole commands."""
    with tempfile.TemporaryDirectory(dir=bench.root) as folder:
        config = write_campaign(Path(folder), jobs)

        def median(*arguments: str) -> float:
            command = [sys.executable, *arguments]
            return statistics.median(bench.time(command, SIMCAMPAIGN_HOME=folder) for _ in range(rounds))

        planned = median("-m", FLOW, str(config), "--dryrun")
        phases = {"Python, config and plan (--dryrun)": planned}
        if ("server", jobs) in seconds:
            imported = median("-c", PREFECT_IMPORTS) - median("-c", OUR_IMPORTS)
            phases["import of Prefect"] = imported
            phases["flow"] = seconds["server", jobs] - planned - imported
        if ("server", jobs) in seconds and ("ephemeral", jobs) in seconds:
            phases["start and end of Prefect's own server"] = seconds["ephemeral", jobs] - seconds["server", jobs]
    print(f"where the time of {jobs:,} job{'s' if jobs > 1 else ''} goes:")
    for name, each in phases.items():
        print(f"  {name:<38} {each:6.2f} s")
    if ("server", jobs) in seconds:
        slow = slow_imports(bench)
        print("packages by the time that their own modules take to import, profiled:")
        print("  " + ", ".join(f"{package} {each:.2f} s" for package, each in slow))


def slow_imports(bench: Bench, most: int = 8) -> list[tuple[str, float]]:
    """Return the packages whose own modules take most time to import, with seconds."""
    command = [sys.executable, "-X", "importtime", "-c", PREFECT_IMPORTS]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(bench.environment))
    packages: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        head, _, module = line.rpartition("|")
        own = head.removeprefix("import time:").partition("|")[0].strip()
        if own.isdigit():
            packages[module.strip().partition(".")[0]] += int(own)
    return [(package, microseconds / 1e6) for package, microseconds in packages.most_common(most)]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 1000], help="jobs per campaign")
    parser.add_argument("--rounds", type=int, default=3, help="campaigns of each kind; medians are shown")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="what to measure; default: all")
    options = parser.parse_args(argv)
    ways, sizes = [way for way in WAYS if way in options.ways], sorted(set(options.jobs))
    with tempfile.TemporaryDirectory(prefix="simcampaign-benchmark-", ignore_cleanup_errors=True) as folder:
        bench = Bench.at(Path(folder))
        if "ephemeral" in ways:
            first = bench.campaign("ephemeral", 1)
            print(f"first run ever, Prefect's database made on the way: {first:.2f} s for 1 job\n", flush=True)
        seconds = measure(bench, ways, sizes, options.rounds)
        show(seconds, ways, sizes, options.rounds)
        show_phases(bench, seconds, sizes[0], options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
