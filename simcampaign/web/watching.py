"""Watching: one request asks after all tasks that somebody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from simcampaign.web.link import Link

WAIT_SECONDS = 20.0
"""How long the service holds a request until something happens."""

ENDS = frozenset({"completed", "failed", "cancelled", "lost", "invalid"})

Info = dict[str, Any]


class Watch:
    """Tells those who wait for tasks what becomes of them."""

    def __init__(self, link: Link) -> None:
        """Ask by ``link``."""
        self._link = link
        self._seen: dict[str, str] = {}
        self._waiting: dict[str, list[tuple[asyncio.Future[Info], Callable[[Info], None]]]] = {}
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def over(self, task_id: str, told: Callable[[Info], None]) -> Info:
        """Wait until a task is over and return it; ``told`` is called with each change on the way."""
        future: asyncio.Future[Info] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(task_id, []).append((future, told))
        self._seen[task_id] = ""
        self._more.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._drop_cancelled():
            self._more.clear()
            asking = asyncio.ensure_future(self._ask())
            more = asyncio.ensure_future(self._more.wait())
            await asyncio.wait({asking, more}, return_when=asyncio.FIRST_COMPLETED)
            more.cancel()
            if not asking.done():  # somebody waits for another task: ask anew, for all
                asking.cancel()
                await asyncio.sleep(0.01)
                continue
            try:
                answered = asking.result()
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
                self._fail(error)
                return
            for info in answered:
                self._take(info)

    async def _ask(self) -> list[Info]:
        body = {"tasks": {task_id: self._seen[task_id] for task_id in self._waiting}, "wait": WAIT_SECONDS}
        answer = await self._link.ask("POST", "/status", json=body, patience=WAIT_SECONDS)
        return list(answer.json()["tasks"])

    def _take(self, info: Info) -> None:
        task_id = info["id"]
        self._seen[task_id] = info["seen"]
        over = info["status"] in ENDS
        waiting = self._waiting.pop(task_id, []) if over else self._waiting.get(task_id, [])
        for future, told in waiting:
            told(info)
            if over and not future.done():
                future.set_result(info)

    def _drop_cancelled(self) -> bool:
        """Forget those who wait no more; returns whether anybody does."""
        for task_id, waiting in list(self._waiting.items()):
            left = [each for each in waiting if not each[0].done()]
            if left:
                self._waiting[task_id] = left
            else:
                del self._waiting[task_id]
        return bool(self._waiting)

    def _fail(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            for future, _ in each:
                if not future.done():
                    future.set_exception(error)
