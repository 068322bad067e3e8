"""Ctrl-C: once stops watching and leaves the jobs running, twice cancels them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """How often the person pressed Ctrl-C while a campaign was at work."""

    def __init__(self) -> None:
        """Start with none."""
        self._stop = threading.Event()
        self._cancel = threading.Event()

    @property
    def stopped(self) -> bool:
        """Pressed at least once: stop watching."""
        return self._stop.is_set()

    @property
    def cancelled(self) -> bool:
        """Pressed twice: cancel the jobs."""
        return self._cancel.is_set()

    def await_second(self, seconds: float) -> bool:
        """Wait for a second Ctrl-C; returns whether it came."""
        return self._cancel.wait(seconds)

    @contextmanager
    def listening(self) -> Iterator[Interrupts]:
        """Catch Ctrl-C within the block; only the main thread may, elsewhere nothing is caught."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = signal.signal(signal.SIGINT, self._pressed)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)

    def _pressed(self, _number: int, _frame: FrameType | None) -> None:
        if self._stop.is_set():
            self._cancel.set()
        self._stop.set()
