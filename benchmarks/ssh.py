"""Many single-file jobs on a far host: one array of ours against a loop of ``scp`` and ``ssh``.

    python -m benchmarks.ssh [--jobs 200] [--loop-jobs 20] [--milliseconds 50]

Each job gets one file of 2 kB, copies it, and its output is fetched. Ours is one ``api.run_many``: submit, wait, fetch.
The loop makes a folder and puts the file, runs the command, and fetches the output, job by job, with OpenSSH: as it is,
and at its best, with one connection kept open for all (``ControlMaster``). A loop's time grows with the jobs, so that
it is measured with fewer and scaled. Latency is added by the kernel in a network namespace (``tc netem``); where it
cannot be, by a relay before the SSH server.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.latency import NoNamespace, slow_namespace, slow_relay
from simcampaign import api
from tests.integration.services.sshd import NoSshd, SshServers, ssh_servers

CONTENT = b"0123456789abcde\n" * 128
FAR = "far"


def ours(folder: Path, jobs: int) -> float:
    """Return the seconds that one array takes."""
    inputs = [api.Simulation(["cp", "{input}", "out"], files={"in": CONTENT})] * jobs
    before = time.perf_counter()
    api.run_many(inputs, FAR, folder / "results", verbose=False)
    seconds = time.perf_counter() - before
    assert [path.read_bytes() for path in sorted(folder.glob("results/job_*/out"))] == [CONTENT] * jobs
    return seconds


def loop(folder: Path, config: Path, jobs: int, options: Sequence[str]) -> float:
    """Return the seconds that so many jobs take one after the other."""
    source = folder / "in"
    source.write_bytes(CONTENT)
    base = ["-F", str(config), *options]
    before = time.perf_counter()
    for job in range(jobs):
        there, fetched = f"{folder}/there-{len(options)}-{job}", folder / f"out-{len(options)}-{job}"
        _check(["ssh", *base, FAR, f"mkdir {shlex.quote(there)}"])
        _check(["scp", "-q", *base, str(source), f"{FAR}:{there}/in"])
        _check(["ssh", *base, FAR, f"cd {shlex.quote(there)} && cp in out"])
        _check(["scp", "-q", *base, f"{FAR}:{there}/out", str(fetched)])
        assert fetched.read_bytes() == CONTENT
    return time.perf_counter() - before


def _check(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def far_config(servers: SshServers, folder: Path, port: int) -> Path:
    """Write the client's configuration of a host that is reached through ``port``."""
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {servers.hosts[0].public_key}\n")
    lines = ["HostName 127.0.0.1", f"Port {port}", f"IdentityFile {servers.identity}", "IdentitiesOnly yes"]
    lines += [f"UserKnownHostsFile {folder / 'known_hosts'}"]
    config = folder / "ssh_config"
    config.write_text("\n".join([f"Host {FAR}", *(f"  {line}" for line in lines), ""]))
    return config


def measure(jobs: int, loop_jobs: int, delay: float) -> dict[str, float]:
    """Return the seconds of each way for ``jobs`` jobs; without ``delay`` the network itself is slow."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sim", dir="/tmp")))
        servers = stack.enter_context(ssh_servers(folder / "sshd"))
        port = servers.hosts[0].port
        config = far_config(servers, folder, stack.enter_context(slow_relay(port, delay)) if delay else port)
        site = {"backend": "ssh", "host": FAR, "config_file": str(config), "root": str(folder / "root"), "slots": 2}
        table = [f"{name} = {json.dumps(value)}" for name, value in {**site, "python": sys.executable}.items()]
        (folder / "sites.toml").write_text("\n".join([f"[{FAR}]", *table, ""]))
        os.environ |= {"SIMCAMPAIGN_SITES": str(folder / "sites.toml"), "SIMCAMPAIGN_HOME": str(folder / "home")}
        os.environ.pop("SIMCAMPAIGN_LEDGER_URL", None)
        master = ["-o", "ControlMaster=auto", "-o", f"ControlPath={folder}/master", "-o", "ControlPersist=60"]
        seconds = {"simcampaign": ours(folder, jobs)}
        seconds["loop of scp and ssh"] = loop(folder, config, loop_jobs, []) / loop_jobs * jobs
        seconds["loop over one connection"] = loop(folder, config, loop_jobs, master) / loop_jobs * jobs
        _check(["ssh", "-q", "-F", str(config), "-o", f"ControlPath={folder}/master", "-O", "exit", FAR])
        return seconds


def show(seconds: dict[str, float], jobs: int, loop_jobs: int, how: str) -> None:
    """Print the table."""
    table = Table(title=f"{jobs} jobs over SSH, {how}")
    for heading in ("", "s", "s per job", "× simcampaign"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, each in seconds.items():
        figures = f"{each:.1f}", f"{each / jobs:.3f}", f"{each / seconds['simcampaign']:.1f}"
        table.add_row(name, *figures)
    console = Console(width=100)
    console.print(table)
    console.print(f"The loops were measured with {loop_jobs} jobs.")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table, in a slow network of its own if there can be one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ssh", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--loop-jobs", type=int, default=20, help="jobs of the loops")
    parser.add_argument("--milliseconds", type=float, default=50, help="added to each round trip")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.inside:
        return report(options, 0, "tc netem")
    try:
        with slow_namespace(options.milliseconds) as enter:
            words = ["-m", "benchmarks.ssh", "--inside", "--milliseconds", str(options.milliseconds)]
            sizes = ["--jobs", str(options.jobs), "--loop-jobs", str(options.loop_jobs)]
            return subprocess.run([*enter, sys.executable, *words, *sizes], check=False).returncode
    except NoNamespace as error:
        print(f"tc netem skipped: {error}")
    return report(options, options.milliseconds, "a relay")


def report(options: argparse.Namespace, delay: float, by: str) -> int:
    """Measure and print the table, or why it was skipped."""
    try:
        seconds = measure(options.jobs, options.loop_jobs, delay)
    except NoSshd as error:
        print(f"skipped: {error}")
        return 0
    show(seconds, options.jobs, options.loop_jobs, f"{options.milliseconds:g} ms added by {by}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
