"""Processes of this host, and those that belong to a job, as the kernel tells them.

Standard library only, Python 3.9 or later: it is copied to hosts beside ``runner.py``.
"""

# pathlib and dataclasses are not imported: they would make runners slower to start, and bigger.
# ruff: noqa: PTH110, PTH123, PTH208

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

MARK = "SIMCAMPAIGN_TREE"
"""The environment variable by which the processes of a job are known even after they have lost their parent."""
PRCTL_SET_CHILD_SUBREAPER = 36
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Process(NamedTuple):
    """What the kernel says of a process."""

    alive: bool
    parent: int
    born: int
    """Start time in clock ticks since the boot; with the pid it names a process for good."""
    resident: int
    """Memory in bytes."""


def look_up(pid: int) -> Process | None:
    """Return what the kernel says of a process; None if it is gone, or this system has no ``/proc``."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            text = file.read(4096)
        fields = text[text.rindex(b")") + 2 :].split()
    except (OSError, ValueError):
        return None
    return Process(fields[0] not in b"ZX", int(fields[1]), int(fields[19]), int(fields[21]) * PAGE_BYTES)


def lives(pid: int, born: int) -> bool:
    """Say whether the process with this pid and start time, in clock ticks since the boot, still runs."""
    found = look_up(pid)
    if found is not None or os.path.exists("/proc/self/stat"):
        return found is not None and found.alive and found.born == born
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def boot_id() -> str:
    """Return what differs between two boots of this host; empty where that is unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def processes() -> dict[int, Process]:
    """Return all living processes by pid; none on a system without ``/proc``."""
    if not os.path.exists("/proc/self/stat"):
        return {}
    found = {int(name): look_up(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    return {pid: process for pid, process in found.items() if process is not None and process.alive}


def carries(pid: int, mark: bytes) -> bool:
    """Say whether a process was started with this entry in its environment."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False


def proportional_bytes(pid: int, resident: int) -> int:
    """Return the memory of a process with shared pages divided among their users; ``resident`` if that is unknown."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resident


def adopt_orphans() -> bool:
    """Have processes whose parent ends fall to this one, so that none gets out of sight; False where that cannot be."""
    try:
        import ctypes  # noqa: PLC0415 - small Pythons come without it

        ctypes.CDLL(None).prctl(PRCTL_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return False
    return True


class Job:
    """A job whose process was started."""

    def __init__(self, index: int, pid: int, born: int, began: float, mark: str) -> None:
        self.index, self.pid, self.born, self.began = index, pid, born, began
        self.mark = f"{MARK}={mark}".encode()
        self.key = pid
        self.slots: list[int] = []
        self.reaper = os.getpid()
        self.adopted = False
        self.gone = False
        self.deadline = self.kill_at = math.inf
        self.timeout: float | None = None
        self.memory_limit = 0
        self.reason = self.message = ""
        self.outcome: dict[str, Any] = {}
        self.seen = {pid: born}

    def tree(self, table: dict[int, Process]) -> list[int]:
        """Return the pids of the job's processes, also of those that left its session or lost their parent.

        Whoever has lost its parent now belongs to the job's own parent, and is known by its mark.
        """
        found = {pid for pid, born in self.seen.items() if pid in table and table[pid].born == born}
        children: dict[int, list[int]] = {}
        for pid, process in table.items():
            children.setdefault(process.parent, []).append(pid)
        found.update(pid for pid in children.get(self.reaper, ()) if pid not in found and carries(pid, self.mark))
        stack = list(found)
        while stack:
            fresh = [pid for pid in children.get(stack.pop(), ()) if pid not in found]
            found.update(fresh)
            stack += fresh
        self.seen = {pid: table[pid].born for pid in found}
        return list(found)

    def signal(self, number: int, table: dict[int, Process]) -> bool:
        """Send a signal, 0 for none, to all of the job's processes; say whether there is one that can be sent any."""
        if not table:
            return _sent(os.killpg, self.pid, number)
        sent = [_sent(os.kill, pid, number) for pid in self.tree(table)]
        return any(sent)

    def memory_bytes(self, table: dict[int, Process], limit: int) -> int:
        """Return the memory of all processes; shared pages are told apart only if it seems to be over the limit."""
        pids = self.tree(table)
        resident = sum(table[pid].resident for pid in pids)
        return resident if resident <= limit else sum(proportional_bytes(pid, table[pid].resident) for pid in pids)


def _sent(send: Callable[[int, int], None], pid: int, number: int) -> bool:
    try:
        send(pid, number)
    except OSError:
        return False
    return True
