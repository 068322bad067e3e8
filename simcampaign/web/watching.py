"""Watching: few requests ask after all tasks that somebody waits for, and are held until something happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simcampaign.errors import LocationError
from simcampaign.web.link import Link

logger = logging.getLogger("simcampaign")

WAIT_SECONDS = 2.0, 20.0
"""How long the service holds a request until something happens: for few tasks, so that their progress is told, and at
most."""

WAIT_PER_TASK = 0.02

GATHER_SECONDS = 0.02
"""Tasks that are waited for within this time are asked after together."""

MOST = 1000
"""Tasks in one request."""

SMALL_ROUNDS = 3
"""Rounds that are far from full, at most; more are put together."""

PACE = 1e-4
"""Seconds of rest after an answer for each task asked after: who waits for many need not hear of each at once."""

ENDS = frozenset({"completed", "failed", "cancelled", "lost", "invalid"})

Info = dict[str, Any]
Told = Callable[[Info], None]


@dataclass(eq=False, slots=True)
class _Round:
    """Tasks that are asked after together, again and again."""

    ids: list[str]
    work: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Watched:
    """A task that somebody waits for."""

    seen: str = ""
    info: Info | None = None
    waiting: list[tuple[asyncio.Future[Info], Told]] = field(default_factory=list)


class Watch:
    """Tells those who wait for tasks what becomes of them.

    A task that comes to be waited for joins the next question of a round; until then one of its own asks for it, so
    that the others need not be asked after anew.
    """

    def __init__(self, link: Link) -> None:
        """Ask by ``link``."""
        self._link = link
        self._tasks: dict[str, _Watched] = {}
        self._fresh: list[str] = []
        self._rounds: set[_Round] = set()
        self._soon: asyncio.TimerHandle | None = None

    async def over(self, task_id: str, told: Told) -> Info:
        """Wait until a task is over and return it; ``told`` is called with each change on the way.

        Raises ``LocationError`` if it is not there.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Info] = loop.create_future()
        watched = self._tasks.get(task_id)
        if watched is None:
            watched = self._tasks[task_id] = _Watched()
            self._fresh.append(task_id)
            if self._soon is None:
                self._soon = loop.call_later(GATHER_SECONDS, self._begin)
        elif watched.info is not None:
            tell(told, watched.info)
        watched.waiting.append((future, told))
        return await future

    def _begin(self) -> None:
        """Ask after what no round has taken along."""
        self._soon = None
        ids, self._fresh = self._fresh, []
        small = [each for each in self._rounds if len(each.ids) < MOST // 2]
        if ids and len(small) >= SMALL_ROUNDS:
            for each in small:
                if each.work is not None:
                    each.work.cancel()
                self._rounds.discard(each)
                ids = each.ids + ids
        for first in range(0, len(ids), MOST):
            new = _Round(ids[first : first + MOST])
            self._rounds.add(new)
            new.work = asyncio.create_task(self._follow(new))

    async def _follow(self, mine: _Round) -> None:
        try:
            while ids := [task_id for task_id in mine.ids if self._is_wanted(task_id)]:
                mine.ids = ids
                await self._ask(ids)
                await asyncio.sleep(PACE * len(ids))
                room = MOST - len(ids)
                mine.ids += self._fresh[:room]
                self._fresh = self._fresh[room:]
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            for task_id in mine.ids:
                self._fail(task_id, error)
        finally:
            self._rounds.discard(mine)

    async def _ask(self, ids: list[str]) -> None:
        wait = min(WAIT_SECONDS[0] + WAIT_PER_TASK * len(ids), WAIT_SECONDS[1])
        body = {"tasks": {task_id: self._tasks[task_id].seen for task_id in ids}, "wait": wait}
        answer = (await self._link.ask("POST", "/status", json=body, patience=wait)).json()
        for info in answer["tasks"]:
            self._take(info)
        for task_id in answer["missing"]:
            hint = "see what is there: web.get_tasks()"
            self._fail(task_id, LocationError(f"there is no task {task_id} any more", hint))

    def _is_wanted(self, task_id: str) -> bool:
        """Forget those who wait no more; tell whether anybody does."""
        watched = self._tasks.get(task_id)
        if watched is None:
            return False
        watched.waiting = [each for each in watched.waiting if not each[0].done()]
        if not watched.waiting:
            del self._tasks[task_id]
        return bool(watched.waiting)

    def _take(self, info: Info) -> None:
        watched = self._tasks.get(info["id"])
        if watched is None:
            return
        watched.seen, watched.info = info["seen"], info
        over = info["status"] in ENDS
        if over:
            del self._tasks[info["id"]]
        for future, told in watched.waiting:
            tell(told, info)
            if over and not future.done():
                future.set_result(info)

    def _fail(self, task_id: str, error: Exception) -> None:
        watched = self._tasks.pop(task_id, None)
        for future, _ in watched.waiting if watched is not None else ():
            if not future.done():
                future.set_exception(error)


def unheard(_info: Info) -> None:
    """Hear of a task and tell nobody."""


def tell(told: Told, info: Info) -> None:
    """Tell somebody of a task; that they make a mistake is no reason to leave others waiting."""
    try:
        told(info)
    except Exception:
        logger.exception("What was to hear of task %s failed", info["id"])
