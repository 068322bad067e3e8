"""A listener: one Socket.IO client, told what it wants to hear, in order and no faster than it reads."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine
from typing import Any

import socketio
from socketio.packet import EVENT

from simcampaign.errors import SimcampaignError
from simcampaign.service import wire
from simcampaign.service.core.telemetry import Telemetry
from simcampaign.service.logs import Tails, told
from simcampaign.service.news import News, rings
from simcampaign.service.sockets.wishes import Wish, WishError, concerns

logger = logging.getLogger("simcampaign.service")

MOST_ROOMS = 1_000
MOST_TAILS = 8
"""Logs that one client may follow at a time."""

SLOW_SECONDS = 60.0
"""A client that does not take in for so long what it was sent is let go; it can come back and miss nothing."""

TOGETHER = 8
"""Events that a connection is given at once: clients that poll take in at most 16 packets with one answer."""

PROGRESS = re.compile(r"^progress (\d{1,3}(?:\.\d{1,6})?)(?: ([^\n]{0,200}))?$", re.MULTILINE)
"""A line of a job's log that says how far it is, in percent."""


class Listener:
    """Reads the news from where its client was, and follows logs for it."""

    def __init__(
        self, sockets: socketio.AsyncServer, sid: str, since: int, news: News, tails: Tails, telemetry: Telemetry
    ) -> None:
        """Tell the client ``sid`` the events behind the sequence number ``since``."""
        self._sockets, self._sid = sockets, sid
        self._eio_sid = sockets.manager.eio_sid_from_sid(sid, "/")
        self._news, self._tails, self._telemetry = news, tails, telemetry
        self._cursor = since
        self._turn = asyncio.Lock()
        self._given = 0
        self._jobs: set[str] = set()
        self._campaigns: set[str] = set()
        self._bell = news.bell()
        self._followed: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._reading = asyncio.create_task(self._guarded(self._read()))

    def rewind(self, since: int) -> None:
        """Tell the events behind a sequence number, once more if need be."""
        self._cursor = since
        self._bell.set()

    def listen(self, wishes: list[Wish]) -> None:
        """Tell more. Raises ``WishError``."""
        rooms = len(self._jobs) + len(self._campaigns)
        tails = {(each.room, each.id) for each in wishes if each.room in {"log", "progress"}} | set(self._followed)
        if rooms + len(wishes) > MOST_ROOMS:
            raise WishError(f"a client can listen to {MOST_ROOMS} jobs and campaigns; unsubscribe from some")
        if len(tails) > MOST_TAILS:
            raise WishError(f"a client can follow {MOST_TAILS} logs at a time; unsubscribe from some")
        for wish in wishes:
            if wish.room == "job":
                self._jobs.add(wish.id)
            elif wish.room == "campaign":
                self._campaigns.add(wish.id)
            elif (wish.room, wish.id) not in self._followed:
                task = asyncio.create_task(self._guarded(self._follow(wish)))
                self._followed[wish.room, wish.id] = task

    def forget(self, wishes: list[Wish]) -> None:
        """Tell less; without wishes, everything again and no logs."""
        if not wishes:
            self._jobs.clear()
            self._campaigns.clear()
        for wish in wishes:
            (self._jobs if wish.room == "job" else self._campaigns).discard(wish.id)
        for key in [(each.room, each.id) for each in wishes] or list(self._followed):
            if task := self._followed.pop(key, None):
                task.cancel()

    def end(self) -> None:
        """Tell nothing more."""
        self._news.hang_up(self._bell)
        self._reading.cancel()
        self.forget([])

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except SimcampaignError as error:  # the ledger or a site cannot be read: the client comes back later
            logger.warning("A listener is let go: %s", error.args[0])
            await let_go(self._sockets, self._sid)
        except Exception:
            logger.exception("A listener stumbled, and is let go")
            await let_go(self._sockets, self._sid)

    async def _read(self) -> None:
        while not self._news.ended:
            self._bell.clear()
            before = self._cursor
            events = await self._news.behind(before)
            for event in events:
                if self._cursor != before:
                    break  # it was rewound meanwhile
                self._cursor = before = event.seq
                if concerns(event, self._jobs, self._campaigns):
                    await self._tell(event.kind, wire.told(event, self._telemetry.latest))
            if not events:
                await rings(self._bell)

    async def _follow(self, wish: Wish) -> None:
        """Tell what a job prints, or only how far it says it is; a last part without text says that all is told."""
        rest = ""
        async for part in self._tails.parts(wish.id, wish.offset):
            if part is None:
                continue
            if wish.room == "log":
                await self._tell("job_log", told(wish.id, part))
            lines, _, rest = (rest + part.text).rpartition("\n")
            rest = rest[-300:]
            if found := PROGRESS.findall(lines):
                percent, message = found[-1]
                progress = {"job_id": wish.id, "percent": min(100.0, float(percent)), "message": message}
                await self._tell("job_progress", progress)
            await self._taken_in()
        self._followed.pop((wish.room, wish.id), None)

    async def _tell(self, kind: str, payload: dict[str, Any]) -> None:
        async with self._turn:
            if self._given >= TOGETHER:
                await self._taken_in()
                self._given = 0
            self._given += 1
            # ``emit`` of the library looks for all who are in a room, and takes several times as long.
            packet = self._sockets.packet_class(EVENT, namespace="/", data=[kind, payload])
            await self._sockets.eio.send(self._eio_sid, packet.encode())

    async def _taken_in(self) -> None:
        """Wait until the client has taken in what it was sent: what waits for it stays bounded."""
        socket = connection_of(self._sockets, self._sid)
        if socket is None or socket.closed:
            return
        try:
            await asyncio.wait_for(socket.queue.join(), SLOW_SECONDS)
        except TimeoutError:
            await let_go(self._sockets, self._sid)


def connection_of(sockets: socketio.AsyncServer, sid: str) -> Any:
    """Return the Engine.IO connection of a client; None if it is gone."""
    return sockets.eio.sockets.get(sockets.manager.eio_sid_from_sid(sid, "/"))


async def let_go(sockets: socketio.AsyncServer, sid: str) -> None:
    """Close a client's connection; it may come back."""
    connection = connection_of(sockets, sid)
    if connection is not None:
        await hang_up(connection)


async def hang_up(connection: Any) -> None:
    """Close a connection without waiting for a client that takes nothing in, as the library's own way would."""
    await connection.close(wait=False)
    connection.queue.put_nowait(None)  # its writer, which would wait for more, ends
