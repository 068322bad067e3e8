"""Two job managers as processes of their own, each with a program that does nothing: ours, and PyEDB's."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import socketio

from benchmarks.peer import JOB_MANAGER_PINS, environment

SLOTS = 2
LAST = ("job_completed", "job_cancelled")
DEADLINE_SECONDS = 900.0


class Manager(ABC):
    """A job manager below a folder of its own; jobs are its clients' no-ops."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._ids = itertools.count()
        self._kept = threading.local()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ear = socketio.Client(request_timeout=60)
        for kind in LAST:
            self._ear.on(kind, lambda payload: self._ended.put(payload["job_id"]))

    @abstractmethod
    def command(self) -> list[str]:
        """Return what starts it."""

    @abstractmethod
    def config(self, job_id: str) -> Mapping[str, Any]:
        """Return what a client asks for."""

    def environment(self) -> dict[str, str]:
        """Return what it is told."""
        return dict(os.environ)

    @contextlib.contextmanager
    def running(self) -> Iterator[float]:
        """Run it; gives the seconds from its start to its first answer."""
        began = time.perf_counter()
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self.command(), cwd=self.folder, env=self.environment(), stdout=log, stderr=log
            )
        try:
            while not self._answers():
                if self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text())
                time.sleep(0.01)
            seconds = time.perf_counter() - began
            self._ear.connect(f"http://127.0.0.1:{self.port}", wait_timeout=60)
            yield seconds
        finally:
            self._ear.disconnect()
            self._process.terminate()
            self._process.wait(60)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            self.get("/queue")
            return True
        return False

    def get(self, path: str) -> bytes:
        """Ask for something."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=120) as answer:
            return bytes(answer.read())

    def submit(self) -> str:
        """Submit a job and return its id."""
        job_id = f"bench-{next(self._ids)}"
        return str(self.post("/jobs/submit", {"config": self.config(job_id), "priority": 0})["job_id"])

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a change, over the one connection that this thread keeps."""
        kept: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if kept is None:
            kept = self._kept.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        kept.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        answer = kept.getresponse()
        told: dict[str, Any] = json.load(answer)
        if answer.status != 200:
            raise RuntimeError(f"{self.name}: {path}: {told}")
        return told

    def wait(self, job_ids: set[str]) -> None:
        """Wait for the last events of jobs."""
        left, deadline = set(job_ids), time.monotonic() + DEADLINE_SECONDS
        while left:
            left.discard(self._ended.get(timeout=max(0.0, deadline - time.monotonic())))

    @abstractmethod
    def submit_together(self, count: int) -> list[str] | None:
        """Submit jobs with one request and return their ids; None if there is no such request."""

    def memory_mib(self) -> float:
        """Return what it holds of the memory."""
        assert self._process is not None
        return float(psutil.Process(self._process.pid).memory_info().rss / 2**20)


class Ours(Manager):
    """simcampaign's, as its owner starts it."""

    name = "simcampaign"

    def command(self) -> list[str]:
        """Return what starts it."""
        settings = self.folder / "service.toml"
        settings.write_text(
            f"[limits]\nmax_concurrent_jobs = {SLOTS}\nmax_cpu_percent = 100\nmin_memory_gb = 0\nmin_disk_gb = 0\n"
            '[applications.nothing]\nexecutable = "true"\n'
        )
        (self.folder / "sites.toml").write_text(f"[local]\nslots = {SLOTS}\n")
        return [sys.executable, "-m", "simcampaign.service", "--port", str(self.port), "--config", str(settings)]

    def environment(self) -> dict[str, str]:
        """Return what it is told."""
        return {**os.environ, "SIMCAMPAIGN_HOME": str(self.folder)}

    def config(self, job_id: str) -> Mapping[str, Any]:
        """Return what a client asks for."""
        return {"application": "nothing", "jobid": job_id}

    def submit_together(self, count: int) -> list[str] | None:
        """Submit an array."""
        self._kept = threading.local()  # the connection was idle for too long
        array = {"config": {"application": "nothing"}, "jobs": [{} for _ in range(count)]}
        return list(self.post("/arrays", array)["job_ids"])


class PyEdb(Manager):
    """PyEDB's, with a program that ends at once in the place of its simulator."""

    name = "pyedb 0.65.2"

    def command(self) -> list[str]:
        """Return what starts it. Raises ``PeerUnavailable``."""
        python = environment(JOB_MANAGER_PINS)
        program = self.folder / "ansys" / "ansysedt"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\nexit 0\n")
        program.chmod(0o755)
        (self.folder / "project.aedt").touch()
        module = "pyedb.workflows.job_manager.backend.start_service"
        limits = ["--max-concurrent-jobs", str(SLOTS), "--min-disk", "0.1", "--min-memory", "0.1"]
        return [str(python), "-m", module, "--host", "127.0.0.1", "--port", str(self.port), *limits]

    def environment(self) -> dict[str, str]:
        """Return what it is told: programs of a cluster on the PATH would change what it does."""
        return {
            **os.environ,
            "ANSYSEM_ROOT252": str(self.folder / "ansys"),
            "PATH": os.pathsep.join(_path_without("sinfo", "bhosts")),
        }

    def submit_together(self, _count: int) -> None:
        """There is no such request."""

    def config(self, job_id: str) -> Mapping[str, Any]:
        """Return what a client asks for."""
        return {"jobid": job_id, "user": "bench", "project_path": str(self.folder / "project.aedt")}


def _path_without(*programs: str) -> list[str]:
    folders = os.environ["PATH"].split(os.pathsep)
    return [each for each in folders if not any((Path(each) / program).exists() for program in programs)]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
