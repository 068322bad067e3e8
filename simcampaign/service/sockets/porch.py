"""The porch: it stands between the gate and Socket.IO, and bounds what a client can ask of it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simcampaign.service.security.pace import Pace
from simcampaign.service.security.refusals import RefusedError, handing_on, refuse
from simcampaign.service.sockets.frames import fault, fault_of_body

logger = logging.getLogger("simcampaign.service")

FRAMES_PER_SECOND = 50.0
"""Frames that may come over one WebSocket, on average; in a burst four times as many at once."""

MOST_SESSIONS = 200
"""Connections of one client at a time."""


class Porch:
    """Refuses frames that are malformed, too big or too many, and connections beyond a number per client."""

    def __init__(self, app: ASGIApp, sessions: Callable[[str], int]) -> None:
        """Stand before ``app``; ``sessions`` tells how many sessions a client has."""
        self._app = app
        self._sessions = sessions
        self._open: Counter[tuple[str, str]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request or a WebSocket pass, or answer why not."""
        kind, client = scope["type"], client_of(scope)
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        fresh = "sid" not in query
        if self._open[kind, client] >= MOST_SESSIONS or (fresh and self._sessions(client) >= MOST_SESSIONS):
            await _refuse(scope, receive, send, 429, "too many connections of one client")
            return
        if "j" in query or scope.get("method", "GET") not in {"GET", "POST"}:
            await _refuse(scope, receive, send, 400, "there is nothing of this kind here")
            return
        first = await receive()
        if first["type"] not in {"http.request", "websocket.connect"}:
            return  # it is gone again
        receive = handing_on(first, receive)
        scope["state"]["since"] = time.monotonic()
        self._open[kind, client] += 1
        try:
            if kind == "websocket":
                with contextlib.suppress(OSError):  # the other side is gone
                    await self._app(scope, self._checking(receive, send, client), _once_closed(send))
            else:
                await self._answer(scope, receive, send)
        finally:
            self._open[kind, client] -= 1
            if not self._open[kind, client]:
                del self._open[kind, client]

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request of a client that polls on, if what it says is fine."""
        if scope["method"] == "POST":
            message = await receive()  # the gate has taken the whole body in
            receive = handing_on(message, receive)
            if why := fault_of_body(message.get("body", b"")):
                await _refuse(scope, receive, send, 400, why)
                return
        await self._app(scope, receive, send)

    @staticmethod
    def _checking(receive: Receive, send: Send, client: str) -> Receive:
        """Return a ``receive`` that ends a WebSocket instead of handing on what is refused."""
        pace = Pace(FRAMES_PER_SECOND, 4 * FRAMES_PER_SECOND)

        async def check() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            text = message.get("text")
            frame = text if text is not None else message.get("bytes") or b""
            why = fault(frame) or ("" if pace.allows(client) else "too many frames")
            if not why:
                return message
            logger.warning("A Socket.IO client at %s was let go: %s", client, why)
            with contextlib.suppress(RuntimeError):  # it was closed in this instant
                await send({"type": "websocket.close", "code": 1008, "reason": why})
            return {"type": "websocket.disconnect", "code": 1008}

        return check


def client_of(scope: Scope) -> str:
    """Return whose connection it is: the user with a token in a header, or the address."""
    user: str = scope["state"]["identity"].user
    return user or (scope["client"][0] if scope.get("client") else "")


def _once_closed(send: Send) -> Send:
    """Return a ``send`` that says nothing any more once the other side is gone."""

    async def quietly(message: Message) -> None:
        try:
            await send(message)
        except RuntimeError as error:  # it was closed in this instant, by us
            raise OSError("the connection is closed") from error

    return quietly


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    logger.warning("A Socket.IO client at %s was refused: %s", client_of(scope), reason)
    await refuse(scope, receive, send, RefusedError(status, reason))
