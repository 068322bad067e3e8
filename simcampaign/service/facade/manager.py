"""The job manager for programs that use asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from simcampaign.service.core.limits import ResourceLimits
from simcampaign.service.facade.desk import Config, Desk, Jobs
from simcampaign.service.facade.owner import Source, owners_settings


class JobManager:
    """A queue of jobs in this process, without a web server. Its methods can be awaited in any event loop.

    It opens when something is first asked of it, and again after ``close()``; what it queued stays queued meanwhile.
    Whoever writes this program owns it, and may have it run any command, with any file that the program can read.
    """

    def __init__(
        self, resource_limits: ResourceLimits | None = None, *, settings: Source = None, ledger: str | None = None
    ) -> None:
        """Describe it; see ``JobManagerHandler`` for ``settings`` and ``ledger``. Raises ``ConfigError``."""
        self._desk = Desk(owners_settings(settings, ledger=ledger, resource_limits=resource_limits))

    @classmethod
    def at(cls, desk: Desk) -> Self:
        """Return the manager of a desk that is there."""
        manager = cls.__new__(cls)
        manager._desk = desk
        return manager

    def close(self) -> None:
        """Stop; jobs that run go on, and the next manager attaches to them."""
        self._desk.close()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._desk.open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    @property
    def jobs(self) -> Mapping[str, Any]:
        """All jobs by id, as they are now."""
        return Jobs(self._desk)

    @property
    def resource_limits(self) -> ResourceLimits:
        """What may be used of this host."""
        return self._desk.limits

    async def submit_job(self, config: Config, priority: int = 0) -> str:
        """Queue a job and return its id once it is on the disk. Raises ``ConfigError``, ``ConflictError``."""
        written = await asyncio.to_thread(self._desk.submit, config, priority)
        row, _ = await asyncio.wrap_future(written)
        return row.id

    async def cancel_job(self, job_id: str) -> bool:
        """Cancel a job; False if there is none, or it is over. It has ended when ``wait_until_done`` returns."""
        return await asyncio.to_thread(self._desk.cancel, job_id)

    async def edit_concurrent_limits(self, update_data: Mapping[str, object]) -> dict[str, float]:
        """Change limits, all or none, and return the four. Raises ``ConfigError``."""
        return await asyncio.to_thread(self._desk.set_limits, update_data)

    async def wait_until_done(self, job_id: str, timeout: float | None = None) -> str:
        """Return the state in which a job ends. Raises ``TimeoutError``, ``ConfigError`` if there is no such job."""
        future = await asyncio.to_thread(self._desk.end_of, job_id)
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), timeout)

    async def wait_until_all_done(self, timeout: float | None = None) -> None:
        """Return when no job is left that is not over. Raises ``TimeoutError``."""
        async with asyncio.timeout(timeout):
            while left := await asyncio.to_thread(self._desk.unfinished):
                await self.wait_until_done(left[0])
