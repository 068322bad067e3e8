"""Prefect's own commands as a person types them: deploy, and a worker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
PREFECT = str(Path(sys.executable).parent / "prefect")
POOL = "simcampaign"


def make_pool(url: str, name: str = POOL) -> None:
    """Make a process work pool, if it is not there."""
    answer = httpx.post(f"{url}/work_pools/", json={"name": name, "type": "process"}, timeout=60)
    assert answer.status_code in (201, 409), answer.text


def lay_out(place: Any) -> None:
    """Copy what the demo campaign needs into a place, and make its founder cells."""
    shutil.copytree(ROOT / "templates", place.root / "templates", dirs_exist_ok=True)
    command = [sys.executable, "-m", "models.colony.inits", "demo"]
    subprocess.run(command, cwd=place.root, env=place.environment, check=True, capture_output=True)


def deploy_all(place: Any, file: Path) -> str:
    """Deploy everything in a prefect.yaml; returns what was said."""
    command = [PREFECT, "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
    done = subprocess.run(command, cwd=place.root, env=place.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def worker(place: Any, name: str = "one") -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker that asks for work every two seconds; a test may kill it."""
    environment = {**place.environment, "PREFECT_WORKER_QUERY_SECONDS": "2", "PREFECT_WORKER_PREFETCH_SECONDS": "2"}
    command = [PREFECT, "worker", "start", "--pool", POOL, "--type", "process", "--name", name]
    with (place.root.parent / f"worker-{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=place.root, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def load_average() -> str:
    """Say how busy the machine is, for figures that are printed."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
