"""Refusals: how the service says that a request goes no further."""

from __future__ import annotations

import asyncio
import contextlib
import json

from starlette.types import Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""What every answer has."""

RAW_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

_UNREAD = frozenset({400, 408, 413, 415})
"""Refusals of which a body may still be on its way."""

_LINGER_BYTES = 4 * 2**20
_LINGER_SECONDS = 1.0


class RefusedError(Exception):
    """The request goes no further."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers


async def refuse(scope: Scope, receive: Receive, send: Send, refused: RefusedError) -> None:
    """Answer why a request or a WebSocket goes no further."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": str(refused)})
        return
    body = json.dumps({"success": False, "error": str(refused)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((name.encode(), value.encode()) for name, value in refused.headers.items()),
        *RAW_HEADERS,
    ]
    unread = refused.status in _UNREAD
    if unread:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": unread})
    if unread:
        await _linger(receive)
        await send({"type": "http.response.body", "body": b""})


def handing_on(message: Message, receive: Receive) -> Receive:
    """Return a ``receive`` that hands on a message that was taken in, and then what comes."""
    messages = [message]

    async def hand_on() -> Message:
        return messages.pop() if messages else await receive()

    return hand_on


async def _linger(receive: Receive) -> None:
    """Take in a little of what still comes: who closes at once resets the connection, and the answer with it."""
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while size < _LINGER_BYTES:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                size += len(message.get("body", b""))
