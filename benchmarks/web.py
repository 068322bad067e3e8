"""Many small simulations by ``web`` and by Tidy3D's official client, at the same service; and uploads over a thin link.

    python -m benchmarks.web [--kinds modes nothing] [--tasks 20 100] [--milliseconds 0 50] [--files 200]

One service (``serve --tidy3d``) solves the same simulations for each: the official client one after the other
(``web.run``) and as its ``Batch``, and ours (``web.run_async``). Ours uploads files that tidy3d wrote; the time of
writing them is added to ours. Latency is added by a relay before the service, and before the S3 server that the
official client needs. Requests are counted in the clients.

There are two kinds: ``modes`` are mode solvers of tidy3d on a small plane, which tidy3d solves on the cores that the
clients and the service use, too; the floor is how long as many processes as there are cores take to solve the same
files, without a service. ``nothing`` are simulations whose registered solver returns data that are ready, as if the
cores that solve stood elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.latency import slow_relay
from benchmarks.peer import TIDY3D_PINS, PeerUnavailable, environment
from benchmarks.webpeer import BATCH, COMMON, END, FLOOR, MAKE, SEQUENTIAL
from simcampaign import solver, web
from simcampaign.service.tidy3d import WORKER
from simcampaign.service.tidy3d.worker import GROUP
from tests.integration.services.aws import Aws, aws_server
from tests.packages import install
from tests.simcampaign.service.server import Server, running

BUCKET = "exchange"
GOAL_FASTER, GOAL_REQUESTS, GOAL_LINK = 4.0, 10.0, 0.85
MEGABITS, LINK_MILLISECONDS = 100.0, 20.0
OURS, BATCHED = "simcampaign", "official, Batch"
KINDS = ("modes", "nothing")
NOTHING = """
import tempfile
from pathlib import Path
import tidy3d

space = tidy3d.Simulation(size=(1, 1, 1), grid_spec=tidy3d.GridSpec.uniform(0.2), run_time=1e-15)
log = "- Time step 1 / time 1e-15s (100 % done), field decay: 1e-9"
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "data.hdf5.gz")
    tidy3d.SimulationData(simulation=space, data=(), log=log).to_hdf5_gz(str(path))
    written = path.read_bytes()

class Data:
    def to_hdf5_gz(self, path):
        Path(path).write_bytes(written)

class Nothing:
    def estimate(self, simulation):
        return 1, 1

    def solve(self, simulation, progress):
        return Data()

solver = Nothing()
"""
"""A solver for ``Simulation``, registered in tidy3d's environment. To make data costs tidy3d a fifth of a second."""
TOKEN = "a-token-for-this-benchmark"  # noqa: S105 - of a service that nobody else reaches


@dataclass(frozen=True)
class Measured:
    """What one client took."""

    seconds: float
    requests: int = 0


