"""The ledger's tables, and how a database is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from simcampaign.errors import ConfigError, LocationError, NetworkError, Problem, SimcampaignError

VERSION = 2


class ArrayState(StrEnum):
    """Where an array is in the ledger."""

    INTENT = "intent"
    """Written down, not yet confirmed by the site."""

    SUBMITTED = "submitted"
    """The site has it."""

    OVER = "over"
    """Every job has ended."""

    ABANDONED = "abandoned"
    """Never reached the site; its runs are free again."""


OPEN = (ArrayState.INTENT, ArrayState.SUBMITTED)

metadata = sa.MetaData()

versions = sa.Table("simcampaign_versions", metadata, sa.Column("version", sa.Integer, primary_key=True))

campaigns = sa.Table(
    "campaigns",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("location", sa.String(2000), nullable=False),
    # Grows with each claim: a plan made from an older version is refused, so that two flows never claim the same run.
    sa.Column("version", sa.Integer, nullable=False, default=0),
    # The array after which tries count: a person who wants what failed to be tried again moves it.
    sa.Column("tries_since", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("name", "location"),
)

arrays = sa.Table(
    "arrays",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("campaign_id", sa.ForeignKey("campaigns.id"), nullable=False, index=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("group", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(32), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("site", sa.String(200), nullable=False),
    sa.Column("date", sa.String(10), nullable=False),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("file_set", sa.String(200), nullable=False),
    sa.Column("input_extension", sa.String(50), nullable=False),
    sa.Column("cpus", sa.Float, nullable=False),
    sa.Column("price_per_hour", sa.Float, nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("remote_id", sa.String(500)),
    sa.Column("cursor", sa.Text, nullable=False, default=""),
    # Jobs per state as JSON, while the site tells numbers sooner than jobs.
    sa.Column("counts", sa.Text, nullable=False, default=""),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("submitted", sa.Float),
    sa.Column("last_seen", sa.Float),
    sa.Column("collected", sa.Boolean, nullable=False, default=False),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("array_id", sa.ForeignKey("arrays.id"), primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("cause", sa.String(20)),
    sa.Column("exit_code", sa.Integer),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.Column("peak_memory_bytes", sa.BigInteger),
    sa.Column("cpu_seconds", sa.Float),
    sa.Column("message", sa.Text, nullable=False, default=""),
)

ranges = sa.Table(
    "ranges",
    metadata,
    sa.Column("array_id", sa.ForeignKey("arrays.id"), primary_key=True),
    sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("index", sa.Integer, nullable=False),
    sa.Column("condition", sa.String(200), nullable=False),
    sa.Column("start_seed", sa.BigInteger, nullable=False),
    sa.Column("end_seed", sa.BigInteger, nullable=False),
    # What the input was made from, and the input of the first seed alone: together they tell a stale output.
    sa.Column("fingerprint", sa.String(32), nullable=False),
    sa.Column("rendering", sa.String(32), nullable=False),
)

# What a person asked for: one job, or one job array, at one site. `arrays` and `jobs` hold its jobs, too.
requests = sa.Table(
    "requests",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("site", sa.String(200), nullable=False, index=True),
    # 0 until it is archived, then its id: the name is free again for another.
    sa.Column("buried", sa.Integer, nullable=False, default=0),
    # True for a job array, even if it has one job.
    sa.Column("many", sa.Boolean, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("group", sa.String(200), nullable=False, index=True),
    # What is asked for: the same name with another digest is another request.
    sa.Column("digest", sa.String(32), nullable=False),
    # Makes names of its arrays differ from those of any other request of any ledger.
    sa.Column("token", sa.String(32), nullable=False),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("archived", sa.Float),
    sa.UniqueConstraint("name", "site", "buried"),
)

# The arrays that jobs of a request were submitted in: more than one if the site takes no larger ones, or for retries.
request_arrays = sa.Table(
    "request_arrays",
    metadata,
    sa.Column("array_id", sa.ForeignKey("arrays.id"), primary_key=True),
    sa.Column("request_id", sa.ForeignKey("requests.id"), nullable=False, index=True),
    sa.Column("number", sa.Integer, nullable=False),
    # Where the folders of its jobs are, on the site's host.
    sa.Column("folder", sa.String(2000), nullable=False),
    sa.Column("resources", sa.Text, nullable=False),
)

# Which job of a request each job of such an array is; `newest` is False for tries that were followed by another.
request_jobs = sa.Table(
    "request_jobs",
    metadata,
    sa.Column("array_id", sa.ForeignKey("arrays.id"), primary_key=True),
    sa.Column("array_index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("request_id", sa.ForeignKey("requests.id"), nullable=False),
    sa.Column("index", sa.Integer, nullable=False),
    sa.Column("newest", sa.Boolean, nullable=False),
    sa.Index("request_jobs_of", "request_id", "index"),
)

# The job manager: jobs that wait or waited for their turn, and what happened to them.
queue_jobs = sa.Table(
    "queue_jobs",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", sa.String(200), nullable=False, unique=True),
    sa.Column("user", sa.String(200), nullable=False, index=True),
    sa.Column("group", sa.String(200), nullable=False, index=True),
    sa.Column("site", sa.String(200), nullable=False, index=True),
    sa.Column("application", sa.String(200), nullable=False),
    sa.Column("series", sa.String(200), nullable=False, default=""),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("held", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    # What the client sent, and what is run for it, as JSON. Values of secrets are in neither.
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("work", sa.Text, nullable=False),
    sa.Column("cores", sa.Float, nullable=False),
    sa.Column("memory_mb", sa.Integer, nullable=False),
    sa.Column("after", sa.Text, nullable=False, default="[]"),
    sa.Column("after_ok", sa.Text, nullable=False, default="[]"),
    # The site's array that it was handed over in, and its index there.
    sa.Column("place", sa.String(300), nullable=False, default="", index=True),
    sa.Column("place_index", sa.Integer, nullable=False, default=0),
    sa.Column("cancelling", sa.Boolean, nullable=False, default=False),
    sa.Column("created", sa.Float, nullable=False, index=True),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.Column("return_code", sa.Integer),
    sa.Column("cause", sa.String(20)),
    sa.Column("message", sa.Text, nullable=False, default=""),
    sa.Column("cpu_seconds", sa.Float),
    sa.Column("peak_memory_bytes", sa.BigInteger),
    # A client's own key: the same key means the same job.
    sa.Column("idempotency_key", sa.String(300), unique=True),
    sa.Column("request_digest", sa.String(32), nullable=False, default=""),
    # The array of the job manager that it was submitted in; empty for a job alone.
    sa.Column("array", sa.String(200), nullable=False, server_default="", index=True),
)

# Many jobs that were submitted in one request.
queue_arrays = sa.Table(
    "queue_arrays",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", sa.String(200), nullable=False, unique=True),
    sa.Column("user", sa.String(200), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("idempotency_key", sa.String(300), unique=True),
    sa.Column("request_digest", sa.String(32), nullable=False),
)

# Campaigns that the job manager keeps: what clients sent, and how they stood after the last tick, as JSON.
kept_campaigns = sa.Table(
    "kept_campaigns",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", sa.String(200), nullable=False, unique=True),
    sa.Column("name", sa.String(200), nullable=False, index=True),
    sa.Column("user", sa.String(200), nullable=False, index=True),
    sa.Column("kind", sa.String(200), nullable=False),
    # Where its files are; of one series in one place there is one campaign at a time.
    sa.Column("location", sa.String(2000), nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("status", sa.String(20), nullable=False, index=True),
    sa.Column("cancelling", sa.Boolean, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
    sa.Column("standing", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("idempotency_key", sa.String(300), unique=True),
    sa.Column("request_digest", sa.String(32), nullable=False),
)

queue_events = sa.Table(
    "queue_events",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("job_id", sa.String(200), nullable=False, index=True),
    sa.Column("payload", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

# A journal of each array that is kept open for the queue: how far it was read.
queue_places = sa.Table(
    "queue_places",
    metadata,
    sa.Column("name", sa.String(300), primary_key=True),
    sa.Column("site", sa.String(200), nullable=False),
    sa.Column("remote_id", sa.String(500), nullable=False),
    sa.Column("cursor", sa.Text, nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
)


_ADDED = {2: (campaigns.c.tries_since, queue_jobs.c.array)}
"""Columns that tables of older versions lack, by the version that has them first."""


class Database:
    """An open database with the ledger's tables."""

    def __init__(self, url: str) -> None:
        """Open the database and make its tables if they are missing.

        Raises ``ConfigError`` for a URL that is none, ``LocationError`` or ``NetworkError`` if it cannot be opened.
        """
        self.url = url
        try:
            self.engine = _engine(sa.make_url(url))
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError) as error:
            problem = Problem("SIMCAMPAIGN_LEDGER_URL", _shown(url), str(error), "e.g. sqlite:////path/ledger.sqlite")
            raise ConfigError([problem]) from error
        with self.write() as connection:
            if self.engine.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(7203591)"))
            connection.execute(CreateTable(versions, if_not_exists=True))
            found = connection.scalar(sa.select(versions.c.version))
            if found is None:
                connection.execute(sa.insert(versions).values(version=VERSION))
            elif found < VERSION:
                _upgrade(connection, found)
            elif found > VERSION:
                reason = (
                    f"was written by another version of simcampaign (ledger format {found}, this one reads {VERSION})"
                )
                raise LocationError(
                    f"ledger {_shown(url)}: {reason}", "use the matching simcampaign, or another ledger"
                )
            for table in metadata.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a transaction that may write; SQLite takes the write lock at once, so that it never has to give up."""
        with self._errors(), self.engine.connect() as bare:
            connection = bare.execution_options(write=True)
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads."""
        with self._errors(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SimcampaignError:
            raise
        except sa.exc.DBAPIError as error:
            reason = str(error.orig).strip().splitlines()[0]
            if self.engine.dialect.name == "sqlite":
                hint = "free space, or set SIMCAMPAIGN_LEDGER_URL to a writable place"
                raise LocationError(f"ledger {_shown(self.url)}: {reason}", hint) from error
            raise NetworkError(f"ledger {_shown(self.url)}: {reason}", "is the database server up?") from error


def _upgrade(connection: sa.Connection, found: int) -> None:
    """Add what tables of an older version lack. Older programs refuse the ledger from then on."""
    there = sa.inspect(connection).get_table_names()
    for version in range(found + 1, VERSION + 1):
        for column in _ADDED[version]:
            if column.table.name in there:
                described = CreateColumn(column).compile(dialect=connection.dialect)
                table = connection.dialect.identifier_preparer.format_table(column.table)
                connection.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN {described}"))
    connection.execute(sa.update(versions).values(version=VERSION))


def _shown(url: str) -> str:
    """Return the URL without its password."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return "(not a database URL)"


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True)
    if url.database and url.database != ":memory:":
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            hint = "set SIMCAMPAIGN_LEDGER_URL, or SIMCAMPAIGN_HOME, to a writable place"
            raise LocationError(f"ledger {url.database}: {error.strerror}", hint) from error
    engine = sa.create_engine(url, connect_args={"timeout": 60})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late; _begin_sqlite says it
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("write") else "BEGIN")
