"""A job: one simulation at a site."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

from simcampaign.api.record import Record
from simcampaign.api.waiting import Follow, Waited
from simcampaign.api.words import call_text, failure
from simcampaign.engine.ending import cancel, delete, delete_member
from simcampaign.engine.outputs import fetch, outputs
from simcampaign.engine.sending import try_again
from simcampaign.errors import ConflictError, NetworkError, SimcampaignError, SimulationError, SiteError
from simcampaign.jobs import JobState, Resources
from simcampaign.ledger import JobRow


@dataclass(frozen=True, slots=True)
class ResourcesUsed:
    """What a job, or all jobs of an array, took in their newest tries; None where the site does not tell."""

    wall_seconds: float | None
    """From start to end; summed over the jobs of an array."""

    cpu_seconds: float | None
    """On all cores; summed over the jobs of an array."""

    peak_memory_bytes: int | None
    """The most memory at any time, of any job of an array."""


class Job(Waited):
    """One simulation at a site. Equal jobs are the same job, in whatever process."""

    _index: int

    def __init__(self, record: Record, index: int = 0) -> None:
        """Stand for the job with this index of a request; ``api.get_job`` finds jobs."""
        super().__init__(record, index)

    @property
    def job_name(self) -> str:
        """What ``api.get_job`` finds it by; of a job of an array, the array's name and the index."""
        return f"{self._record.name}_{self._index:04d}" if self._record.many else self._record.name

    @property
    def status(self) -> JobState:
        """Where it is, as far as is known; the site is not asked, see ``update_status``."""
        return self._try().state

    @property
    def is_archived(self) -> bool:
        """Whether it was deleted."""
        return self._row().archived is not None

    @property
    def position(self) -> tuple[int, int]:
        """Its place in listings, which ``api.get_jobs(after=…)`` goes on from."""
        return self._record.id, self._index

    def _try(self) -> JobRow:
        return self._record.job(self._index)

    def _call(self) -> str:
        return call_text("get_job", self.job_name, self.site_name)

    def update_status(self) -> JobState:
        """Ask the site and return where the job is now.

        Raises ``SiteError`` or ``NetworkError`` if the site cannot be asked; what is known stays then.
        """
        self._update()
        return self.status

    def wait(self, poll_interval_in_seconds: float | None = None, timeout_in_seconds: float | None = None) -> JobState:
        """Wait for the end, well or not, and return the state.

        The site is asked once for all that this process waits for, ever more rarely, or every
        ``poll_interval_in_seconds``. A site that cannot be reached is waited for. Raises ``TimeoutError`` after
        ``timeout_in_seconds``; the job goes on.
        """
        self._wait(poll_interval_in_seconds, timeout_in_seconds)
        return self.status

    def result(self, timeout_in_seconds: float | None = None) -> Job:
        """Wait for the end and return the job itself; raises ``SimulationError`` if it did not finish well."""
        error = self.exception(timeout_in_seconds)
        if error is not None:
            raise error
        return self

    def exception(self, timeout_in_seconds: float | None = None) -> SimulationError | None:
        """Wait for the end and return why it did not finish well; None if it did."""
        self._wait(None, timeout_in_seconds)
        row = self._try()
        if row.state is JobState.FINISHED:
            return None
        log, place = self._told()
        return failure(self.job_name, self.site_name, row, log, place)

    def _told(self) -> tuple[str, str]:
        """Return its log and where that is; what ``run`` saved may be of an earlier try, so the site is asked, too."""
        saved = self.saved_log
        kept = "" if saved is None else _text(saved)
        try:
            log = kept if self.is_archived else self._log().decode(errors="replace")
        except (SiteError, NetworkError):
            log = kept
        return log, str(saved) if saved is not None and log == kept else f"{self._call()}.logs()"

    @property
    def log_name(self) -> str:
        """The name of the file in an output folder that ``run`` saves the log as."""
        return f"{self.job_name}.log"

    @property
    def saved_log(self) -> Path | None:
        """The file that ``run`` saved its log as; None if there is none, e.g. since nothing was printed."""
        folder = self._record.request.destination
        if not folder:
            return None
        file = Path(folder, folder_name(self._index) if self._record.many else "", self.log_name)
        return file if file.is_file() else None

    def get_output_files(self) -> list[str]:
        """Return the names of the files that it left so far, relative to its folder.

        Raises ``ConflictError`` if it was deleted.
        """
        self._check_kept()
        found = outputs(self._record.place.workplace, self._record.request, [self._try()])
        return [output.name for output in found[self._index]]

    def copy_output(self, destination: str | os.PathLike[str]) -> dict[Path, int]:
        """Copy the files that it left so far into a folder here; returns each with its size in bytes.

        Files that are there already are written over. Raises ``ConflictError`` if it was deleted.
        """
        self._check_kept()
        place = self._record.place.workplace
        found = outputs(place, self._record.request, [self._try()])
        return fetch(place.host, found, {self._index: Path(destination)})

    def _check_kept(self) -> None:
        if self.is_archived:
            where = self._record.request.destination
            hint = f"its outputs were copied to {where}" if where else ""
            raise ConflictError(f"job {self.job_name} was deleted, with its files", hint)

    @overload
    def logs(self, follow: Literal[False] = False) -> str: ...
    @overload
    def logs(self, follow: Literal[True]) -> Iterator[str]: ...
    @overload
    def logs(self, follow: bool) -> str | Iterator[str]: ...
    def logs(self, follow: bool = False) -> str | Iterator[str]:
        """Return what it printed so far; with ``follow`` an iterator over its lines, as they come, until it ends.

        Of a job that was deleted, what ``run`` saved beside the outputs; raises ``ConflictError`` if it saved nothing.
        """
        if self.is_archived:
            text = self._saved()
            return iter(text.splitlines()) if follow else text
        return self._follow() if follow else self._log().decode(errors="replace")

    def _saved(self) -> str:
        if not self._record.request.destination:
            self._check_kept()
        saved = self.saved_log
        return "" if saved is None else _text(saved)

    def _log(self) -> bytes:
        row = self._try()
        if row.remote_id is None:
            return b""
        found = self._record.place.workplace.site.logs(row.remote_id, [row.array_index])
        return b"".join(data for _, data in found)

    def _follow(self) -> Iterator[str]:
        follow = Follow()
        with self.awaited(None) as ended:
            while True:
                over = ended.done()
                yield from follow.lines(self._log(), over)
                if over:
                    return
                follow.pause(ended)

    def cancel(self) -> None:
        """Ask the site to end it; returns when the site accepted that. A job that has ended is left alone."""
        cancel(self._record.place.workplace, self._row(), [self._index])

    def retry(self, memory_mb: int | None = None, wall_time_in_seconds: float | None = None) -> None:
        """Submit it again if it failed or was lost, with what the cause calls for or what is given.

        Raises ``ConflictError`` if it did not fail, or was deleted.
        """
        row = self._try()
        self._check_kept()
        if row.state not in (JobState.FAILED, JobState.LOST):
            raise ConflictError(f"job {self.job_name} is {row.state}, so there is nothing to try again")
        try_again(self._record.place.workplace, self._row(), [row], Given(memory_mb, wall_time_in_seconds))

    def delete(self) -> list[str]:
        """Remove its files and its log at the site and move it to the group ``archive``; returns what was removed.

        Of a job of an array only the files are removed; the rest goes with the array. Raises ``ConflictError`` if it
        is active.
        """
        place = self._record.place.workplace
        if self._record.many:
            return delete_member(place, self._row(), self._try())
        return [] if self.is_archived else delete(place, self._row())

    @property
    def cost(self) -> float:
        """What its tries cost so far, in the currency of the site's prices."""
        return self._record.requests.costs(self._record.id).get(self._index, 0.0)

    @property
    def resources(self) -> Resources:
        """What its newest try was given."""
        return Resources(**json.loads(self._try().resources))

    @property
    def resources_used(self) -> ResourcesUsed:
        """What its newest try took."""
        row = self._try()
        wall = None if row.started is None or row.ended is None else row.ended - row.started
        return ResourcesUsed(wall, row.cpu_seconds, row.peak_memory_bytes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Job):
            return NotImplemented
        return self._record == other._record and self._index == other._index

    def __hash__(self) -> int:
        return hash((self._record, self._index))

    def __reduce__(self) -> tuple[type[Job], tuple[Record, int]]:
        return Job, (self._record, self._index)

    def __repr__(self) -> str:
        return f"<Job {self.job_name} at {self.site_name}: {_shown(self)}>"

    def _repr_html_(self) -> str:
        return html_table([self])


@dataclass(frozen=True)
class Given:
    """Resources that a person gives to another try."""

    memory_mb: int | None
    timeout_seconds: float | None

    def __call__(self, had: Resources) -> Resources:
        """Return resources with those that are given."""
        return Resources(
            cpus=had.cpus,
            memory_mb=self.memory_mb or had.memory_mb,
            timeout_seconds=self.timeout_seconds or had.timeout_seconds,
            ranks=had.ranks,
            gpus=had.gpus,
        )


def folder_name(index: int) -> str:
    """Return the folder of a job's outputs in the output folder of its array."""
    return f"job_{index:04d}"


def _text(file: Path) -> str:
    return file.read_bytes().decode(errors="replace")


def _shown(job: Job) -> str:
    try:
        return job.status
    except SimcampaignError:
        return "unknown"


def html_table(jobs: list[Job]) -> str:
    """Return jobs as a table for notebooks."""
    rows = "".join(
        f"<tr><td>{html.escape(job.job_name)}</td><td>{html.escape(job.site_name)}</td><td>{_shown(job)}</td></tr>"
        for job in jobs
    )
    return f"<table><tr><th>job</th><th>site</th><th>status</th></tr>{rows}</table>"
