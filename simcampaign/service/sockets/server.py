"""The Socket.IO server: who may connect, and what clients can say."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import socketio
from socketio.exceptions import ConnectionRefusedError as Refused
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from simcampaign.service.assembly import Service
from simcampaign.service.logs import Tails
from simcampaign.service.news import News
from simcampaign.service.security.gate import LARGEST_PACKET, WRONG_TOKENS_PER_SECOND
from simcampaign.service.security.pace import Pace
from simcampaign.service.sockets.listener import Listener, hang_up, let_go
from simcampaign.service.sockets.porch import Porch, client_of
from simcampaign.service.sockets.wishes import WishError, read_since, read_wishes

PING_SECONDS = 10
"""Time between signs of life; a client without one for as long again, and a while, is gone."""

MOST_LISTENERS = 400
SAID_PER_SECOND = 50.0
"""What one client may say, on average."""

logger = logging.getLogger("simcampaign.service")
_quiet = logging.getLogger("simcampaign.service.sockets")
_quiet.setLevel(logging.CRITICAL)  # what clients send wrongly is no error of ours

SILENT_SECONDS = 10.0
"""A connection that has not said by then who it is is let go."""

_TAKEN = "simcampaign.listener"
"""What an Engine.IO connection that has its listener is marked with."""

Answer = dict[str, Any]


def make_sockets(service: Service, news: News, tails: Tails) -> ASGIApp:
    """Return an application that serves Socket.IO at ``/socket.io/``.

    Origins and hosts are looked at by the gate before it.
    """
    server = socketio.AsyncServer(
        async_mode="asgi",
        cors_allowed_origins=[],
        max_http_buffer_size=LARGEST_PACKET,
        ping_interval=PING_SECONDS,
        logger=_quiet,
        engineio_logger=_quiet,
    )
    clients = _Sockets(server, service, news, tails)
    service.at_end.append(clients.end)
    return Porch(socketio.ASGIApp(server), clients.sessions)


class _Sockets:
    """The clients that are connected."""

    def __init__(self, server: socketio.AsyncServer, service: Service, news: News, tails: Tails) -> None:
        self._server, self._service, self._news, self._tails = server, service, news, tails
        self._listeners: dict[str, Listener] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._pace = Pace(SAID_PER_SECOND, 4 * SAID_PER_SECOND)
        self._wrong = Pace(WRONG_TOKENS_PER_SECOND, 4 * WRONG_TOKENS_PER_SECOND)
        server.on("connect", self._connect)
        server.on("disconnect", self._disconnect)
        server.on("subscribe", functools.partial(self._answer, self._subscribe))
        server.on("unsubscribe", functools.partial(self._answer, self._unsubscribe))

    def end(self) -> None:
        """Let all clients go, before the server waits for their connections to end."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._ending = asyncio.ensure_future(self._hang_up())

    async def _hang_up(self) -> None:
        for connection in list(self._server.eio.sockets.values()):
            await hang_up(connection)

    def sessions(self, client: str) -> int:
        """Return how many sessions a client has; from the first on, those are let go that say nothing."""
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())
        return sum(client_of(each["asgi.scope"]) == client for each in self._server.environ.values())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SILENT_SECONDS / 2)
            latest = time.monotonic() - SILENT_SECONDS
            for eio_sid, environ in list(self._server.environ.items()):
                connection = self._server.eio.sockets.get(eio_sid)
                silent = _TAKEN not in environ and environ["asgi.scope"]["state"]["since"] < latest
                if silent and connection is not None:
                    await hang_up(connection)

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        self._let_in(environ, auth)
        if len(self._listeners) >= MOST_LISTENERS:
            raise Refused("too many clients listen")
        said = auth if isinstance(auth, Mapping) else {}
        try:
            since, wishes = read_since(said), read_wishes(said.get("rooms", []))
            newest = await run_in_threadpool(self._service.book.last_event)
            listener = Listener(
                self._server,
                sid,
                newest if since is None else since,
                self._news,
                self._tails,
                self._service.telemetry,
            )
            self._listeners[sid] = listener
            environ[_TAKEN] = True
            listener.listen(wishes)
        except WishError as error:
            self._disconnect(sid)
            raise Refused(f"auth: {error}") from None

    def _let_in(self, environ: Mapping[str, Any], auth: Any) -> None:
        """Refuse who shows no token that is known, in ``auth`` or in the header Authorization."""
        access, scope = self._service.access, environ["asgi.scope"]
        if not access.guarded or scope["state"]["identity"].user:
            return
        token = auth.get("token") if isinstance(auth, Mapping) else None
        if isinstance(token, str) and access.identify(token) is not None:
            return
        peer = scope["client"][0] if scope.get("client") else ""
        if token is not None and not self._wrong.allows(peer):
            raise Refused("too many wrong tokens")
        raise Refused("this token is not known" if token is not None else 'a token is needed: auth={"token": TOKEN}')

    def _disconnect(self, sid: str, *_reason: Any) -> None:
        listener = self._listeners.pop(sid, None)
        if listener is not None:
            listener.end()
            (self._server.get_environ(sid, "/") or {}).pop(_TAKEN, None)

    async def _answer(self, act: Callable[[Listener, Any], Awaitable[Answer]], sid: str, *said: Any) -> Answer:
        listener = self._listeners.get(sid)
        if listener is None or not self._pace.allows(sid):
            await let_go(self._server, sid)
            return {"success": False, "error": "too many requests"}
        try:
            return await act(listener, said[0] if said else {})
        except WishError as error:
            return {"success": False, "error": str(error)}

    async def _subscribe(self, listener: Listener, said: Any) -> Answer:
        since, wishes = read_since(said), read_wishes(said)
        listener.listen(wishes)
        if since is not None:
            listener.rewind(since)
        return {"success": True, "seq": await run_in_threadpool(self._service.book.last_event)}

    async def _unsubscribe(self, listener: Listener, said: Any) -> Answer:
        listener.forget(read_wishes(said))
        return {"success": True}
