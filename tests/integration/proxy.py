"""A fault proxy: an HTTP server between client and service that counts calls and breaks those that it is told to.

Faults are given per call (the last part of its path, e.g. ``submitjob``) and are used up in the order in which they
were given. What the proxy has no fault for it passes on as it is.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

READ_SECONDS = 60.0


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    head: bytes
    body: bytes

    @property
    def call(self) -> str:
        """What Batch names last in the path, Logs in a header."""
        line, *headers = self.head.decode("latin-1").split("\r\n")
        target = next((each.partition(":")[2] for each in headers if each.lower().startswith("x-amz-target:")), "")
        path = line.split(" ")[1].partition("?")[0]
        return (target.rpartition(".")[2] or path.rpartition("/")[2]).strip().lower()


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call."""

    copies: int = 1
    """How often the request is delivered; 0 for one that never arrives."""

    cut: bool = False
    """Whether the connection is reset in the place of an answer."""

    status: int = 0
    """A status with which the proxy itself answers, without passing the request on."""

    seconds: float = 0.0
    """How long the answer is held back."""

    change: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """What is made of the answer's JSON."""

    most: int | None = None
    """Bytes of the answer that arrive before the connection is reset; None for all, and no reset."""

    garbage: bool = False
    """Whether the answer is no JSON."""


LOST_REPLY = Fault(cut=True)
NEVER_DELIVERED = Fault(copies=0, cut=True)
DELIVERED_TWICE = Fault(copies=2)
GARBLED = Fault(garbage=True)
THROTTLED = Fault(status=429)
UNAVAILABLE = Fault(status=503)

_ERRORS = {429: "TooManyRequestsException", 503: "ServiceUnavailableException", 500: "ServerException"}


class Proxy:
    """Runs in a thread of its own from ``with`` to its end."""

    def __init__(self, upstream_port: int) -> None:
        self.counts: Counter[str] = Counter()
        """Requests per call, as clients sent them."""

        self.sent: Counter[str] = Counter()
        """Bytes of answers per call, heads and all, as they were sent to clients."""

        self.hidden: set[str] = set()
        """Job ids that the service has forgotten."""

        self._upstream_port = upstream_port
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="proxy")
        self.endpoint = ""

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def break_next(self, call: str, *faults: Fault) -> None:
        """Break the next calls, one fault each."""
        self._faults[call].extend(faults)

    def break_all(self, call: str, fault: Fault | None) -> None:
        """Break every call that has no fault of its own, until told otherwise with None."""
        if fault is None:
            self._always.pop(call, None)
        else:
            self._always[call] = fault

    def left(self, call: str) -> int:
        """Return how many faults have not been met yet."""
        return len(self._faults[call])

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        await self._stop.wait()
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(_read(reader), READ_SECONDS)
            answer, whole = await self._answer(request)
            self.sent[request.call] += len(answer)
            writer.write(answer)
            await writer.drain()
            if not whole:
                await asyncio.sleep(0.2 if answer else 0)  # what was sent would be dropped at the other end, too
                _reset(writer)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass  # the client went away
        finally:
            writer.close()

    async def _answer(self, request: Request) -> tuple[bytes, bool]:
        """Return what the client is sent, and whether that is all: else its connection is to be reset."""
        call = request.call
        self.counts[call] += 1
        fault = self._faults[call].popleft() if self._faults[call] else self._always.get(call, Fault())
        if fault.status:
            return _error(fault.status), True
        answer = b""
        for _ in range(fault.copies):
            answer = await self._deliver(request)
        await asyncio.sleep(fault.seconds)
        if fault.cut:
            return b"", False
        if fault.most is not None:
            return answer[: fault.most], False
        if fault.garbage:
            return _response(200, b"<html>Welcome to the hotel's network</html>"), True
        if self.hidden and call in {"describejobs", "listjobs"}:
            answer = _changed(answer, self._hide)
        return (_changed(answer, fault.change) if fault.change else answer), True

    def _hide(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {
            name: [job for job in value if job["jobId"].partition(":")[0] not in self.hidden]
            if name in {"jobs", "jobSummaryList"}
            else value
            for name, value in answer.items()
        }

    async def _deliver(self, request: Request) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        lines = [line for line in request.head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        writer.write(b"\r\n".join([*lines, b"Connection: close", b"", request.body]))
        await writer.drain()
        answer = await reader.read()
        writer.close()
        return answer


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    return Request(head, await reader.readexactly(int(length.partition(b":")[2])))


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection so that the other side sees a reset, not an end."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _error(status: int) -> bytes:
    body = json.dumps({"message": f"broken by the proxy ({status})"}).encode()
    return _response(status, body, f"x-amzn-ErrorType: {_ERRORS[status]}\r\n")


def _response(status: int, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def _changed(answer: bytes, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    if status != 200:
        return answer
    return _response(status, json.dumps(change(json.loads(body))).encode())
