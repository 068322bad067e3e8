"""The service put together: ledger, queue, lanes to the sites, telemetry. Nothing of the web is needed for it."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import getpass
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import sqlalchemy as sa

from simcampaign.errors import ConflictError
from simcampaign.ledger import Ledger
from simcampaign.ledger.ledger import default_url
from simcampaign.ledger.queuerows import Change, Event
from simcampaign.places import data_folder
from simcampaign.service.campaigns.contexts import Contexts
from simcampaign.service.campaigns.keeper import Keeper
from simcampaign.service.core.book import Book
from simcampaign.service.core.dispatcher import Dispatcher
from simcampaign.service.core.lane import Lane
from simcampaign.service.core.limits import campaign_slots
from simcampaign.service.core.requestlane import RequestLane
from simcampaign.service.core.streamlane import StreamLane
from simcampaign.service.core.telemetry import Telemetry
from simcampaign.service.figures import Figures
from simcampaign.service.security.access import Access
from simcampaign.service.settings import Settings
from simcampaign.service.sites import sites_here, usable
from simcampaign.sites.local import LocalSite
from simcampaign.sites.registry import LOCAL

if TYPE_CHECKING:
    from simcampaign.service.solver.callbacks import Callbacks
    from simcampaign.service.solver.desk import Desk
    from simcampaign.service.tidy3d.face import Face

EVENTS_KEPT = 200_000
"""Events that a client which comes back can be told, at least."""

_LOCK_NUMBER = 7203592
"""PostgreSQL's advisory lock of the one service of a ledger."""


class Service:
    """A job manager: one queue in one ledger, and the lanes to its sites."""

    def __init__(self, settings: Settings) -> None:
        """Open the ledger. Raises ``ConflictError`` if another service has it."""
        self.settings = settings
        self.started = time.time()
        self.at_end: list[Callable[[], None]] = []
        """What is called, in the server's thread, before the server waits for its connections to end."""

        self.access = Access(settings)
        self.contexts = Contexts(settings)
        url = settings.ledger or default_url()
        self._claim = _Claim(url)
        self.book = Book(Ledger(url))
        self._claim.hold_database(self.book)
        self._told = 0
        self.book.listeners.append(self._count)
        self.figures = Figures()
        self.book.listeners.append(self.figures.hear)
        self.telemetry = Telemetry(data_folder())
        here = sites_here()
        self.dispatcher = Dispatcher(
            self.book, self.telemetry, self._open_lane, here, settings.resource_limits, settings.shares
        )

        self.campaigns = Keeper(
            self.book,
            self.contexts,
            lambda cores: campaign_slots(self.dispatcher.limits, here.get(LOCAL, 1.0), cores),
            lambda: self.dispatcher.standing().held_back,
        )
        self.dispatcher.others_here = lambda: self.campaigns.running_here
        self.solver: Desk | None = None
        self.callbacks: Callbacks | None = None
        self.tidy3d: Face | None = None
        if settings.solver.enabled or settings.solver.tidy3d.enabled:
            self._open_solver()

    def start(self) -> None:
        """Take up what an earlier service left, and go to work."""
        self.telemetry.start()
        self.figures.take_up(self.book.not_over())
        self.dispatcher.start()
        self.campaigns.start()
        if self.solver is not None:
            self.solver.start()
        if self.callbacks is not None:
            self.callbacks.start()

    def stop(self) -> None:
        """Stop; jobs that run go on, and the next service attaches to them."""
        self.campaigns.stop()
        if self.callbacks is not None:
            self.callbacks.stop()
        if self.solver is not None:
            self.solver.stop()
        self.dispatcher.stop()
        self.telemetry.stop()
        self.book.close()
        self._claim.release()

    def is_at_work(self) -> bool:
        """Tell whether jobs run or wait, or campaigns go on."""
        return bool(self.book.not_over()) or self.campaigns.is_busy

    def _count(self, events: Sequence[Event]) -> None:
        """Keep the newest events only; clients that were away for longer look at the jobs."""
        self._told += len(events)
        if self._told >= EVENTS_KEPT // 10:
            self._told = 0
            self.book.forget_events(EVENTS_KEPT)

    @functools.cached_property
    def user(self) -> str:
        """Whose process this is."""
        try:
            return getpass.getuser()
        except (KeyError, OSError):  # a user id without a name
            return str(os.getuid())

    def announce(self, url: str) -> None:
        """Write down where this service is reached, for whoever starts a second one."""
        self._claim.describe(url)

    def _open_solver(self) -> None:
        # Imported here: who has nothing solved does not wait for it.
        from simcampaign.service.solver.callbacks import Callbacks  # noqa: PLC0415
        from simcampaign.service.solver.desk import Desk  # noqa: PLC0415
        from simcampaign.service.solver.files import Files  # noqa: PLC0415
        from simcampaign.service.tidy3d.face import Face  # noqa: PLC0415
        from simcampaign.storage import Location  # noqa: PLC0415

        config = self.settings.solver
        folder, bucket = data_folder() / "solver", None
        if "://" in config.location:
            bucket = Location.open(config.location)
        elif config.location:
            folder = Path(config.location).expanduser().absolute()
        self.solver = Desk(config, Files(folder, bucket), self.book, self.dispatcher)
        self.callbacks = Callbacks(self.book, self.solver.get, config.callback_hosts)
        if config.tidy3d.enabled:
            self.tidy3d = Face(self.solver, self.book)

    def _open_lane(self, name: str, ended: Callable[[Sequence[Change]], None]) -> Lane:
        site = usable(name).site
        if isinstance(site, LocalSite):
            return StreamLane(site, self.book, ended)
        return RequestLane(site, self.book, ended)


class _Claim:
    """That this service, and no other, works on a ledger."""

    def __init__(self, url: str) -> None:
        self._file: IO[str] | None = None
        self._connection: sa.Connection | None = None
        parsed = sa.make_url(url) if "://" in url else None
        if parsed is None or parsed.get_backend_name() != "sqlite" or not parsed.database:
            return
        path = Path(f"{parsed.database}.service")
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read().strip() or "another process"
            file.close()
            message = f"a job manager has this ledger already: {who}"
            raise ConflictError(
                message, "use that one, or set SIMCAMPAIGN_LEDGER_URL or --ledger to another ledger"
            ) from None
        self._file = file
        self.describe("")

    def hold_database(self, book: Book) -> None:
        """Hold PostgreSQL's lock for as long as the connection lives. Raises ``ConflictError``."""
        engine = book.ledger.database.engine
        if engine.dialect.name != "postgresql":
            return
        self._connection = engine.connect()
        if not self._connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_LOCK_NUMBER))):
            self.release()
            book.close()
            raise ConflictError("a job manager has this ledger already", "use that one, or another ledger")
        self._connection.commit()

    def describe(self, url: str) -> None:
        if self._file is not None:
            self._file.truncate(0)
            self._file.write(f"process {os.getpid()}{f' at {url}' if url else ''}\n")
            self._file.flush()

    def release(self) -> None:
        """Let another service have the ledger."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._connection is not None:
            with contextlib.suppress(sa.exc.DBAPIError):
                self._connection.close()
            self._connection = None
