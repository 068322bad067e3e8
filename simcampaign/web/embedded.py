"""The solver of this machine: started when it is needed, found again by every program of its user."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from simcampaign.errors import ConfigError, LocationError, Problem
from simcampaign.places import data_folder

START_SECONDS = 120.0
"""How long a service may take to listen."""

IDLE_MINUTES = 15.0
"""Minutes after which a service that nobody needs ends, unless ``SIMCAMPAIGN_SOLVER_IDLE_MINUTES`` says otherwise."""

SETTINGS = """port = 0
idle_minutes = {idle_minutes:g}
[limits]
max_concurrent_jobs = {cores}
max_cpu_percent = 100
min_memory_gb = 0.2
min_disk_gb = 0.2
[solver]
callback_hosts = ["*"]  # whoever may use this service may reach all of them without it
"""


def find_or_start() -> tuple[str, str, bool]:
    """Return URL and token of this user's own service, and whether it was started just now.

    Raises ``LocationError`` if it cannot be started.
    """
    folder = data_folder() / "web"
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "start.lock"):
        token = _token(folder / "token")
        deadline = time.monotonic() + START_SECONDS
        while not _is_free(folder / "ledger.sqlite.service"):  # one runs, or is about to end
            if (url := _announced(folder)) and _answers(url, token):
                return url, token, False
            if time.monotonic() > deadline:
                raise LocationError("the solver of this machine does not answer", f"tail {folder / 'service.log'}")
            time.sleep(0.05)
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
    text = SETTINGS.format(cores=os.cpu_count() or 1, idle_minutes=_idle_minutes())
    settings.write_text(text, encoding="utf-8")
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


def _is_free(claim: Path) -> bool:
    """Tell whether no service has the ledger that goes with a file."""
    with claim.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _idle_minutes() -> float:
    given = os.environ.get("SIMCAMPAIGN_SOLVER_IDLE_MINUTES")
    if not given:
        return IDLE_MINUTES
    with contextlib.suppress(ValueError):
        if 0 < (minutes := float(given)) < math.inf:
            return minutes
    problem = Problem("SIMCAMPAIGN_SOLVER_IDLE_MINUTES", given, "must be a number of minutes above 0")
    raise ConfigError([problem], "unset SIMCAMPAIGN_SOLVER_IDLE_MINUTES")
