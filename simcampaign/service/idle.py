"""The end of a service that nobody needs: no client asked for some time, and nothing is left to be done."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger("simcampaign.service")


class Visits:
    """Stands before an application and knows how long ago somebody was there last."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before ``app``."""
        self._app = app
        self._here = 0
        self._last = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        self._here += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._here -= 1
            self._last = time.monotonic()

    @property
    def quiet_seconds(self) -> float:
        """How long nobody was there."""
        return 0.0 if self._here else time.monotonic() - self._last


class IdleEnd:
    """Looks now and then, in a thread of its own, and ends a service that nobody needed for ``seconds``."""

    def __init__(self, visits: Visits, is_at_work: Callable[[], bool], seconds: float, end: Callable[[], None]) -> None:
        """End by ``end``; ``is_at_work`` says whether something is left to be done."""
        self._visits, self._is_at_work, self._seconds, self._end = visits, is_at_work, seconds, end
        self._stopped = threading.Event()
        self._busy = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="idle end", daemon=True)

    def __enter__(self) -> IdleEnd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(min(5.0, self._seconds / 10)):
            if self._is_at_work():
                self._busy = time.monotonic()
            if min(self._visits.quiet_seconds, time.monotonic() - self._busy) >= self._seconds:
                logger.info("nobody needed this service for %g minutes: it ends", self._seconds / 60)
                self._end()
                return
