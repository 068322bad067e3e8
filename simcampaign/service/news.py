"""News: events of the queue for clients that listen, however slow they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

from starlette.concurrency import run_in_threadpool

from simcampaign.ledger.queuerows import Event
from simcampaign.service import wire
from simcampaign.service.assembly import Service

QUIET_SECONDS = 15.0
"""A client that is told nothing else gets a sign of life this often."""

MOST = 500
"""Events that are read at once."""


class News:
    """Wakes clients when something is written down; each reads the ledger from where it was, at its own speed."""

    def __init__(self, service: Service) -> None:
        """Listen to the book of ``service``."""
        self._service = service
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()
        self._ended = False
        service.book.listeners.append(self._heard)
        service.at_end.append(self.end)

    def _heard(self, _events: Sequence[Event]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for each in self._waiting:
            each.set()

    def end(self) -> None:
        """Let go of all clients."""
        self._ended = True
        self._wake()

    async def stream(self, since: int, job_id: str | None = None) -> AsyncIterator[str]:
        """Yield events behind a sequence number as server-sent events, for ever."""
        self._loop = asyncio.get_running_loop()
        bell = asyncio.Event()
        self._waiting.add(bell)
        book, telemetry = self._service.book, self._service.telemetry
        try:
            yield ": here\n\n"
            while not self._ended:
                bell.clear()
                events = await run_in_threadpool(book.events_since, since, MOST, job_id)
                for event in events:
                    data = json.dumps(wire.told(event, telemetry.latest), separators=(",", ":"))
                    yield f"id: {event.seq}\nevent: {event.kind}\ndata: {data}\n\n"
                    since = event.seq
                if not events and not await _rings(bell):
                    yield ": here\n\n"
        finally:
            self._waiting.discard(bell)


async def _rings(bell: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(bell.wait(), QUIET_SECONDS)
    except TimeoutError:
        return False
    return True
