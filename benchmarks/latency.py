"""A slow way to a host on this one: the kernel's own delay in a network namespace, or else a relay that holds back."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PIECE = 65536
_BUFFER_SECONDS = 0.02
"""What a line takes in before it is through with it."""


class NoNamespace(Exception):  # noqa: N818 - not being there is no error of ours
    """The kernel cannot delay packets here."""


@contextmanager
def slow_namespace(milliseconds: float) -> Iterator[list[str]]:
    """Give a network of its own in which a packet and its answer take so long, as the words before a command.

    Raises ``NoNamespace``.
    """
    if os.geteuid() != 0:
        raise NoNamespace("making a network namespace needs root")
    for program in ("ip", "tc"):
        if shutil.which(program) is None:
            raise NoNamespace(f"{program} is not installed (Debian: apt-get install iproute2)")
    name = f"simcampaign-{os.getpid()}"
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("tc", "-n", name, "qdisc", "add", "dev", "lo", "root", "netem", "delay", f"{milliseconds / 2:g}ms")
        yield ["ip", "netns", "exec", name]
    finally:
        _run("ip", "netns", "del", name)


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise NoNamespace(f"{' '.join(command[:1] + command[3:])}: {done.stderr.strip()}")


@contextmanager
def slow_relay(upstream: int, milliseconds: float, megabits: float | None = None) -> Iterator[int]:
    """Give a port that leads to the port ``upstream``, on which a question and its answer take so much longer.

    All connections together carry so many ``megabits`` a second in each direction.
    """
    loop = asyncio.new_event_loop()
    relay = _Relay(upstream, milliseconds / 2000, megabits)
    server = loop.run_until_complete(asyncio.start_server(relay.serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


class _Line:
    """What all connections share in one direction: it carries one piece after the other."""

    def __init__(self, megabits: float | None) -> None:
        self._per_byte = 8e-6 / megabits if megabits else 0.0
        self._free = 0.0

    async def carry(self, count: int) -> float:
        """Return when so many bytes are through; who sends waits while much is on its way."""
        loop = asyncio.get_running_loop()
        self._free = done = max(self._free, loop.time()) + count * self._per_byte
        await asyncio.sleep(done - loop.time() - _BUFFER_SECONDS)
        return done


class _Relay:
    """Passes on what comes after a delay, in each direction, and the making of a connection, too."""

    def __init__(self, upstream: int, delay: float, megabits: float | None) -> None:
        self._upstream, self._delay = upstream, delay
        self._there, self._back = _Line(megabits), _Line(megabits)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * self._delay)  # SYN and SYN-ACK
        there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        await asyncio.gather(self._pass_on(reader, back, self._there), self._pass_on(there, writer, self._back))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: _Line) -> None:
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def write() -> None:
            while True:
                due, piece = await pieces.get()
                await asyncio.sleep(due - loop.time())
                if not piece:
                    writer.close()
                    return
                writer.write(piece)
                await writer.drain()

        writing = asyncio.create_task(write())
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                pieces.put_nowait((await line.carry(len(piece)) + self._delay, piece))
        pieces.put_nowait((loop.time() + self._delay, b""))
        with suppress(OSError):
            await writing
