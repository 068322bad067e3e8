"""Logs of jobs as clients see them: parts of them, and what comes next as it is printed."""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from simcampaign.ledger.queuerows import QueueRow
from simcampaign.service.assembly import Service
from simcampaign.service.wire import printable

LONGEST_PART = 2**20
"""Bytes of a log in one answer."""

QUIET_SECONDS = 15.0
"""A client that is told nothing else gets a sign of life this often."""


@dataclass(frozen=True, slots=True)
class LogPart:
    """A part of a log. Control characters other than ends of lines and tabs are escaped."""

    text: str
    offset: int
    """Where it begins, in bytes of the log."""

    following: int
    """Where the next part begins."""


def read_part(service: Service, row: QueueRow, offset: int) -> LogPart:
    """Return what a job printed from an offset on; a character that is not complete yet is left for the next part."""
    data = service.dispatcher.lane(row.site).log(row, offset, LONGEST_PART)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=row.state.over and len(data) < LONGEST_PART)
    return LogPart(printable(text), offset, offset + len(data) - len(decoder.getstate()[0]))


class Tails:
    """Tells clients what jobs print, as they print it."""

    def __init__(self, service: Service) -> None:
        """Follow logs of the jobs of ``service`` until it ends."""
        self._service = service
        self._ended = asyncio.Event()
        service.at_end.append(self._ended.set)

    async def parts(self, job_id: str, offset: int, tail: int | None = None) -> AsyncIterator[LogPart | None]:
        """Yield a log from an offset on, as it grows, until its job is over and all of it is told.

        With ``tail`` it begins that many bytes before what is its end now. None stands for a while in which nothing
        came; the last part, if the job is over, has no text.
        """
        if tail is not None:
            offset = max(0, await run_in_threadpool(self._size, job_id) - tail)
        quiet = 0.0
        while not self._ended.is_set():
            try:
                row = await run_in_threadpool(self._service.book.get, job_id)
            except KeyError:
                break
            part = await run_in_threadpool(read_part, self._service, row, offset)
            offset = part.following
            if part.text:
                yield part
                quiet = 0.0
            elif row.state.over:
                yield part
                break
            else:
                pause = self._service.dispatcher.lane(row.site).log_seconds
                quiet += pause
                if quiet >= QUIET_SECONDS:
                    yield None
                    quiet = 0.0
                await self._rest(pause)

    async def stream(self, job_id: str, offset: int, tail: int | None = None) -> AsyncIterator[str]:
        """Yield a log as ``parts`` does, as server-sent events ``job_log``, and ``log_end`` behind the last."""
        yield ": here\n\n"
        async for part in self.parts(job_id, offset, tail):
            if part is None:
                yield ": here\n\n"
            else:
                yield _event("job_log" if part.text else "log_end", job_id, part)

    def _size(self, job_id: str) -> int:
        try:
            row = self._service.book.get(job_id)
        except KeyError:
            return 0
        return self._service.dispatcher.lane(row.site).log_size(row)

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._ended.wait(), seconds)
        except TimeoutError:
            return


def told(job_id: str, part: LogPart) -> dict[str, str | int]:
    """Return what clients are told of a part of a job's log."""
    return {"job_id": job_id, "offset": part.offset, "text": part.text, "next_offset": part.following}


def _event(kind: str, job_id: str, part: LogPart) -> str:
    return f"event: {kind}\ndata: {json.dumps(told(job_id, part), separators=(',', ':'))}\n\n"
