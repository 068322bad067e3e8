"""Lanes: how many files are on their way at once. As many as the link carries, found by trying."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from simcampaign.web.busy import BusyError

FIRST, MOST = 16, 32


class Lanes:
    """Grows by a lane each time that all lanes went well, and halves when one met a service or link that is busy."""

    def __init__(self, first: int = FIRST, most: int = MOST) -> None:
        """Begin with ``first`` lanes; there are never more than ``most``, and never none."""
        self.width = float(first)
        self._most = float(most)
        self._used = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a lane, first come first served, and have it."""
        await self._enter()
        try:
            yield
        except BusyError:
            self.width = max(1.0, self.width / 2)
            raise
        else:
            self.width = min(self._most, self.width + 1 / self.width)
        finally:
            self._used -= 1
            self._admit()

    async def _enter(self) -> None:
        mine = asyncio.get_running_loop().create_future()
        self._queue.append(mine)
        self._admit()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # it had just been given
                self._used -= 1
                self._admit()
            raise

    def _admit(self) -> None:
        while self._queue and self._used < int(self.width):
            first = self._queue.popleft()
            if not first.done():
                self._used += 1
                first.set_result(None)
