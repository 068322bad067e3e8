"""The lane to a site whose jobs run under a detached runner: jobs are added to a stream that is open already."""

from __future__ import annotations

import math
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from simcampaign.errors import LocationError, SiteError
from simcampaign.jobs import ArrayReport, ArraySpec, JobReport, JobSpec, job_environment
from simcampaign.ledger.queuerows import Change, Place, QueueRow, QueueState
from simcampaign.series import key_fault
from simcampaign.service.core.book import Book
from simcampaign.service.core.foresight import Foresight
from simcampaign.service.core.lane import Lane, change_of
from simcampaign.service.core.work import Work
from simcampaign.sites.local import LocalSite
from simcampaign.sites.stream import Stream, StreamJob

LARGEST = 5000
"""Jobs in one stream; then another one is opened, so that directories stay small."""

BUSY_SECONDS, IDLE_SECONDS, WAKE_SECONDS = 0.004, 5.0, 20.0
"""How long to wait between looks while jobs run, while none does, and until the idle runner is kept awake."""

GATHER_SECONDS = 0.02
"""How long to wait between looks while the site has more jobs than it runs: many ends are written down at once."""


@dataclass
class _Open:
    """A stream with the jobs of it that are not over."""

    place: Place
    stream: Stream
    count: int = 0
    """Jobs that were ever added to it."""

    jobs: dict[int, QueueRow] = field(default_factory=dict)
    unsent: list[QueueRow] = field(default_factory=list)
    """Jobs whose places are written down, and that were not added yet."""


