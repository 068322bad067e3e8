"""Patience: headers that are too slow or too large end a connection, so that idle ones cannot take all places."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0
"""Longest time from the first byte of a request, or the connection, to the end of its headers."""

LARGEST_HEADERS = 64 * 1024
"""Bytes of a request's first line and headers."""


class PatientProtocol(HttpToolsProtocol):
    """HTTP as uvicorn speaks it, with limits on the time and the size of headers; it has none itself."""

    _deadline: asyncio.TimerHandle | None = None
    _in_headers = False
    _headers_size = 0
    """Bytes of the headers that are complete."""

    _pending = 0
    """Bytes that came in pieces of which none has completed the headers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, for a while."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take bytes in; the time runs unless they belong to a request that is worked on."""
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return  # a WebSocket has it now
        if self._in_headers:
            self._pending += len(data)
            if self._pending > LARGEST_HEADERS:
                self.send_400_response("The headers are too large.")
                return
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()

    def on_message_begin(self) -> None:
        """Count from here on."""
        super().on_message_begin()
        self._in_headers, self._headers_size, self._pending = True, 0, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header in. Raises ValueError, of which the client is told, if there are too many."""
        self._headers_size += len(name) + len(value)
        if self._headers_size > LARGEST_HEADERS:
            raise ValueError("the headers are too large")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Let the request take its time."""
        self._in_headers = False
        self._rest()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._rest()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the WebSocket."""
        self._rest()
        super().handle_websocket_upgrade()

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
