"""Serving: the web application on a socket, until somebody ends it."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from simcampaign.errors import LocationError
from simcampaign.service.app import make_app
from simcampaign.service.assembly import Service
from simcampaign.service.idle import IdleEnd, Visits
from simcampaign.service.security.gate import LARGEST_PACKET
from simcampaign.service.security.patience import PatientProtocol
from simcampaign.service.wire import escaped

GRACE_SECONDS = 5
"""How long requests that are under way are waited for."""


class PlainLines(logging.Formatter):
    """One line for each message: what clients sent cannot pass for a line of its own, or command a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Escape control characters of the message; a traceback below it keeps its lines."""
        return escaped(super().formatMessage(record)).replace("\n", "\\n")


def log_to_stderr(level: int = logging.INFO) -> None:
    """Write the service's log to the error output, in lines with times."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainLines("%(asctime)s %(levelname)s %(message)s"))
    for name in ("simcampaign", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises ``LocationError`` if the address is taken or not of this host."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once only on sockets that say that they are TCP; others wait 40 ms for an ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        reason = f"cannot listen at {host}:{port}: {error.strerror or error}"
        raise LocationError(reason, "take another --port, or 0 for any that is free") from error
    return listening


def url_of(listening: socket.socket) -> str:
    """Return where a socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class Server(uvicorn.Server):
    """A server that lets go of those who listen for ever, before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, at_end: list[Callable[[], None]]) -> None:
        super().__init__(config)
        self._at_end = at_end
        self.up = threading.Event()
        """Set once requests are answered."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin."""
        await super().startup(sockets)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        for each in self._at_end:
            each()
        await super().shutdown(sockets)


def make_server(service: Service, app: ASGIApp | None = None) -> Server:
    """Return the server of a service; ``run(sockets=[…])`` runs it. ``app`` is its application, if it is made yet."""
    config = uvicorn.Config(
        app or make_app(service),
        http=PatientProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws_max_size=LARGEST_PACKET,
        ws_max_queue=16,
        limit_concurrency=service.settings.max_connections,
        backlog=1024,
    )
    return Server(config, service.at_end)


def serve(service: Service, ready: Callable[[str], None]) -> None:
    """Run a service until INT or TERM; ``ready`` is told the URL once it listens."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    listening = listen(service.settings.host, service.settings.port)
    try:
        service.announce(url_of(listening))
        service.start()
        ready(url_of(listening))
        visits = Visits(make_app(service))
        server = make_server(service, visits)
        with contextlib.ExitStack() as stack:
            if service.settings.idle_minutes is not None:

                def end() -> None:
                    server.should_exit = True

                seconds = 60 * service.settings.idle_minutes
                stack.enter_context(IdleEnd(visits, service.is_at_work, seconds, end))
            server.run(sockets=[listening])
    except KeyboardInterrupt:  # the server has ended its requests
        pass
    finally:
        listening.close()
        service.stop()
