"""The link to a solver: requests that are retried, and files that go on where they were cut off."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx

from simcampaign.errors import (
    ABSENT,
    ConfigError,
    ConflictError,
    LocationError,
    NetworkError,
    Problem,
    SimcampaignError,
)
from simcampaign.web.busy import BusyError, trying
from simcampaign.web.lanes import Lanes

PREFIX = "/solver/v1"
PIECE = 2**20
"""Bytes of a file that are read and sent at once."""

TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})

T = TypeVar("T")
Told = Callable[[int], None]
"""Is called with the number of bytes that went through."""


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes on the disk: a file, or a part of one."""

    path: Path
    size: int
    start: int = 0


class Link:
    """Talks to one service. All its methods belong to one event loop."""

    def __init__(self, url: str, token: str = "", transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Talk to the service at ``url``; a ``transport`` in place of the network is for tests."""
        self.url = url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        limits = httpx.Limits(max_connections=80, max_keepalive_connections=80)
        self._http = httpx.AsyncClient(
            base_url=f"{self.url}{PREFIX}", headers=headers, timeout=TIMEOUT, limits=limits, transport=transport
        )
        self._up, self._down = Lanes(), Lanes()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(self, method: str, path: str, *, patience: float = 0.0, **more: Any) -> httpx.Response:
        """Send a request that may be sent twice, and return the answer. ``patience``: seconds it may take longer."""
        timeout = httpx.Timeout(60.0 + patience, connect=10.0)

        async def once() -> httpx.Response:
            with _told_as_busy():
                return _checked(await self._http.request(method, path, timeout=timeout, **more))

        return await self._trying(once)

    async def _trying(self, once: Callable[[], Awaitable[T]]) -> T:
        try:
            return await trying(once)
        except BusyError as error:
            raise NetworkError(f"{self.url} does not answer: {error}", f"curl {self.url}/health") from error

    async def upload(self, task_id: str, source: Source, offset: int, told: Told | None = None) -> dict[str, Any]:
        """Send bytes from an offset on, and go on where it was cut off; returns the task."""
        here = [offset]

        async def once() -> dict[str, Any]:
            if here[0] < 0:  # it was cut off: ask how far it came
                task = (await self.ask("GET", f"/tasks/{task_id}")).json()
                if task["status"] != "draft":
                    return dict(task)
                here[0] = int(task["arrived"])
            start, here[0] = here[0], -1
            async with self._up.turn():
                with _told_as_busy():
                    answer = await self._http.put(
                        f"/tasks/{task_id}/simulation",
                        params={"offset": start},
                        content=_pieces(source, start, told),
                        headers={
                            "content-type": "application/octet-stream",
                            "content-length": str(source.size - start),
                        },
                    )
                    return dict(_checked(answer).json())

        return await self._trying(once)

    async def download(self, path: str, target: Path, sha256: str, told: Told | None = None) -> None:
        """Fetch a file, go on where it was cut off, and put it in place once its checksum is right."""
        if await asyncio.to_thread(has_digest, target, sha256):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with _part(target, sha256) as part:

            async def once() -> None:
                offset = part.stat().st_size
                headers = {"range": f"bytes={offset}-", "if-range": f'"{sha256}"'} if offset else {}
                async with self._down.turn():
                    with _told_as_busy():
                        async with self._http.stream("GET", path, headers=headers) as answer:
                            if answer.status_code != 416:  # else nothing is left to fetch
                                await _take_in(answer, part, told)
                if not await asyncio.to_thread(has_digest, part, sha256):
                    os.truncate(part, 0)
                    raise BusyError("what arrived is not what was sent")

            await self._trying(once)
            part.replace(target)


@contextlib.contextmanager
def _part(target: Path, sha256: str) -> Iterator[Path]:
    """Give the file of what arrived so far, for this process alone: another gets one of its own."""
    part = target.with_name(f".{target.name}.{sha256[:16]}.part")
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(part.open("ab"))
        if _is_ours(file, part):
            stack.callback(_remove_if_empty, part)
        else:
            part = target.with_name(f".{target.name}.{sha256[:16]}.{os.getpid()}-{id(file)}.part")
            stack.callback(part.unlink, missing_ok=True)
            part.touch()
        yield part


def _remove_if_empty(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not path.stat().st_size:
            path.unlink()


def _is_ours(file: IO[bytes], path: Path) -> bool:
    """Lock a file that is open; False if another process has it, or has moved it by now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


async def _take_in(answer: httpx.Response, part: Path, told: Told | None) -> None:
    """Write what is sent to a file, behind what is there if that was asked for."""
    if answer.status_code >= 300:
        await answer.aread()
    _checked(answer)
    with part.open("ab" if answer.status_code == 206 else "wb") as file:
        async for piece in answer.aiter_bytes():
            await asyncio.to_thread(file.write, piece)
            if told is not None:
                told(len(piece))


async def _pieces(source: Source, offset: int, told: Told | None) -> AsyncIterator[bytes]:
    left = source.size - offset
    with source.path.open("rb") as file:
        file.seek(source.start + offset)
        while left and (piece := await asyncio.to_thread(file.read, min(PIECE, left))):
            left -= len(piece)
            yield piece
            if told is not None:
                told(len(piece))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_digest(path: Path, sha256: str) -> bool:
    """Tell whether a file is there and has this checksum."""
    try:
        return digest(path) == sha256
    except OSError:
        return False


@contextlib.contextmanager
def _told_as_busy() -> Iterator[None]:
    """Turn what a cut or slow connection raises into ``BusyError``."""
    try:
        yield
    except httpx.TransportError as error:
        raise BusyError(str(error) or type(error).__name__) from error


def _checked(answer: httpx.Response) -> httpx.Response:
    """Return a good answer; raise what another one means."""
    if answer.is_success:
        return answer
    if answer.status_code in _BUSY:
        raise BusyError(f"HTTP {answer.status_code}: {_text(answer)}", _after(answer))
    raise _error(answer)


def _after(answer: httpx.Response) -> float | None:
    """Return the seconds of a Retry-After; dates are not read."""
    with contextlib.suppress(KeyError, ValueError):
        return float(answer.headers["retry-after"])
    return None


def _text(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]


def _error(answer: httpx.Response) -> SimcampaignError:
    text = _text(answer)
    hint = ""
    with contextlib.suppress(ValueError, AttributeError):
        hint = str(answer.json().get("hint", ""))
    if answer.status_code in {401, 403}:
        return ConfigError([Problem("SIMCAMPAIGN_SOLVER_TOKEN", ABSENT, text)], "ask the owner of the service")
    if answer.status_code in {400, 413, 415, 422}:
        return ConfigError([Problem("request", ABSENT, text)], hint)
    if answer.status_code == 409:
        return ConflictError(text, hint)
    if answer.status_code == 404:
        return LocationError(text, hint or "see what is there: web.get_tasks()")
    return NetworkError(f"HTTP {answer.status_code}: {text}", hint)
