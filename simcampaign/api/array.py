"""A job array: many simulations that were submitted together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import as_completed as futures_as_completed
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Literal, overload

from simcampaign.api.job import Given, Job, ResourcesUsed, folder_name, html_table
from simcampaign.api.record import Record
from simcampaign.api.waiting import Follow, Waited
from simcampaign.api.words import call_text, states_text
from simcampaign.engine.ending import cancel, delete
from simcampaign.engine.outputs import Output, fetch, outputs
from simcampaign.engine.sending import try_again
from simcampaign.errors import ConflictError, SimcampaignError, SimulationError
from simcampaign.jobs import JobState

MOST_SHOWN = 20
"""Rows of an array that a notebook shows."""

_WORST_FIRST = (JobState.FAILED, JobState.LOST, JobState.CANCELLED, JobState.FINISHED)


class JobArray(Waited):
    """Many simulations that were submitted together. Equal arrays are the same array, in whatever process."""

    def __init__(self, record: Record) -> None:
        """Stand for all jobs of a request; ``api.get_job_array`` finds arrays."""
        super().__init__(record, None)

    @property
    def job_name(self) -> str:
        """What ``api.get_job_array`` finds it by."""
        return self._record.name

    @cached_property
    def jobs(self) -> list[Job]:
        """Its jobs, in the order of their inputs. After ``retry_failed`` they stand for their newest tries."""
        return [Job(self._record, index) for index in range(self._record.size)]

    def __len__(self) -> int:
        return self._record.size

    def __iter__(self) -> Iterator[Job]:
        return iter(self.jobs)

    @property
    def status(self) -> JobState:
        """Where it is as a whole: active while a job is, else as its worst job; the site is not asked."""
        states = set(self._states())
        if any(state.active for state in states):
            return JobState.QUEUED if states == {JobState.QUEUED} else JobState.RUNNING
        return next(state for state in _WORST_FIRST if state in states)

    @property
    def counts(self) -> dict[JobState, int]:
        """How many of its jobs are in which state; the site is not asked."""
        states = self._states()
        return {state: states.count(state) for state in JobState if state in states}

    @property
    def is_archived(self) -> bool:
        """Whether it was deleted."""
        return self._row().archived is not None

    @property
    def position(self) -> int:
        """Its place in listings, which ``api.get_job_arrays(after=…)`` goes on from."""
        return self._record.id

    def _call(self) -> str:
        return call_text("get_job_array", self.job_name, self.site_name)

    def update_status(self) -> JobState:
        """Ask the site once for all jobs and return where the array is now; see ``Job.update_status``."""
        self._update()
        return self.status

    def wait(self, poll_interval_in_seconds: float | None = None, timeout_in_seconds: float | None = None) -> JobState:
        """Wait for the end of all jobs and return the state; see ``Job.wait``."""
        self._wait(poll_interval_in_seconds, timeout_in_seconds)
        return self.status

    def as_completed(self, timeout_in_seconds: float | None = None) -> Iterator[Job]:
        """Yield each job when it has ended, well or not; raises ``TimeoutError`` if that takes too long."""
        jobs: dict[Future[None], Job] = {}
        with ExitStack() as stack:
            for job in self.jobs:
                jobs[stack.enter_context(job.awaited(None))] = job
            try:
                for ended in futures_as_completed(jobs, timeout_in_seconds):
                    ended.result()
                    yield jobs[ended]
            except TimeoutError:
                raise self.late(timeout_in_seconds) from None
            except KeyboardInterrupt:
                self._say_where()
                raise

    def result(self, timeout_in_seconds: float | None = None) -> JobArray:
        """Wait for the end and return the array itself; raises ``SimulationError`` if a job did not finish well."""
        error = self.exception(timeout_in_seconds)
        if error is not None:
            raise error
        return self

    def exception(self, timeout_in_seconds: float | None = None) -> SimulationError | None:
        """Wait for the end and return why the first job that did not finish well did not; None if all did."""
        self._wait(None, timeout_in_seconds)
        states = self._states()
        first = next(
            (job for job, state in zip(self.jobs, states, strict=True) if state is not JobState.FINISHED), None
        )
        error = None if first is None else first.exception()
        if error is None:
            return None
        text = f"job array {self.job_name} at site {self.site_name}: {states_text(states)}\n  {error.args[0]}"
        return SimulationError(text, f"{error.hint}; to try again: {self._call()}.retry_failed()")

    def get_output_files(self) -> list[str]:
        """Return the names of the files that its jobs left so far, each below ``job_0000``, ``job_0001``, …

        Raises ``ConflictError`` if it was deleted.
        """
        return [f"{folder_name(index)}/{output.name}" for index, files in self._outputs().items() for output in files]

    def copy_output(self, destination: str | os.PathLike[str]) -> dict[Path, int]:
        """Copy the files that its jobs left so far to ``job_0000``, ``job_0001``, … in a folder here.

        Returns each file with its size in bytes. Files that are there already are written over. Raises
        ``ConflictError`` if it was deleted.
        """
        found = self._outputs()
        folders = {index: Path(destination, folder_name(index)) for index in found}
        return fetch(self._record.place.workplace.host, found, folders)

    def _outputs(self) -> dict[int, list[Output]]:
        self._check_kept()
        return outputs(self._record.place.workplace, self._record.request, self._record.jobs())

    def _check_kept(self) -> None:
        if self.is_archived:
            where = self._record.request.destination
            hint = f"its outputs were copied to {where}" if where else ""
            raise ConflictError(f"job array {self.job_name} was deleted, with its files", hint)

    @overload
    def logs(self, follow: Literal[False] = False) -> list[str]: ...
    @overload
    def logs(self, follow: Literal[True]) -> Iterator[tuple[int, str]]: ...
    @overload
    def logs(self, follow: bool) -> list[str] | Iterator[tuple[int, str]]: ...
    def logs(self, follow: bool = False) -> list[str] | Iterator[tuple[int, str]]:
        """Return what each job printed so far; with ``follow`` an iterator over pairs of index and line, as they come.

        Following all jobs of a large array is a lot to ask of a site. Of a deleted array see ``Job.logs``.
        """
        if self.is_archived:
            texts = [job.logs() for job in self.jobs]
            lines = ((index, line) for index, text in enumerate(texts) for line in text.splitlines())
            return lines if follow else texts
        return self._follow() if follow else [data.decode(errors="replace") for data in self._logs()]

    def _logs(self) -> list[bytes]:
        """Return the logs of all jobs, asking the site once an array."""
        arrays: dict[str, dict[int, int]] = {}
        for row in self._record.jobs():
            if row.remote_id is not None:
                arrays.setdefault(row.remote_id, {})[row.array_index] = row.index
        found = [b""] * len(self)
        for remote_id, indices in arrays.items():
            for at, data in self._record.place.workplace.site.logs(remote_id, list(indices)):
                found[indices[at]] += data
        return found

    def _follow(self) -> Iterator[tuple[int, str]]:
        follows = [Follow() for _ in self.jobs]
        with self.awaited(None) as ended:
            while True:
                over = ended.done()
                news = list(zip(follows, self._logs(), strict=True))
                yield from ((index, line) for index, (each, data) in enumerate(news) for line in each.lines(data, over))
                if over:
                    return
                min(follows, key=Follow.seconds).pause(ended)

    def cancel(self) -> None:
        """Ask the site to end all jobs that have not ended; returns when the site accepted that."""
        cancel(self._record.place.workplace, self._row())

    def retry_failed(self, memory_mb: int | None = None, wall_time_in_seconds: float | None = None) -> list[Job]:
        """Submit the jobs that failed or were lost again, as one new array per cause; returns these jobs.

        Jobs that lacked memory or time are given twice as much, or what is given here. Their folders are new; those of
        the tries before stay until the array is deleted. Raises ``ConflictError`` if it was deleted.
        """
        self._check_kept()
        failed = [row for row in self._record.jobs() if row.state in (JobState.FAILED, JobState.LOST)]
        try_again(self._record.place.workplace, self._row(), failed, Given(memory_mb, wall_time_in_seconds))
        return [self.jobs[row.index] for row in failed]

    def delete(self) -> list[str]:
        """Remove all files and logs of its jobs at the site and move it to the group ``archive``.

        Returns what was removed. Raises ``ConflictError`` if a job is active.
        """
        return [] if self.is_archived else delete(self._record.place.workplace, self._row())

    @property
    def cost(self) -> float:
        """What all tries of its jobs cost so far, in the currency of the site's prices."""
        return sum(self._record.requests.costs(self._record.id).values())

    @property
    def resources_used(self) -> ResourcesUsed:
        """What the newest tries of its jobs took together."""
        rows = self._record.jobs()
        walls = [row.ended - row.started for row in rows if row.ended is not None and row.started is not None]
        cpus = [row.cpu_seconds for row in rows if row.cpu_seconds is not None]
        peaks = [row.peak_memory_bytes for row in rows if row.peak_memory_bytes is not None]
        return ResourcesUsed(sum(walls) if walls else None, sum(cpus) if cpus else None, max(peaks, default=None))

    def __eq__(self, other: object) -> bool:
        return self._record == other._record if isinstance(other, JobArray) else NotImplemented

    def __hash__(self) -> int:
        return hash((JobArray, self._record))

    def __reduce__(self) -> tuple[type[JobArray], tuple[Record]]:
        return JobArray, (self._record,)

    def __repr__(self) -> str:
        try:
            shown = states_text(self._states())
        except SimcampaignError:
            shown = "unknown"
        return f"<JobArray {self.job_name} at {self.site_name}: {shown}>"

    def _repr_html_(self) -> str:
        rest = len(self) - MOST_SHOWN
        more = f"<p>… and {rest} more: {states_text(self._states())}</p>" if rest > 0 else ""
        return html_table(self.jobs[:MOST_SHOWN]) + more
