"""The solver of this machine: started when it is needed, found again by every program of its user."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from simcampaign.errors import LocationError
from simcampaign.places import data_folder

START_SECONDS = 120.0
"""How long a service may take to listen."""

SETTINGS = """port = 0
[limits]
max_concurrent_jobs = {cores}
max_cpu_percent = 100
min_memory_gb = 0.2
min_disk_gb = 0.2
"""


def find_or_start() -> tuple[str, str, bool]:
    """Return URL and token of this user's own service, and whether it was started just now.

    Raises ``LocationError`` if it cannot be started.
    """
    folder = data_folder() / "web"
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "start.lock"):
        token = _token(folder / "token")
        if (url := _announced(folder)) and _answers(url, token):
            return url, token, False
        return _start(folder), token, True


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _token(path: Path) -> str:
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe())
    return path.read_text(encoding="utf-8").strip()


def _announced(folder: Path) -> str:
    """Return where the newest service said that it listens."""
    try:
        return str(json.loads((folder / "service.out").read_text(encoding="utf-8"))["url"])
    except (OSError, ValueError, KeyError):
        return ""


def _answers(url: str, token: str) -> bool:
    try:
        answer = httpx.get(f"{url}/solver/v1/about", headers={"authorization": f"Bearer {token}"}, timeout=5)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


def _start(folder: Path) -> str:
    settings = folder / "service.toml"
    settings.write_text(SETTINGS.format(cores=os.cpu_count() or 1), encoding="utf-8")
    command = [sys.executable, "-m", "simcampaign.service", "--solver", "--json", "--config", str(settings)]
    command += ["--ledger", f"sqlite:///{folder / 'ledger.sqlite'}", "--token-file", str(folder / "token")]
    announced, log = folder / "service.out", folder / "service.log"
    announced.unlink(missing_ok=True)
    with announced.open("w") as out, log.open("a") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, start_new_session=True)
    deadline = time.monotonic() + START_SECONDS
    while not (url := _announced(folder)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise LocationError("the solver of this machine did not start", f"tail {log}")
        time.sleep(0.02)
    return url
