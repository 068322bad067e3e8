"""The job manager with its web server, in a thread of a Python program."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from simcampaign.errors import NetworkError
from simcampaign.service.core.limits import ResourceLimits
from simcampaign.service.facade.config import SimulationConfig, find_ansysedt, make_config
from simcampaign.service.facade.desk import Config, Desk
from simcampaign.service.facade.manager import JobManager
from simcampaign.service.facade.owner import Source, owners_settings
from simcampaign.service.serving import GRACE_SECONDS, Server, listen, make_server
from simcampaign.service.sites import clusters

START_SECONDS = 60.0
"""How long the web server may take to start, on a host under load."""


@dataclass(frozen=True)
class _Web:
    """The web server at work."""

    listening: socket.socket
    server: Server
    thread: threading.Thread


class JobManagerHandler:
    """Runs a job manager in a thread: jobs from this program, and over HTTP from others. Safe to use from threads.

    Whoever writes this program owns the job manager: what it submits itself may be any command, with any program
    (``ansys_edt_path`` of a config) and any file that it can read. What comes over HTTP may not: there the settings
    hold, that is ``applications``, ``roots`` and ``allow_commands``.
    """

    def __init__(  # noqa: PLR0913 - the first four are those of PyEDB
        self,
        edb: Any = None,
        version: str | None = None,
        host: str = "localhost",
        port: int = 8080,
        *,
        ansys_path: str | os.PathLike[str] | None = None,
        settings: Source = None,
        ledger: str | None = None,
        resource_limits: ResourceLimits | None = None,
        applications: Mapping[str, Mapping[str, Any]] | None = None,
        allow_commands: bool | None = None,
    ) -> None:
        """Describe a job manager; nothing runs before ``start_service()``.

        edb: an Edb whose version is taken. version: that of the installed program, e.g. ``"2025.2"``; the newest by
        default. host, port: where it listens; port 0 for any that is free. ansys_path: path of ``ansysedt``.
        settings: what ``service.toml`` would say, or the path of such a file; by default the user's own. ledger: URL
        of the queue's database. applications: programs that clients may run, as tables of ``service.toml``.
        allow_commands: whether clients over HTTP may run any command.
        Raises ``ConfigError`` with every mistake.
        """
        asked = str(version or getattr(edb, "version", "") or "")
        self.ansys_path = os.fspath(ansys_path) if ansys_path else find_ansysedt(asked)
        self._desk = Desk(
            owners_settings(
                settings,
                host=host,
                port=port,
                ledger=ledger,
                resource_limits=resource_limits,
                applications=applications,
                allow_commands=allow_commands,
                ansys_path=self.ansys_path,
            )
        )
        self.manager = JobManager.at(self._desk)
        """The same queue, for programs that use asyncio."""

        self._lock = threading.RLock()
        self._web: _Web | None = None

    # Life

    def start_service(self) -> None:
        """Start, and return once requests are answered; nothing happens if it has started.

        Raises ``ConflictError`` if another process has its ledger, ``LocationError`` if the port is taken.
        """
        with self._lock:
            if self._web is not None:
                return
            listening = listen(self.host, self._desk.settings.port)
            try:
                service = self._desk.open()
                server = make_server(service)
            except BaseException:
                listening.close()
                raise
            thread = threading.Thread(
                target=server.run, kwargs={"sockets": [listening]}, name="job manager", daemon=True
            )
            self._web = _Web(listening, server, thread)
            self._desk.before_close = self._stop_web
            service.announce(self.url)
            thread.start()
            if not server.up.wait(START_SECONDS):
                self.close()
                raise NetworkError(f"the job manager did not start within {START_SECONDS:g} s", "try it again")

    def close(self) -> None:
        """Stop; jobs that run go on, and whoever starts next attaches to them. Nothing happens if it is closed."""
        with self._lock:
            self._desk.close()

    def _stop_web(self) -> None:
        web, self._web = self._web, None
        if web is not None:
            web.server.should_exit = True
            web.thread.join(4 * GRACE_SECONDS)
            web.listening.close()

    def __enter__(self) -> Self:
        self.start_service()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What it is

    @property
    def started(self) -> bool:
        """True from ``start_service()`` to ``close()``."""
        return self._web is not None

    @property
    def host(self) -> str:
        """Where it listens."""
        return self._desk.settings.host

    @property
    def port(self) -> int:
        """Where it listens; for port 0, that which was free, once it has started."""
        web = self._web
        return self._desk.settings.port if web is None else int(web.listening.getsockname()[1])

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def resource_limits(self) -> ResourceLimits:
        """What may be used of this host."""
        return self._desk.limits

    @property
    def scheduler_type(self) -> str:
        """The backend of the first cluster that is configured, or ``none``."""
        return next((each.backend for each in clusters()), "none")

    # What it does

    def create_simulation_config(
        self,
        project_path: str | os.PathLike[str],
        ansys_edt_path: str | os.PathLike[str] | None = None,
        jobid: str | None = None,
        scheduler_type: str | None = None,
        cpu_cores: int = 1,
        user: str | None = None,
    ) -> SimulationConfig:
        """Return the config of an HFSS project, to be changed as you like and submitted. Raises ``ConfigError``.

        By default it has an id of its own, runs on this host, and is of whoever runs this program.
        """
        return make_config(project_path, ansys_edt_path or self.ansys_path, jobid, scheduler_type, cpu_cores, user)

    def submit_job(self, config: Config, priority: int = 0, timeout: float | None = 30.0) -> str:
        """Queue a job, a simulation config or a mapping as over HTTP; returns its id once it is on the disk.

        Raises ``RuntimeError`` if the service is not started, ``ConfigError``, ``ConflictError`` if the id is taken,
        and ``TimeoutError`` after ``timeout`` seconds; then it may be queued, and can be submitted again with the
        same ``jobid``: it is the same job.
        """
        self._need_start()
        row, _ = self._desk.submit(config, priority).result(timeout)
        return row.id

    def cancel_job(self, job_id: str) -> bool:
        """Cancel a job; False if there is none, or it is over. It has ended when ``wait_until_done`` returns."""
        self._need_start()
        return self._desk.cancel(job_id)

    def wait_until_done(self, job_id: str, poll_every: float = 0.0, timeout: float | None = None) -> str:
        """Return the state in which a job ends: completed, failed, cancelled or lost.

        It is told, not asked for again and again: ``poll_every`` is there for programs that give it. Raises
        ``TimeoutError`` after ``timeout`` seconds, ``ConfigError`` if there is no such job, ``ConflictError`` if the
        service is closed meanwhile.
        """
        del poll_every
        self._need_start()
        return self._desk.end_of(job_id).result(timeout)

    def wait_until_all_done(self, poll_every: float = 0.0, timeout: float | None = None) -> None:
        """Return when no job is left that is not over. Raises ``TimeoutError``; see ``wait_until_done``."""
        del poll_every
        self._need_start()
        self._desk.wait_for_all(timeout)

    def _need_start(self) -> None:
        if self._web is None:
            raise RuntimeError("the service is not started: call start_service() first")
