"""A job manager in a process of its own, as a person starts it, and a client of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.support import is_idle, until

FREE = """
[limits]
max_concurrent_jobs = 2
max_cpu_percent = 100
min_memory_gb = 0
min_disk_gb = 0
"""
"""Limits that no host under load falls short of."""

OVER = {"completed", "failed", "cancelled", "lost"}


KEYS = {"id", "config", "status", "start_time", "end_time", "return_code", "scheduler_job_id"}
"""What clients know of a listed job."""

GATE = "until [ -e '{}' ]; do sleep 0.01; done"
"""A script that ends when a file is there."""


class Server:
    """A job manager below ``home``, with the settings of ``service.toml`` there; programs in ``bin`` come first."""

    def __init__(self, home: Path, settings: str = "", *options: str, free: str = FREE, sites: str = "") -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        self.options = options
        (home / "service.toml").write_text(f"{settings}\n{free}")
        local = '[local]\nslots = 4\ngrace_seconds = 0.3\nexecutable = "sh {input}"\n'
        (home / "sites.toml").write_text(f"{local}\n{sites}")
        self.log = home / "server.log"
        self.process: subprocess.Popen[str] | None = None
        self.http = httpx.Client()

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.launch()
        self.wait_until_it_listens()

    def launch(self) -> None:
        """Start it."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SIMCAMPAIGN_")}
        command = [sys.executable, "-m", "simcampaign.service", "--port", "0", *self.options]
        self.process = subprocess.Popen(
            command,
            env={
                **environment,
                "SIMCAMPAIGN_HOME": str(self.home),
                "PATH": f"{self.home / 'bin'}{os.pathsep}{environment['PATH']}",
            },
            stdout=subprocess.PIPE,
            stderr=self.log.open("a"),
            text=True,
        )

    def wait_until_it_listens(self) -> None:
        """Wait until it has said where."""
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("job manager at http://"), self.log.read_text()
        self.http.close()
        self.http = httpx.Client(base_url=line.split()[-1], timeout=30, headers=self.http.headers)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, and wait until it has ended."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(120)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def submit(self, config: Mapping[str, Any], **others: Any) -> str:
        """Submit a job and return its id."""
        answer = self.http.post("/jobs/submit", json={"config": config, **others})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["job_id"])

    def shell(self, script: str, **others: Any) -> str:
        """Submit a job that runs a shell script."""
        top = {name: others.pop(name) for name in ("priority",) if name in others}
        return self.submit({"files": {"job.sh": script}, **others}, **top)

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job as it is listed."""
        found: dict[str, Any] = self.http.get(f"/jobs/{job_id}").json()
        return found

    def wait(self, *job_ids: str) -> list[dict[str, Any]]:
        """Wait until jobs are over and return them."""
        until(lambda: all(self.job(job_id)["status"] in OVER for job_id in job_ids))
        return [self.job(job_id) for job_id in job_ids]

    def events(self, job_id: str, last: str = "") -> list[tuple[str, dict[str, Any]]]:
        """Return the events of a job from the first on until that of a kind, as they are streamed."""
        found = []
        with self.http.stream("GET", "/events", params={"since": 0, "job": job_id}) as answer:
            kind = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    found.append((kind, json.loads(value)))
                    if kind == last:
                        break
        return found

    def clear(self) -> None:
        """End whatever still runs."""
        waiting = self.http.get("/jobs", params={"status": "queued,scheduled,running"}).json()
        for job in waiting:
            self.http.post(f"/jobs/{job['id']}/cancel")
        self.wait(*(job["id"] for job in waiting))

    def end(self) -> None:
        """End the service, and the runners that it leaves waiting for more."""
        with contextlib.suppress(ProcessLookupError):
            self.stop()
        self.http.close()
        end_runners(self.home)


def end_runners(home: Path) -> None:
    """End the runners of the local site below ``home`` that wait for more jobs."""
    for directory in filter(Path.is_dir, (home / "local" / "arrays").glob("*")):
        (directory / "closed").write_text(str((directory / "jobs.jsonl").read_text().count("\n")))
        if not is_idle(directory):
            os.kill(int((directory / "runner.lock").read_text().split()[0]), signal.SIGUSR1)
        until(lambda: is_idle(directory))  # noqa: B023 - called at once


def gated(server: Server, gate: Path, **others: Any) -> str:
    """Submit a job that ends when a file is there, and wait until it runs."""
    job_id = server.shell(GATE.format(gate), **others)
    until(lambda: server.job(job_id)["status"] == "running")
    return job_id


@contextlib.contextmanager
def running(home: Path, settings: str = "", *options: str, **others: Any) -> Iterator[Server]:
    """Run a job manager."""
    server = Server(home, settings, *options, **others)
    server.start()
    try:
        yield server
    finally:
        server.end()
