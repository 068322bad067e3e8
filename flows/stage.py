"""Prefect made ready for a run from the command line."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_DEFAULTS = {
    # A fresh home takes longer than Prefect's 20 s on a slow machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "simcampaign",
    "PREFECT_LOGGING_LEVEL": "WARNING",
}


@contextmanager
def prefect_server() -> Iterator[None]:
    """Run the block with a Prefect server: the one that is configured, else one of Prefect's own for this run only.

    Must be entered before Prefect is imported, as it sets defaults that Prefect reads then.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME  # noqa: PLC0415 - after the defaults

    if PREFECT_API_URL.value():
        yield
        return
    sys.stderr.write(
        "Starting Prefect's own server for this run (about 15 s). "
        "For its pages in the browser: `prefect server start`, then set PREFECT_API_URL.\n"
    )
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - takes seconds, so only if it is needed

    server = SubprocessASGIServer()
    home = PREFECT_HOME.value()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "simcampaign-start.lock").open("w") as lock:
        # Servers that start at once on a fresh home upset each other's database migration.
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Ctrl-C at a terminal goes to every process of it; the server must outlive the first one.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            server.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with ended_with_us(server.server_process):
        try:
            yield
        finally:
            server.stop()


_GUARD = """
import os, signal, sys
if not os.read(0, 1):
    os.kill(int(sys.argv[1]), signal.SIGTERM)
"""


@contextmanager
def ended_with_us(server: subprocess.Popen[Any] | None) -> Iterator[None]:
    """Have the server end even if this process is killed: a small guard waits for the end of a pipe that we hold."""
    if server is None:
        yield
        return
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _GUARD, str(server.pid)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield
    finally:
        guard.communicate(b"we ended it ourselves")
