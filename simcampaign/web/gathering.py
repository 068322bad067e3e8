"""Gathering: what many coroutines ask for at the same time goes into one request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from simcampaign.errors import NetworkError, SimcampaignError

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

GATHER_SECONDS = 0.005
MOST = 200
"""Items in one request."""


class Gathering(Generic[Asked, Answer]):
    """Asks for items in groups. While one group is under way the next one gathers."""

    def __init__(self, ask: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]]) -> None:
        """Ask by ``ask``, which returns an answer for each item, in order."""
        self._ask = ask
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, item: Asked) -> Answer:
        """Return the answer for one item."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        while self._waiting:
            group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            await self._answer(group)

    async def _answer(self, group: list[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        """Ask for a group; if it is refused, for its halves, so that one wrong item harms no other."""
        try:
            answers = await self._ask([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            if len(group) > 1 and isinstance(error, SimcampaignError) and not isinstance(error, NetworkError):
                middle = len(group) // 2
                await self._answer(group[:middle])
                await self._answer(group[middle:])
                return
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(group, answers, strict=True):
            if not future.done():
                future.set_result(answer)
