"""What stops a campaign run: Ctrl-C, once or twice, and its flow run cancelled in Prefect."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

logger = logging.getLogger("simcampaign")

STATE_SECONDS = 5.0
"""Seconds between looks at the flow run's own state: a local run cancelled in the UI is told nothing else."""


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


class CancelledElsewhere:
    """Whether somebody cancelled this flow run, in the UI or by the API."""

    def __init__(self) -> None:
        """Look after a while for the first time."""
        self.seen = False
        self._looked = time.monotonic()

    def __call__(self) -> bool:
        """Look if it is time to, and tell."""
        context = FlowRunContext.get()
        due = time.monotonic() - self._looked >= STATE_SECONDS
        if self.seen or not due or context is None or context.flow_run is None:
            return self.seen
        self._looked = time.monotonic()
        try:
            with get_client(sync_client=True) as client:
                state = client.read_flow_run(context.flow_run.id).state
        except Exception as error:  # noqa: BLE001 - whatever Prefect's server does, the jobs are watched
            logger.debug("Could not read the flow run's own state: %s", error)
            return False
        self.seen = state is not None and (state.is_cancelling() or state.is_cancelled())
        return self.seen
