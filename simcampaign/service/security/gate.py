"""The gate: every request and every WebSocket passes it before anything else sees it."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simcampaign.service.security.access import ANYBODY, Access, Identity
from simcampaign.service.security.pace import Pace
from simcampaign.service.security.refusals import RAW_HEADERS, RefusedError, handing_on, refuse
from simcampaign.service.settings import Settings, is_loopback

logger = logging.getLogger("simcampaign.service")

SAFE = frozenset({"GET", "HEAD"})
METHODS = SAFE | {"POST", "PUT", "DELETE", "PATCH"}
OPEN_PATHS = frozenset({"/", "/health", "/docs", "/openapi.json"})
SOCKETS = "/socket.io/"
OPEN_FOLDERS = ("/page/", SOCKETS)
"""What needs no token: it tells nothing of jobs. A Socket.IO client shows its token when it connects."""

TIDY3D = "/tidy3d-api/"
"""Where clients of Tidy3D's protocol call."""

LARGEST_PACKET = 64 * 1024
"""Bytes of what a Socket.IO client may say at once."""

UPLOAD = "application/octet-stream"
"""What files come as; a page of another site cannot send that unasked."""

_UPLOADS = re.compile(r"/solver/v1/tasks/[^/]+/simulation")

WRONG_TOKENS_PER_SECOND = 5.0

NOBODY = Identity("", "viewer")
"""Who asks for something that needs no token."""


class Gate:
    """Refuses foreign hosts and origins, unknown tokens, and what is too big, too slow or too often."""

    def __init__(self, app: ASGIApp, settings: Settings, access: Access) -> None:
        """Stand before ``app``."""
        self._app = app
        self._settings = settings
        self._access = access
        self._loopback = is_loopback(settings.host)
        self._names = {settings.host.lower(), "localhost", *(each.lower() for each in settings.allowed_hosts)}
        self._pace = Pace(settings.requests_per_second, 2 * settings.requests_per_second)
        self._wrong = Pace(WRONG_TOKENS_PER_SECOND, 4 * WRONG_TOKENS_PER_SECOND)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
            if scope["type"] == "http":
                receive = await self._whole(scope, receive)
        except RefusedError as refused:
            logger.warning("%s %s refused: %s", scope.get("method", "WEBSOCKET"), scope["path"], refused)
            await refuse(scope, receive, send, refused)
            return
        await self._app(scope, receive, _adding_headers(send) if scope["type"] == "http" else send)

    def _check(self, scope: Scope) -> None:
        headers = _headers(scope)
        method = scope.get("method", "GET")
        if method not in METHODS:
            raise RefusedError(405, "Method Not Allowed", allow=", ".join(sorted(METHODS)))
        peer = scope["client"][0] if scope.get("client") else ""
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise RefusedError(421, "this service has another name; its owner can add this one to allowed_hosts")
        self._check_origin(scope["type"], method, host, headers)
        self._identify(scope, headers, peer)
        who = scope["state"]["identity"].user or peer
        if not self._pace.allows(who):
            raise RefusedError(429, "too many requests", **{"retry-after": "1"})

    def _is_ours(self, host: str) -> bool:
        """Tell whether a Host header names this service; one that is a foreign name leads here by a trick of DNS."""
        name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
        name = name.lower().rstrip(".")
        if name in self._names or name.strip("[]") in self._names:
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return address.is_loopback if self._loopback else True

    def _check_origin(self, kind: str, method: str, host: str, headers: Mapping[str, str]) -> None:
        origin = headers.get("origin")
        if origin is not None and not _same(origin, host):
            raise RefusedError(403, "requests from pages of other sites are refused")
        if (kind == "websocket" or method not in SAFE) and headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            raise RefusedError(403, "requests from pages of other sites are refused")

    def _identify(self, scope: Scope, headers: Mapping[str, str], peer: str) -> None:
        state = scope.setdefault("state", {})
        if not self._access.guarded:
            state["identity"] = ANYBODY
            return
        path = scope["path"]
        token = _token(path, headers)
        identity = self._access.identify(token) if token else None
        if identity is None and not (path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)):
            if token and not self._wrong.allows(peer):
                raise RefusedError(429, "too many wrong tokens", **{"retry-after": "10"})
            reason = "this token is not known" if token else "a token is needed: Authorization: Bearer TOKEN"
            raise RefusedError(401, reason, **{"www-authenticate": "Bearer"})
        state["identity"] = identity or NOBODY

    async def _whole(self, scope: Scope, receive: Receive) -> Receive:
        """Take the body in, so far as it is small and comes soon, and return what hands it on."""
        headers = _headers(scope)
        is_packet = scope["path"].startswith(SOCKETS)
        most = LARGEST_PACKET if is_packet else self._settings.max_body_bytes
        length = headers.get("content-length")
        if length is None and "transfer-encoding" not in headers:
            return receive
        if length is not None and "transfer-encoding" in headers:
            raise RefusedError(400, "the body has two lengths")
        uploads = self._settings.solver.max_file_bytes if is_upload(scope["path"], scope["method"]) else 0
        most = uploads or most
        if length is not None and (not length.isdecimal() or int(length) > most):
            raise RefusedError(413, f"the body is larger than {most} bytes")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if uploads:
            if kind != UPLOAD:
                raise RefusedError(415, f"the body must be {UPLOAD}")
            return _bounded(receive, most, self._settings.body_seconds)
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                body = await _read(receive, most)
        except TimeoutError:
            raise RefusedError(408, f"the body took longer than {self._settings.body_seconds:g} s") from None
        if body and kind != "application/json" and not is_packet:
            raise RefusedError(415, "the body must be application/json")
        return handing_on({"type": "http.request", "body": body, "more_body": False}, receive)


def _token(path: str, headers: Mapping[str, str]) -> str:
    """Return the token that a request shows; clients of Tidy3D's protocol show it as their API key."""
    if path.startswith(TIDY3D):
        return headers.get("simcloud-api-key", "").strip()
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def is_upload(path: str, method: str) -> bool:
    """Tell whether a request brings a file, which is not kept in memory."""
    return method == "PUT" and _UPLOADS.fullmatch(path) is not None


def _bounded(receive: Receive, most: int, seconds: float) -> Receive:
    """Return what hands a body on as it comes; its reader is told of one that is too large, or stops coming."""
    size = 0

    async def hand_on() -> Message:
        nonlocal size
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"nothing came for {seconds:g} s", {"connection": "close"}) from None
        size += len(message.get("body", b""))
        if size > most:
            raise HTTPException(413, f"the body is larger than {most} bytes", {"connection": "close"})
        return message

    return hand_on


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _same(origin: str, host: str) -> bool:
    """Tell whether an origin is the page of this service; what stands before it may speak TLS."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


async def _read(receive: Receive, most: int) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "the body is cut off")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise RefusedError(413, f"the body is larger than {most} bytes")
        if not message.get("more_body", False):
            return b"".join(parts)


def _adding_headers(send: Send) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", [])}
            added = [(name, value) for name, value in RAW_HEADERS if name not in present]
            if b"cache-control" not in present:
                added.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return add
