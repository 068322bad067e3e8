"""The places in which a host runs jobs: files whose locks its jobs and runners hold.

Standard library only, Python 3.9 or later: it is copied to hosts beside ``runner.py``.
"""

# pathlib and dataclasses are not imported: they would make runners slower to start, and bigger.
# ruff: noqa: PTH103, PTH118

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque

SLOT_DESCRIPTOR = 99
"""Where a job finds the lock of its first slot; those of the runner have higher numbers than any of a job."""


class Slots:
    """The places in which this host runs jobs; all runners of a site share them."""

    def __init__(self, directory: str, count: int, need: int, bell: int) -> None:
        """Open the slots, none of which is taken yet; each job takes ``need`` of them."""
        os.makedirs(directory, exist_ok=True)
        self.bell, self.need = bell, need
        self.others = [self._open(os.path.join(directory, str(number))) for number in range(count)]
        self.ours: deque[int] = deque()
        self.most = count // need * need
        self.busy = 0
        self.turnstile = self._open(os.path.join(directory, "turnstile")) if need > 1 else -1
        self.passed = need == 1
        self.queueing = False

    def _open(self, path: str) -> int:
        low = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        slot = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, SLOT_DESCRIPTOR + self.need)
        os.close(low)
        return slot

    def take(self) -> list[int] | None:
        """Return locked slots for one job; None if too few are free: then the bell rings when one falls to us."""
        self._leave_surplus()
        if len(self.ours) < self.need and self.busy < self.most and self._pass():
            while len(self.ours) < self.need and self.others:
                slot = self.others.pop()
                if self._lock(slot):
                    self.ours.append(slot)
                else:
                    threading.Thread(target=self._await, args=(slot,), daemon=True).start()
        if len(self.ours) < self.need:
            return None
        self.busy += self.need
        taken = [self.ours.popleft() for _ in range(self.need)]
        self._leave_surplus()
        return taken

    def give(self, slots: list[int]) -> None:
        """Take the slots of a job back."""
        self.ours.extend(slots)
        self.busy -= len(slots)

    def release(self) -> None:
        """Leave the slots that hold no job to other runners, until there are jobs again."""
        while self.ours:
            slot = self.ours.popleft()
            fcntl.flock(slot, fcntl.LOCK_UN)
            self.others.append(slot)
        self._leave_turnstile()

    def _pass(self) -> bool:
        """Say whether slots may be collected: with several for each job, by one runner at a time."""
        if not (self.passed or self.queueing):
            self.passed = self._lock(self.turnstile)
            if not self.passed:
                self.queueing = True
                threading.Thread(target=self._queue, daemon=True).start()
        return self.passed

    def _queue(self) -> None:
        fcntl.flock(self.turnstile, fcntl.LOCK_EX)
        self.passed, self.queueing = True, False
        os.write(self.bell, b"\0")

    def _leave_surplus(self) -> None:
        """Leave what is more than all our jobs can ever take, and let others collect once we have all that."""
        if self.need == 1:
            return
        while self.busy + len(self.ours) > self.most:
            slot = self.ours.pop()
            fcntl.flock(slot, fcntl.LOCK_UN)
        if self.busy + len(self.ours) == self.most:
            self._leave_turnstile()

    def _leave_turnstile(self) -> None:
        if self.need > 1 and self.passed:
            self.passed = False
            fcntl.flock(self.turnstile, fcntl.LOCK_UN)

    @staticmethod
    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _await(self, slot: int) -> None:
        fcntl.flock(slot, fcntl.LOCK_EX)
        self.ours.append(slot)
        os.write(self.bell, b"\0")
