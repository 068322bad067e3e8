"""News: events of the queue for clients that listen, however slow they are."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Sequence

from starlette.concurrency import run_in_threadpool

from simcampaign.ledger.queuerows import Event
from simcampaign.service import wire
from simcampaign.service.assembly import Service

QUIET_SECONDS = 15.0
"""A client that is told nothing else gets a sign of life this often."""

MOST = 500
"""Events that are read at once."""

REMEMBERED = 5_000
"""Newest events that are told without a look into the ledger."""


class News:
    """Wakes clients when something is written down; each reads on from where it was, at its own speed.

    What is told is in the ledger already, so that a client which comes back, even to another service, misses nothing.
    """

    def __init__(self, service: Service) -> None:
        """Listen to the book of ``service``."""
        self._service = service
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()
        self._newest: deque[Event] = deque(maxlen=REMEMBERED)
        self.ended = False
        service.book.listeners.append(self._heard)
        service.at_end.append(self.end)

    def _heard(self, events: Sequence[Event]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, events)

    def _take(self, events: Sequence[Event]) -> None:
        self._newest.extend(events)
        self._wake()

    def _wake(self) -> None:
        for each in self._waiting:
            each.set()

    def end(self) -> None:
        """Let go of all clients."""
        self.ended = True
        self._wake()

    def bell(self) -> asyncio.Event:
        """Return what rings when there is news, until it is handed back to ``hang_up``."""
        self._loop = asyncio.get_running_loop()
        bell = asyncio.Event()
        self._waiting.add(bell)
        return bell

    def hang_up(self, bell: asyncio.Event) -> None:
        """Let a bell ring no more."""
        self._waiting.discard(bell)

    async def behind(self, since: int, job_id: str | None = None) -> Sequence[Event]:
        """Return the next events behind a sequence number, ``MOST`` at most; of one job or of all."""
        if self._newest and self._newest[0].seq <= since + 1:
            # Most clients are nearly up to date: what they have not heard stands at the end.
            new = list(itertools.takewhile(lambda each: each.seq > since, reversed(self._newest)))
            of_it = (each for each in reversed(new) if job_id in {None, each.job_id})
            return list(itertools.islice(of_it, MOST))
        return await run_in_threadpool(self._service.book.events_since, since, MOST, job_id)

    async def stream(self, since: int, job_id: str | None = None) -> AsyncIterator[str]:
        """Yield events behind a sequence number as server-sent events, for ever."""
        bell = self.bell()
        telemetry = self._service.telemetry
        try:
            yield ": here\n\n"
            while not self.ended:
                bell.clear()
                events = await self.behind(since, job_id)
                for event in events:
                    data = json.dumps(wire.told(event, telemetry.latest), separators=(",", ":"))
                    yield f"id: {event.seq}\nevent: {event.kind}\ndata: {data}\n\n"
                    since = event.seq
                if not events and not await rings(bell):
                    yield ": here\n\n"
        finally:
            self.hang_up(bell)


async def rings(bell: asyncio.Event, seconds: float = QUIET_SECONDS) -> bool:
    """Wait for a bell for a while; False if it has not rung."""
    try:
        await asyncio.wait_for(bell.wait(), seconds)
    except TimeoutError:
        return False
    return True
