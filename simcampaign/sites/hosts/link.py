"""One connection to a host: made when it is needed, shared by all calls, made again when it died."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar, cast

import asyncssh

from simcampaign.errors import NetworkError, SiteError, shorten
from simcampaign.sites.hosts.base import Done
from simcampaign.sites.hosts.connecting import Way, close_all, login
from simcampaign.sites.hosts.options import HostOptions
from simcampaign.sites.hosts.shell import kill_script, new_token, posix_line, session_line

COMMANDS = 4
"""Commands at a time; with the file channel that makes five: a server takes ten, and counts those that are closing."""

IDLE_SECONDS = 20.0
"""A connection that was not used for longer is tried before it is trusted: this machine may have slept."""

PROBE_SECONDS = 5.0
"""Seconds within which a connection that lives answers."""

_FULL_SECONDS = 30.0
"""How long a server is asked again that has no channel free."""

_LOST = (asyncssh.DisconnectError, asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, ConnectionError)
_MARK_LENGTH = 60

T = TypeVar("T")
Process = asyncssh.SSHClientProcess[bytes]


class _CutError(Exception):
    """The connection ended before anything was asked of the host."""


class Link:
    """The connection to one host; used in one event loop only."""

    def __init__(self, options: HostOptions) -> None:
        """Connect to nothing yet."""
        self.name = login(options)
        self._way = Way(options, self.name)
        self._chain: list[asyncssh.SSHClientConnection] = []
        self._files: asyncssh.SFTPClient | None = None
        self._used = 0.0
        self._busy = 0
        self._lock = asyncio.Lock()
        self._slots = asyncio.Semaphore(COMMANDS)

    async def close(self) -> None:
        """Give the connection up."""
        async with self._lock:
            await self._drop()

    async def run(self, command: Sequence[str], stdin: bytes, timeout_seconds: float) -> Done:
        """Run a program there; it is begun once, or not at all."""
        shown = shorten(" ".join(command))
        async with self._slots:
            try:
                async with asyncio.timeout(timeout_seconds) as clock:
                    for last in (False, True):
                        try:
                            return await self._run(await self._connection(), command, stdin)
                        except _CutError as error:
                            if last:
                                raise NetworkError(f"host {self.name} cut the connection: {error}") from error
            except TimeoutError as error:
                if not clock.expired():
                    raise
                raise NetworkError(
                    f"{shown!r} did not end within {timeout_seconds:g} s on {self.name} and was killed"
                ) from error
        raise AssertionError("unreachable")

    async def files(self, work: Callable[[asyncssh.SFTPClient], Awaitable[T]]) -> T:
        """Do something with files that may be done twice; it is, once, if the connection turns out dead."""
        for last in (False, True):
            client = None
            try:
                client = await self._file_client()
                with self._at_work():
                    return await work(client)
            except (_CutError, *_LOST) as error:
                async with self._lock:
                    if self._files is client:
                        await self._drop()
                if last:
                    raise NetworkError(f"the connection to host {self.name} was cut: {error}") from error
        raise AssertionError("unreachable")

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._used = time.time()

    async def _connection(self) -> asyncssh.SSHClientConnection:
        async with self._lock:
            if self._chain and self._chain[-1].is_closed():
                await self._drop()
            rested = not self._busy and not 0 <= time.time() - self._used < IDLE_SECONDS
            if self._chain and rested and not await self._answers():
                await self._drop()
            if not self._chain:
                self._chain = await self._way.connect()
            self._used = time.time()
            return self._chain[-1]

    async def _answers(self) -> bool:
        """Tell whether the connection lives, by a question that changes nothing."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                if self._files is None:
                    self._files = await _start_files(self._chain[-1])
                await self._files.realpath(".")
        except (asyncssh.Error, OSError):
            return False
        return True

    async def _file_client(self) -> asyncssh.SFTPClient:
        connection = await self._connection()
        async with self._lock:
            if self._files is None:
                self._files = await _when_free(self.name, connection, lambda: _start_files(connection))
            return self._files

    async def _drop(self) -> None:
        chain, self._chain, self._files = self._chain, [], None
        await close_all(chain)

    async def _run(self, connection: asyncssh.SSHClientConnection, command: Sequence[str], stdin: bytes) -> Done:
        token = new_token()
        line = session_line(command, token)
        begun = False

        def begin() -> Process:
            nonlocal begun
            begun = True
            return Process()

        async def start() -> Process:
            # asyncssh takes bytes as they are, and says it takes text
            channel, process = await connection.create_session(begin, cast("str", line), encoding=None)
            with contextlib.suppress(BrokenPipeError):  # the command has ended already, and reads nothing
                if stdin:
                    channel.write(stdin)
                channel.write_eof()
            return cast("Process", process)

        try:
            process = await _when_free(self.name, connection, start, lambda: begun)
        except asyncssh.ChannelOpenError as error:
            if connection.is_closed():
                raise self._perhaps(command) from error
            raise SiteError(f"host {self.name} lets nobody run commands: {error.reason}") from error
        except _LOST as error:
            raise self._perhaps(command) from error
        with self._at_work():
            return await self._finish(connection, process, command, token)

    async def _finish(
        self, connection: asyncssh.SSHClientConnection, process: Process, command: Sequence[str], token: str
    ) -> Done:
        pid = 0
        try:
            mark = re.compile(rb"\n%s (\d+)\n" % token.encode())
            try:
                before = await process.stdout.readuntil(mark, _MARK_LENGTH)
            except asyncio.IncompleteReadError as error:
                raise await self._no_shell(process, command, error.partial) from error
            pid = int(before.split()[-1])
            out, err = await process.communicate()
        except asyncio.CancelledError:
            await self._kill(connection, process, pid)
            raise
        except _LOST as error:
            raise self._perhaps(command) from error
        return Done(self._code(process, command), bytes(out or b""), bytes(err or b""))

    async def _no_shell(self, process: Process, command: Sequence[str], said: bytes) -> Exception:
        """Return what is to be said of a host that ended the session before the program began."""
        _, err = await process.communicate()
        if process.exit_status is None and process.exit_signal is None:
            return self._perhaps(command)
        text = shorten((said + bytes(err or b"")).decode(errors="replace").strip()) or "nothing"
        return SiteError(
            f"host {self.name} has no shell for us: it answered {text!r} to {shorten(' '.join(command))!r}",
            f"see what it says to: ssh {self.name} /bin/sh -c true",
        )

    def _perhaps(self, command: Sequence[str]) -> NetworkError:
        return NetworkError(
            f"the connection to host {self.name} was cut during {shorten(' '.join(command))!r}, which may have run"
        )

    def _code(self, process: Process, command: Sequence[str]) -> int:
        if process.exit_signal is not None:
            number = getattr(signal, f"SIG{process.exit_signal[0]}", 0)
            return 128 + int(number)
        if process.exit_status is None:
            raise self._perhaps(command)
        return process.exit_status

    async def _kill(self, connection: asyncssh.SSHClientConnection, process: Process, pid: int) -> None:
        """Kill what was begun there: to close its channel would leave it running."""
        with suppress(asyncssh.Error, OSError):
            async with asyncio.timeout(PROBE_SECONDS):
                if pid and not connection.is_closed():
                    line = posix_line(kill_script(pid))
                    await connection.run(line, encoding=None, stdin=asyncssh.DEVNULL)
        process.close()


async def _start_files(connection: asyncssh.SSHClientConnection) -> asyncssh.SFTPClient:
    return await connection.start_sftp_client(path_errors="surrogateescape")


async def _when_free(
    name: str,
    connection: asyncssh.SSHClientConnection,
    open_channel: Callable[[], Awaitable[T]],
    begun: Callable[[], bool] = lambda: False,
) -> T:
    """Open a channel, and again while the server has none free; ``_CutError`` if the connection is dead."""
    until, nap = time.monotonic() + _FULL_SECONDS, 0.02
    while True:
        try:
            return await open_channel()
        except asyncssh.ChannelOpenError as error:
            if begun():
                raise
            if connection.is_closed():
                raise _CutError(error.reason) from error
            if time.monotonic() > until:
                raise SiteError(
                    f"host {name} has no channel free: {error.reason}", "see MaxSessions of its sshd_config"
                ) from error
        except _LOST as error:
            if begun():
                raise
            raise _CutError(str(error)) from error
        await asyncio.sleep(nap)
        nap = min(nap * 2, 1.0)