class StreamLane(Lane):
    """Runs jobs on this host, each in a folder of its own below the site's scratch directory."""

    log_seconds = 0.3  # a file on this host

    def __init__(self, site: LocalSite, book: Book, ended: Callable[[Sequence[Change]], None]) -> None:
        """Lead to ``site``."""
        super().__init__(site.name, book, ended)
        self.site = site
        self.folder = Path(site.scratch) / "queue"
        self._streams: dict[str, _Open] = {}
        self._current: dict[int, _Open] = {}
        self._placed: set[str] = set()
        self._foresight = Foresight(site.slots or 1)
        self._idle = 0.0

    # Handing over

    def send(self, rows: Sequence[QueueRow]) -> None:
        """Add jobs to the stream of their size: place first, then the folder, then the stream."""
        self._flush()
        by_cores: dict[int, list[QueueRow]] = {}
        for row in rows:
            if row.id not in self._placed:
                by_cores.setdefault(max(1, math.ceil(row.cores)), []).append(row)
        for cores, some in by_cores.items():
            opened = self._opened(cores, len(some))
            waiting = {row.id: row for row in some}
            ids = self.book.set_place(list(waiting), opened.place.name, opened.count).result()
            self._placed.update(ids)
            opened.unsent += [
                replace(waiting[job_id], place=opened.place.name, place_index=opened.count + at)
                for at, job_id in enumerate(ids)
            ]
            self._flush()

    def _flush(self) -> None:
        """Add the jobs whose places are written down."""
        for opened in [each for each in self._streams.values() if each.unsent]:
            opened.stream.add([self._job(row) for row in opened.unsent])
            opened.jobs |= {row.place_index: row for row in opened.unsent}
            for row in opened.unsent:
                self._foresight.added(row.id, math.ceil(row.cores))
            opened.count += len(opened.unsent)
            opened.unsent = []
            if opened.count >= LARGEST and opened.place.open:
                self._close(opened)

    def _job(self, row: QueueRow) -> StreamJob:
        """Return what the runner is told; a folder that cannot be made makes a job that cannot be started."""
        work = Work.read(row.work)
        folder = self.folder_of(row)
        try:
            _fill(folder, work)
            directory = work.directory or str(folder)
        except OSError as error:
            directory = str(error.filename or folder)
        values = {
            "{input}": str(folder / work.input) if work.input else "",
            "{ranks}": str(work.resources.ranks),
            "{job_id}": row.id,
        }
        command = tuple(_replace(word, values) for word in work.command)
        array = ArraySpec(
            name=row.id,
            file_set=row.id,
            working_url=f"{folder}/",
            output=f"{folder}/",
            command=command,
            jobs=(),
            environment=work.environment,
        )
        environment = job_environment(array, JobSpec(0, row.id, values["{input}"], ""))
        limits = work.resources
        return StreamJob(
            row.place_index, row.id, command, directory, environment, limits.timeout_seconds, limits.memory_mb
        )

    def folder_of(self, row: QueueRow) -> Path:
        """Return the folder of a job's files."""
        return self.folder / f"{row.seq}-{row.id}"

    def _opened(self, cores: int, more: int) -> _Open:
        """Return the open stream for jobs of a size, with room for some more."""
        opened = self._current.get(cores)
        if opened is not None and opened.place.open and opened.count + more <= 2 * LARGEST:
            return opened
        name = f"queue-{cores}c-{secrets.token_hex(8)}"
        stream = Stream(self.site, name, cores)
        place = Place(name, self.site_name, stream.open())
        self.book.save_place(place).result()
        opened = self._streams[name] = self._current[cores] = _Open(place, stream)
        return opened

    def _close(self, opened: _Open) -> None:
        opened.stream.close()
        opened.place = replace(opened.place, open=False)
        self._current = {cores: each for cores, each in self._current.items() if each is not opened}
        self.book.save_place(opened.place).result()

    # Coming back

    def recover(self, rows: Sequence[QueueRow]) -> None:
        """Add the jobs that were given a place and had not reached it; read journals from where they were left."""
        by_place: dict[str, list[QueueRow]] = {}
        for row in rows:
            by_place.setdefault(row.place, []).append(row)
        for place in self.book.places(self.site_name):
            mine = sorted(by_place.pop(place.name, ()), key=lambda row: row.place_index)
            if not (mine or place.open):
                continue
            self._attach(place, mine)
        rest = [row for each in by_place.values() for row in each]
        lost = [
            Change(row.id, QueueState.LOST, cause="lost", message="its place is not known any more") for row in rest
        ]
        if lost:
            self.book.change(lost).result()
            self.report(lost)

    def _attach(self, place: Place, rows: Sequence[QueueRow]) -> None:
        stream = Stream(self.site, place.name)
        count = stream.count()
        opened = self._streams[place.name] = _Open(place, stream, count or 0)
        if count is None:  # it is gone: the next look says that its jobs are lost
            opened.place = replace(place, open=False)
            opened.jobs = {row.place_index: row for row in rows}
            return
        opened.jobs = {row.place_index: row for row in rows if row.place_index < count}
        opened.unsent = [row for row in rows if row.place_index >= count]
        self._placed.update(row.id for row in rows)
        self._flush()
        if opened.place.open:  # a service that starts again begins streams of its own
            self._close(opened)
        for row in rows:
            if row.cancelling:
                self.cancel(row)

    # Watching

    def look(self) -> float:
        """Read what the journals say beyond what was read."""
        self._flush()
        watched = {each.place.remote_id: each for each in self._streams.values() if each.jobs}
        if not watched:
            self._rest()
            return IDLE_SECONDS
        self._idle = 0.0
        news = [remote_id for remote_id in watched if self.site.has_news([remote_id])]
        if not news:
            return self._nap()
        reports = self.site.status({remote_id: watched[remote_id].place.cursor for remote_id in news})
        for remote_id, report in reports.items():
            self._take(watched[remote_id], report)
        return self._nap()

    def _nap(self) -> float:
        """Have what waits too long at the site handed back; return how long to wait until the next look."""
        if late := self._foresight.late():
            for opened in self._streams.values():
                if indices := [index for index, row in opened.jobs.items() if row.id in late]:
                    self.site.cancel(opened.place.remote_id, indices)
        return GATHER_SECONDS if self._foresight.some_wait else BUSY_SECONDS

    def _take(self, opened: _Open, report: ArrayReport) -> None:
        """Write down what a journal said, and how far it was read, at once."""
        rows = opened.jobs
        if report.known:
            changes = [_told(rows[each.index].id, each) for each in report.changes if each.index in rows]
        else:
            gone = "the site does not know it any more"
            changes = [Change(row.id, QueueState.LOST, cause="lost", message=gone) for row in rows.values()]
        place = replace(opened.place, cursor=report.cursor)
        self.book.change(changes, place).result()
        opened.place = place
        self._foresight.seen(changes)
        self.ahead = self._foresight.ahead
        over = {change.id for change in changes if change.state.over or change.state is QueueState.QUEUED}
        self._placed -= over
        opened.jobs = {index: row for index, row in rows.items() if row.id not in over}
        self.report(changes)

    def _rest(self) -> None:
        """Keep the runners of open streams awake, so that the next job starts at once."""
        self._idle += IDLE_SECONDS
        if self._idle >= WAKE_SECONDS:
            self._idle = 0.0
            for each in self._current.values():
                each.stream.wake()

    def cancel(self, row: QueueRow) -> None:
        """Have the runner end a job's processes, or never start it."""
        placed = row if row.place else self.book.get(row.id)
        opened = self._streams.get(placed.place)
        if opened is not None:
            self.site.cancel(opened.place.remote_id, [placed.place_index])

    # What a job left

    def log(self, row: QueueRow, offset: int = 0, most: int = -1) -> bytes:
        """Return what a job printed; nothing if it has not started."""
        if not row.place:
            return b""
        path = self._log_path(row)
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(most)
        except FileNotFoundError:
            return b""

    def log_size(self, row: QueueRow) -> int:
        """Return how many bytes a job printed so far; the log is not read."""
        try:
            return self._log_path(row).stat().st_size if row.place else 0
        except FileNotFoundError:
            return 0

    def tail(self, row: QueueRow, most: int) -> bytes:
        """Return the last bytes that a job printed so far; the rest of the log is not read."""
        return self.log(row, max(0, self.log_size(row) - most), most)

    def _log_path(self, row: QueueRow) -> Path:
        return self.site.root / "arrays" / row.place / "out" / f"{row.place_index}.log"

    def files(self, row: QueueRow) -> Mapping[str, int]:
        """Return the files in a job's folder."""
        folder = self.folder_of(row)
        found = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}

    def fetch(self, row: QueueRow, copies: Mapping[str, Path]) -> None:
        """Copy files out of a job's folder."""
        for name, target in copies.items():
            try:
                shutil.copyfile(self.folder_of(row) / name, target)
            except FileNotFoundError as error:
                raise LocationError(f"job {row.id} left no file {name}") from error

    def remove(self, row: QueueRow) -> None:
        """Remove a job's folder and log."""
        shutil.rmtree(self.folder_of(row), ignore_errors=True)
        if row.place:
            path = self._log_path(row)
            if path.exists():
                path.write_bytes(b"")  # that it is there says that the job was started


def _told(job_id: str, seen: JobReport) -> Change:
    """Return what a runner says of a job; one that it was told not to start is handed back, if nobody wants its end."""
    change = change_of(job_id, seen)
    is_back = change.state is QueueState.CANCELLED and change.started is None
    return replace(change, state=QueueState.QUEUED) if is_back else change


def _fill(folder: Path, work: Work) -> None:
    """Make a job's folder with its files; one that is there already is written again."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in work.files.items():
        _below(folder, name).write_text(text, encoding="utf-8")
    for name, source in work.paths.items():
        target = _below(folder, name)
        target.unlink(missing_ok=True)
        target.symlink_to(source)


def _below(folder: Path, name: str) -> Path:
    """Return the path of a file of a job, with its folder made; raises ``SiteError`` for names that lead elsewhere."""
    if not name or any(key_fault(part) for part in name.split("/")):
        raise SiteError(f"file name {name!r} leads out of the job's folder")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _replace(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word
