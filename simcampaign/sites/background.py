"""What every detached runner does: it holds a lock, leaves its terminal, keeps a journal, and complains in a file.

Standard library only, Python 3.9 or later: it is copied to hosts beside ``runner.py``.
"""

# pathlib and dataclasses are not imported: they would make runners slower to start, and bigger.
# ruff: noqa: PTH118

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections import deque
from typing import Any


def take_lock(directory: str) -> int | None:
    """Lock ``directory`` for a runner and return the descriptor; None if a runner has it already."""
    lock = os.open(os.path.join(directory, "runner.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def go_to_background(directory: str) -> None:
    """Go on as a process of its own session whose output goes to ``runner.log``; the calling process ends."""
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(os.path.join(directory, "runner.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for target, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, target)


class Journal:
    """The file of starts and ends: one JSON object a line, each appended by one write."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        self.unwritten: deque[bytes] = deque()
        self.complained = False

    def events(self) -> list[dict[str, Any]]:
        """Return what was written so far, and cut off the torn line of a runner that was killed."""
        with open(self.descriptor, "rb", closefd=False) as file:
            data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self.descriptor, whole)
        return [json.loads(line) for line in data[:whole].splitlines()]

    def record(self, event: dict[str, Any]) -> None:
        """Append an event, or keep it until the disk has room for it."""
        self.unwritten.append(json.dumps(event, separators=(",", ":")).encode() + b"\n")
        self.flush()

    def flush(self) -> None:
        """Write what is left to write, if it can be written."""
        while self.unwritten:
            try:
                count = os.write(self.descriptor, self.unwritten[0])
            except OSError as error:
                if not self.complained:
                    complain(f"cannot write the journal: {error.strerror}; no job is started until it can be written")
                self.complained = True
                return
            self.complained = False
            rest = self.unwritten.popleft()[count:]
            if rest:
                self.unwritten.appendleft(rest)


def complain(message: str) -> None:
    """Write a line to ``runner.log``; a full disk must not stop the runner."""
    with contextlib.suppress(OSError):
        os.write(2, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {message}\n".encode(errors="backslashreplace"))
