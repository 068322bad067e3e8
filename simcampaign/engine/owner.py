"""Who is at work on an intent, and whether they still live."""

from __future__ import annotations

import os
import socket

import psutil


def identity() -> str:
    """Return what names this process among all that share a ledger: host, process id and when it started."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{psutil.Process(pid).create_time():.2f}"


def is_gone(owner: str, lease_until: float, now: float) -> bool:
    """Tell whether the owner of an intent will not come back to it.

    On this host the process itself is looked for; of other hosts only the lease is known.
    """
    host, pid, started = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return now > lease_until
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" != started
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return now > lease_until
