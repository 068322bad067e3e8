"""The desk: a job manager in this process, at the hand of its owner. It can be opened again after it was closed."""

from __future__ import annotations

import atexit
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from simcampaign.errors import ConfigError, Problem
from simcampaign.ledger.queuerows import QueueFilter, QueueRow, QueueState
from simcampaign.service.applications import Asker, hfss, new_job
from simcampaign.service.assembly import Service
from simcampaign.service.core.limits import ResourceLimits
from simcampaign.service.facade.config import SimulationConfig
from simcampaign.service.facade.ends import Ends
from simcampaign.service.settings import ApplicationConfig, Settings

Config = Mapping[str, Any] | SimulationConfig


@dataclass(frozen=True, slots=True)
class JobInfo:
    """What is known of a job."""

    config: Mapping[str, Any]
    status: QueueState
    """Equal to the plain word, e.g. ``"completed"``."""

    start_time: datetime | None
    end_time: datetime | None
    return_code: int | None
    error: str
    """Why it failed; empty if it did not."""

    scheduler_job_id: str | None
    priority: int
    user: str


class Desk:
    """Opens a service when something is asked of it, and answers for its owner. Safe to use from many threads."""

    def __init__(self, settings: Settings) -> None:
        """Describe the service; nothing is opened yet."""
        self.settings = settings
        self._lock = threading.RLock()
        self._service: Service | None = None
        self._ends: Ends | None = None
        self.before_close: Callable[[], None] = lambda: None
        """What stands before the service and is closed before it."""

    # Life

    def open(self) -> Service:
        """Return the service, at work. Raises ``ConflictError`` if another process, or handler, has its ledger."""
        return self._open()[0]

    def _open(self) -> tuple[Service, Ends]:
        with self._lock:
            if self._service is None or self._ends is None:
                service = Service(self.settings)
                ends = Ends(service.book)
                service.start()
                self._service, self._ends = service, ends
                atexit.register(self.close)
            return self._service, self._ends

    def close(self) -> None:
        """Stop the service, if it is at work; jobs that run go on, and the next service attaches to them."""
        with self._lock:
            self.before_close()
            service, ends = self._service, self._ends
            self._service = self._ends = None
            if service is not None and ends is not None:
                atexit.unregister(self.close)
                ends.close()
                service.stop()

    # What its owner asks for

    def submit(self, config: Config, priority: int = 0) -> Future[tuple[QueueRow, bool]]:
        """Queue a job; the future is done once it is on the disk. Raises ``ConfigError`` with every mistake."""
        service = self.open()
        asked = config.to_dict() if isinstance(config, SimulationConfig) else config
        job = new_job(asked, _owners(self.settings, asked), Asker(default_user=service.user, priority=priority))
        return service.dispatcher.submit(job)

    def cancel(self, job_id: str) -> bool:
        """Cancel a job; False if there is none or it is over."""
        try:
            return not self.open().dispatcher.cancel(job_id).result().state.over
        except KeyError:
            return False

    def set_limits(self, limits: Mapping[str, object]) -> dict[str, float]:
        """Change limits, all or none, and return them. Raises ``ConfigError``."""
        dispatcher = self.open().dispatcher
        dispatcher.set_limits(limits).result()
        return dispatcher.limits.as_dict()

    def end_of(self, job_id: str) -> Future[QueueState]:
        """Return the state in which a job ends, once it has. Raises ``ConfigError`` if there is no such job."""
        try:
            return self._open()[1].of(job_id)
        except KeyError:
            raise ConfigError([Problem("job_id", job_id, "there is no such job")]) from None

    def wait_for_all(self, timeout: float | None = None) -> None:
        """Return when no job is left that is not over. Raises ``TimeoutError`` after so many seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while left := self.unfinished():
            self.end_of(left[0]).result(None if deadline is None else max(0.0, deadline - time.monotonic()))

    @property
    def limits(self) -> ResourceLimits:
        """What may be used of this host."""
        with self._lock:
            return self.settings.resource_limits if self._service is None else self._service.dispatcher.limits

    def unfinished(self) -> list[str]:
        """Return the ids of all jobs that are not over, of whomever."""
        return [row.id for row in self.open().book.not_over()]


class Jobs(Mapping[str, JobInfo]):
    """All jobs by id, as they are now."""

    def __init__(self, desk: Desk) -> None:
        """Look at the jobs of ``desk``."""
        self._desk = desk

    def __getitem__(self, job_id: str) -> JobInfo:
        row = self._desk.open().book.get(job_id)
        return JobInfo(
            config=json.loads(row.config),
            status=row.state,
            start_time=_moment(row.started),
            end_time=_moment(row.ended),
            return_code=row.return_code,
            error=row.message or "",
            scheduler_job_id=row.place or None,
            priority=row.priority,
            user=row.user,
        )

    def __iter__(self) -> Iterator[str]:
        return iter([row.id for row in self._desk.open().book.listed(QueueFilter())])

    def __len__(self) -> int:
        return sum(self._desk.open().book.counts().values())


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _owners(settings: Settings, config: Mapping[str, Any]) -> Settings:
    """Return what the owner may do: run what this program could run as well, with any file that it can read."""
    free = replace(settings, allow_commands=True, roots=["/"])
    program = config.get("ansys_edt_path")
    if not program or not hfss.is_one(config):
        return free
    name = next((name for name, each in settings.applications.items() if each.kind == "hfss"), "hfss")
    known = settings.applications.get(name) or ApplicationConfig(kind="hfss", executable="")
    return replace(free, applications={**settings.applications, name: replace(known, executable=str(program))})
