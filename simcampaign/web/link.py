"""The link to a solver: requests that are retried, and files that go on where they were cut off."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import stamina

from simcampaign.errors import (
    ABSENT,
    ConfigError,
    ConflictError,
    LocationError,
    NetworkError,
    Problem,
    SimcampaignError,
)

PREFIX = "/solver/v1"
PIECE = 256 * 1024
"""Bytes of a file that are read and sent at once."""

TRIES = 8
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})

T = TypeVar("T")
Told = Callable[[int], None]
"""Is called with the number of bytes that went through."""


class BusyError(Exception):
    """The service cannot answer just now, or the connection was cut: to be tried again."""


class Link:
    """Talks to one service. All its methods belong to one event loop."""

    def __init__(self, url: str, token: str = "", transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Talk to the service at ``url``; a ``transport`` in place of the network is for tests."""
        self.url = url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        limits = httpx.Limits(max_connections=40, max_keepalive_connections=20)
        self._http = httpx.AsyncClient(
            base_url=f"{self.url}{PREFIX}", headers=headers, timeout=TIMEOUT, limits=limits, transport=transport
        )

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
            retrying = stamina.retry_context(
                on=BusyError, attempts=TRIES, timeout=180, wait_initial=0.2, wait_max=15, wait_jitter=0.5
            )
            async for attempt in retrying:
                with attempt:
                    return await once()
        except BusyError as error:
            raise NetworkError(f"{self.url} does not answer: {error}", f"curl {self.url}/health") from error
        raise AssertionError("there is at least one try")

    async def upload(self, task_id: str, path: Path, offset: int, told: Told | None = None) -> dict[str, Any]:
        """Send a file from an offset on, and go on where it was cut off; returns the task."""
        size = path.stat().st_size
        here = [offset]

        async def once() -> dict[str, Any]:
            if here[0] < 0:  # it was cut off: ask how far it came
                task = (await self.ask("GET", f"/tasks/{task_id}")).json()
                if task["status"] != "draft":
                    return dict(task)
                here[0] = int(task["arrived"])
            start, here[0] = here[0], -1
            with _told_as_busy():
                answer = await self._http.put(
                    f"/tasks/{task_id}/simulation",
                    params={"offset": start},
                    content=_pieces(path, start, told),
                    headers={"content-type": "application/octet-stream", "content-length": str(size - start)},
                )
                return dict(_checked(answer).json())

        return await self._trying(once)

    async def download(self, path: str, target: Path, sha256: str, told: Told | None = None) -> None:
        """Fetch a file, go on where it was cut off, and put it in place once its checksum is right."""
        part = target.with_name(f".{target.name}.{sha256[:16]}.part")
        target.parent.mkdir(parents=True, exist_ok=True)

        async def once() -> None:
            offset = part.stat().st_size if part.exists() else 0
            headers = {"range": f"bytes={offset}-", "if-range": f'"{sha256}"'} if offset else {}
            with _told_as_busy():
                async with self._http.stream("GET", path, headers=headers) as answer:
                    if answer.status_code != 416:  # else nothing is left to fetch
                        await _take_in(answer, part, told)
            if await asyncio.to_thread(digest, part) != sha256:
                part.unlink()
                raise BusyError("what arrived is not what was sent")

        await self._trying(once)
        part.replace(target)


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


async def _pieces(path: Path, offset: int, told: Told | None) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
            if told is not None:
                told(len(piece))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        raise BusyError(f"HTTP {answer.status_code}: {_text(answer)}")
    raise _error(answer)


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