class File:
    """A simulation that is a file already."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def to_file(self, target: Path) -> None:
        shutil.copyfile(self.path, target)


# Ours, in a process of its own


def count_requests() -> list[int]:
    """Count what goes out from now on, in the first item of what is returned."""
    import httpx  # noqa: PLC0415 - only the process of the client counts

    counts = [0]
    send = httpx.AsyncHTTPTransport.handle_async_request

    @functools.wraps(send)
    async def counting(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        counts[0] += 1
        return await send(self, request)

    httpx.AsyncHTTPTransport.handle_async_request = counting  # type: ignore[method-assign]
    return counts


def solve(folder: Path) -> Measured:
    """Have the files of a folder solved."""
    counts = count_requests()
    web.cache.enabled = False
    files = {path.name: File(path) for path in sorted(folder.glob("*.hdf5.gz"))}
    before = time.perf_counter()
    batch = web.run_async(files, "ours", folder / "data", "ours")
    error = batch.exception()
    seconds = time.perf_counter() - before
    if error:
        raise error
    assert len(list((folder / "data").glob("*.hdf5"))) == len(files)
    return Measured(seconds, counts[0])


def upload(folder: Path) -> Measured:
    """Upload the files of a folder, and start nothing."""
    counts = count_requests()
    files = [File(path) for path in sorted(folder.glob("*.hdf5"))]

    async def all_of_them() -> None:
        await asyncio.gather(*(web.aio.upload(each, each.path.stem, "uploads") for each in files))

    before = time.perf_counter()
    asyncio.run(all_of_them())
    return Measured(time.perf_counter() - before, counts[0])


def apart(what: str, folder: Path, url: str) -> Measured:
    """Do ``what`` in a process of its own that asks the service at ``url``."""
    more = {"SIMCAMPAIGN_SOLVER_URL": url, "SIMCAMPAIGN_SOLVER_TOKEN": TOKEN, "SIMCAMPAIGN_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "benchmarks.web", "--client", what, "--folder", str(folder)]
    done = subprocess.run(command, env=os.environ | more, check=True, stdout=subprocess.PIPE, text=True)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


# The official client


def official(
    python: Path, code: str, folder: Path, variables: dict[str, str], widths: Sequence[float], kind: str
) -> Measured:
    """Run a program of the official client's environment on simulations of one kind."""
    folder.mkdir(parents=True, exist_ok=True)
    program, question = folder / "program.py", folder / "question.json"
    program.write_text("\n".join((COMMON, code, END)))
    asked = {"name": folder.name, "folder": str(folder), "kind": kind, "widths": list(widths)}
    question.write_text(json.dumps({**asked, "worker": str(WORKER.parent)}))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SIMCAMPAIGN_"))}
    own = {"TIDY3D_BASE_DIR": str(folder / "base"), "TIDY3D_LOCAL_CACHE__ENABLED": "false", "SIMCLOUD_APIKEY": TOKEN}
    done = subprocess.run(
        [python, program, question], env=clean | own | variables, check=True, stdout=subprocess.PIPE, text=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["files"] >= len(widths), told
    return Measured(told["seconds"], told["requests"])


def widths_of(round_number: int, tasks: int) -> list[float]:
    """Return the widths of waveguides that no other round has: the service would know their simulations."""
    return [round(0.4 + 0.2 * number / tasks + 1e-4 * round_number, 6) for number in range(tasks)]


@contextmanager
def service(folder: Path, python: Path | None) -> Iterator[tuple[Server, Aws | None]]:
    """Run the service, with the face for the official client if its environment is there."""
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    with ExitStack() as stack:
        options, settings, aws = ["--solver"], "", None
        if python is not None:
            (folder / "aws").mkdir()
            aws = stack.enter_context(aws_server(folder / "aws"))
            aws.client("s3").create_bucket(Bucket=BUCKET)
            os.environ |= aws.environment
            plugin = install(folder / "plugin", "nothing", NOTHING, GROUP, {"Simulation": "nothing:solver"})
            os.environ["PYTHONPATH"] = str(plugin)
            settings = f'[solver.tidy3d]\npython = "{python}"\nexchange = "s3://{BUCKET}/tasks"\n'
            options = ["--tidy3d"]
        options += ["--token-file", str(token)]
        yield stack.enter_context(running(folder / "home", settings, *options)), aws


def compare(folder: Path, python: Path, kind: str, tasks: int, milliseconds: float, number: int) -> dict[str, Measured]:
    """Measure all clients with so many tasks of a kind and so much latency, at one service."""
    with ExitStack() as stack:
        server, aws = stack.enter_context(service(folder, python))
        assert aws is not None
        ports = [server.http.base_url.port, aws.port]
        if milliseconds:
            ports = [stack.enter_context(slow_relay(port or 0, milliseconds)) for port in ports]
        url, s3 = (f"http://127.0.0.1:{port}" for port in ports)
        variables = {
            "TIDY3D_WEB__API_ENDPOINT": f"{url}/tidy3d-api",
            "TIDY3D_WEB__WEBSITE_ENDPOINT": url,
            "TIDY3D_WEB__S3_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": s3,
        }

        def theirs(code: str, name: str, widths: Sequence[float]) -> Measured:
            return official(python, code, folder / name, variables, widths, kind)

        theirs(SEQUENTIAL, "warm", widths_of(number + 9, 1))
        measured = {}
        written = theirs(MAKE, "files", widths_of(number, tasks))
        ours = apart("solve", folder / "files", url)
        measured[OURS] = Measured(ours.seconds + written.seconds, ours.requests)
        measured[BATCHED] = theirs(BATCH, "batch", widths_of(number + 1, tasks))
        measured["official, one by one"] = theirs(SEQUENTIAL, "single", widths_of(number + 2, tasks))
    if kind == "modes":
        measured["floor: solving, no service"] = theirs(FLOOR, "files", widths_of(number, tasks))
    return measured


def make_large(folder: Path, count: int, seed: int = 1) -> int:
    """Write simulations of 1 MB each; returns their bytes."""
    about: dict[str, Any] = {"x": (-1.2, 1.2), "y": (-1.0, 1.0), "cell": 0.2, "frequencies": [193.4e12]}
    about["background"] = {"index": 1.444}
    rng = np.random.default_rng(seed)
    side = 362
    for number in range(count):
        values = rng.uniform(2.0, 12.0, (side, side))
        about["permittivity"] = {"x": np.linspace(-1.3, 1.3, side), "y": np.linspace(-1.1, 1.1, side), "values": values}
        solver.ModeSolver(**about).to_file(folder / f"{number:03}.hdf5")
    return sum(path.stat().st_size for path in folder.glob("*.hdf5"))


def measure_link(folder: Path, files: int) -> tuple[Measured, int]:
    """Upload so many files of 1 MB over a link of 100 Mbit/s and 20 ms."""
    (folder / "large").mkdir()
    (folder / "warm").mkdir()
    size = make_large(folder / "large", files)
    make_large(folder / "warm", 8, 2)
    with ExitStack() as stack:
        server, _ = stack.enter_context(service(folder, None))
        apart("upload", folder / "warm", str(server.http.base_url))  # the service starts what reads simulations
        port = stack.enter_context(slow_relay(server.http.base_url.port or 0, LINK_MILLISECONDS, MEGABITS))
        return apart("upload", folder / "large", f"http://127.0.0.1:{port}"), size


def show(measured: dict[str, Measured], kind: str, tasks: int, milliseconds: float) -> Table:
    """Return the table of one comparison."""
    table = Table(title=f"{tasks} tasks, {kind}, {milliseconds:g} ms; load average {os.getloadavg()[0]:.1f}")
    for heading in ("", "s", "requests per task", "× simcampaign"):
        table.add_column(heading, justify="right" if heading else "left")
    ours = measured[OURS].seconds
    for name, each in measured.items():
        table.add_row(name, f"{each.seconds:.1f}", f"{each.requests / tasks:.1f}", f"{each.seconds / ours:.1f}")
    return table


def goal(text: str, is_met: bool) -> str:
    return f"Goal, {text}: {'met' if is_met else 'missed'}"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kinds", choices=KINDS, nargs="*", default=KINDS)
    parser.add_argument("--tasks", type=int, nargs="*", default=[20, 100])
    parser.add_argument("--milliseconds", type=float, nargs="*", default=[0, 50], help="added to each round trip")
    parser.add_argument("--files", type=int, default=200, help="files of 1 MB over the thin link; 0 for none")
    parser.add_argument("--client", choices=["solve", "upload"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.client:
        done = {"solve": solve, "upload": upload}[options.client](options.folder)
        print(json.dumps({"seconds": done.seconds, "requests": done.requests}))
        return
    console = Console(width=100)
    try:
        python = environment(TIDY3D_PINS)
        cases = itertools.product(options.kinds, options.tasks, options.milliseconds)
        for number, (kind, tasks, milliseconds) in enumerate(cases):
            with tempfile.TemporaryDirectory(prefix="sim", dir="/tmp") as folder:
                measured = compare(Path(folder), python, kind, tasks, milliseconds, 10 * number)
            console.print(show(measured, kind, tasks, milliseconds))
            faster = measured[BATCHED].seconds / measured[OURS].seconds
            each = measured[OURS].requests / tasks
            if (tasks, milliseconds) == (100, 50):
                console.print(goal(f"{GOAL_FASTER:g}× as fast as the Batch: {faster:.1f}", faster >= GOAL_FASTER))
            console.print(goal(f"{GOAL_REQUESTS:g} requests a task at most: {each:.1f}", each <= GOAL_REQUESTS))
    except PeerUnavailable as error:
        console.print(f"skipped: {error}")
    if options.files:
        with tempfile.TemporaryDirectory(prefix="sim", dir="/tmp") as folder:
            done, size = measure_link(Path(folder), options.files)
        rate = 8e-6 * size / done.seconds
        console.print(
            f"{options.files} files, {size / 1e6:.0f} MB, over {MEGABITS:g} Mbit/s and {LINK_MILLISECONDS:g} ms: "
            f"{done.seconds:.1f} s, {rate:.1f} Mbit/s, {done.requests / options.files:.2f} requests a file; "
            f"load average {os.getloadavg()[0]:.1f}"
        )
        part = rate / MEGABITS
        console.print(goal(f"{GOAL_LINK:.0%} of the link: {part:.0%}", part >= GOAL_LINK))


if __name__ == "__main__":
    main()
