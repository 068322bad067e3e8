"""Courses: each simulation of a batch is created, uploaded, started, watched and fetched at its own speed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from simcampaign.errors import ConflictError, LocationError, SimulationError
from simcampaign.web.cache import Cache
from simcampaign.web.record import Record
from simcampaign.web.session import Session, Upload
from simcampaign.web.watching import ENDS, Info

FAILED = ENDS - {"completed", "invalid"}
"""How tasks end that may be started again."""


class Listener(Protocol):
    """Hears what becomes of simulations, by the numbers of their entries."""

    def heard(self, number: int, info: Info) -> None:
        """Hear how one is now."""

    def over(self, number: int, end: Info | Exception) -> None:
        """Hear how one ended: its result is on the disk, or why it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms tasks are started."""

    budget: float | None = None
    priority: int = 0


class Courses:
    """What becomes of a batch's simulations, by the numbers of their entries. All of it belongs to one event loop."""

    def __init__(self, now: Session, record: Record, terms: Terms, cache: Cache) -> None:
        """Ask by ``now``."""
        self.now, self.record = now, record
        self.aborted = False
        self._terms, self._cache = terms, cache
        self._infos: dict[int, Info] = {}
        self._solver = ""

    async def run(self, numbers: Sequence[int], listener: Listener, again: bool = False) -> None:
        """Bring entries to their end; ``again`` starts those once more that did not end well before."""
        try:
            left = await self._look_up(numbers, listener)
        except Exception as error:  # noqa: BLE001 - it is the end of each of them
            _end(numbers, error, listener)
            return
        try:
            if self._terms.budget is not None:
                await self._start_all(left, self._terms.budget, listener, again)
        except Exception as error:  # noqa: BLE001 - none was started
            _end(left, error, listener)
            return
        await asyncio.gather(*(self._bring(number, listener, again) for number in left))

    async def abort(self) -> None:
        """Start nothing more, and end what runs or waits."""
        self.aborted = True
        ids = [info["id"] for info in self._infos.values() if info["id"] and info["status"] not in ENDS]
        if ids:
            await self.now.post("/abort", {"tasks": ids})

    async def _look_up(self, numbers: Sequence[int], listener: Listener) -> list[int]:
        """Take results from the cache; returns the numbers of the others."""
        if self._cache.enabled:
            self._solver = str((await self.now.about())["solver"])
        found = await asyncio.gather(*(asyncio.to_thread(self._is_cached, number) for number in numbers))
        for number in (number for number, cached in zip(numbers, found, strict=True) if cached):
            entry = self.record.entries[number]
            info = {"id": "", "name": entry.name, "status": "completed", "percent": 100.0, "cached": True}
            info |= {"sha256": entry.sha256, "attempt": 0, "estimated": 0.0, "real": 0.0, "message": ""}
            self._hear(number, info, listener)
            listener.over(number, info)
        return [number for number, cached in zip(numbers, found, strict=True) if not cached]

    def _is_cached(self, number: int) -> bool:
        entry = self.record.entries[number]
        return bool(entry.sha256) and self._cache.get(self._key(entry.sha256), self.record.targets(number))

    def _key(self, sha256: str) -> str:
        return Cache.key(sha256, self.record.endpoint, self._solver)

    async def _start_all(self, numbers: Sequence[int], budget: float, listener: Listener, again: bool) -> None:
        """Start all or none, once all are quoted."""
        infos = await asyncio.gather(*(self._create(number, listener) for number in numbers))
        self._check_aborted()
        due = [(info["id"], _attempt(info, again)) for info in infos]
        await self.now.start_all(due, budget, self._terms.priority)

    async def _bring(self, number: int, listener: Listener, again: bool) -> None:
        try:
            listener.over(number, await self._solve(number, listener, again))
        except Exception as error:  # noqa: BLE001 - told to whoever waits for it
            if isinstance(error, LocationError):  # it was deleted; another try makes another task
                self._infos.pop(number, None)
            listener.over(number, error)

    async def _solve(self, number: int, listener: Listener, again: bool) -> Info:
        self._check_aborted()
        info = self._infos.get(number) or await self._create(number, listener)
        if self._terms.budget is None:
            info = await self._start(number, info, listener, again)
        info = await self.now.monitor(info["id"], lambda info: self._hear(number, info, listener))
        first, *others = self.record.targets(number)
        await self.now.download(info, first)
        await asyncio.to_thread(_copy_to, first, others)
        if self._solver:
            await asyncio.to_thread(self._cache.put, self._key(info["sha256"]), first)
        return info

    async def _create(self, number: int, listener: Listener) -> Info:
        entry = self.record.entries[number]
        if entry.task_id:
            info = await self.now.get(f"/tasks/{entry.task_id}")
        else:
            source, key = self.record.sources[entry.sha256], self.record.key(entry)
            upload = Upload(source, entry.sha256, entry.name, self.record.folder, key, self.record.callback_url)
            info = await self.now.upload(upload)
        self._hear(number, info, listener)
        return info

    async def _start(self, number: int, info: Info, listener: Listener, again: bool) -> Info:
        self._check_aborted()
        attempt = _attempt(info, again)
        if attempt == info["attempt"]:
            return info
        info = await self.now.start(info["id"], attempt, self._terms.priority)
        self._hear(number, info, listener)
        if self.aborted:
            await self.now.post("/abort", {"tasks": [info["id"]]})
        return info

    def _hear(self, number: int, info: Info, listener: Listener) -> None:
        self._infos[number] = info
        listener.heard(number, info)

    def _check_aborted(self) -> None:
        if self.aborted:
            raise SimulationError("it was aborted before it was started", "batch.retry_failed()")


def _end(numbers: Iterable[int], error: Exception, listener: Listener) -> None:
    for number in numbers:
        listener.over(number, error)


def _attempt(info: Info, again: bool) -> int:
    """Return the attempt that a task is to have: the first one, the one that it has, or one more."""
    if info["status"] == "draft":
        raise ConflictError(f"task {info['id']} has no simulation yet", "go on by the batch file that has it")
    attempt = int(info["attempt"])
    return attempt + 1 if attempt == 0 or (again and info["status"] in FAILED) else attempt


def _copy_to(source: Path, targets: Iterable[Path]) -> None:
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        shutil.copyfile(source, part)
        part.replace(target)
