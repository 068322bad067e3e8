"""Socket.IO, made once everything else works: its library takes as long to import as half of the service."""

from __future__ import annotations

import asyncio
import importlib

from starlette.types import ASGIApp, Receive, Scope, Send

from simcampaign.service.assembly import Service
from simcampaign.service.logs import Tails
from simcampaign.service.news import News
from simcampaign.service.security.gate import SOCKETS

SERVER = "simcampaign.service.sockets.server"


class LateSockets:
    """Serves Socket.IO at ``/socket.io/``, and hands everything else to ``rest``."""

    def __init__(self, service: Service, news: News, tails: Tails, rest: ASGIApp) -> None:
        """Serve events of ``service``; nothing is made yet."""
        self._service, self._news, self._tails, self._rest = service, news, tails, rest
        self._making = asyncio.Lock()
        self._sockets: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] in {"http", "websocket"} and scope["path"].startswith(SOCKETS):
            await (self._sockets or await self._made())(scope, receive, send)
        else:
            if scope["type"] == "lifespan":  # the service answers already: make it now, so that no client waits for it
                self._early = asyncio.ensure_future(self._made())
            await self._rest(scope, receive, send)

    async def _made(self) -> ASGIApp:
        async with self._making:
            if self._sockets is None:
                server = await asyncio.to_thread(importlib.import_module, SERVER)
                self._sockets = server.make_sockets(self._service, self._news, self._tails)
            return self._sockets
