"""Running simulations: submit, wait, copy what they left, delete what the site has of them."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, Unpack

from simcampaign.api.array import JobArray
from simcampaign.api.asked import Call, More, Prepared, RunMore
from simcampaign.api.inputs import Collected, Input, Simulation, Writable
from simcampaign.api.job import Job, folder_name
from simcampaign.api.places import open_place, open_requests
from simcampaign.api.record import Record
from simcampaign.api.words import call_text, count_text, downloaded_text
from simcampaign.engine.requests import Request
from simcampaign.engine.sending import submit
from simcampaign.errors import LocationError, NetworkError, SiteError
from simcampaign.jobs import JobState
from simcampaign.ledger import default_url

PathLike = str | os.PathLike[str]
AnyJob = TypeVar("AnyJob", Job, JobArray)

logger = logging.getLogger("simcampaign")


def run(
    input_file: Input,
    site_name: str,
    output_folder: PathLike,
    overwrite: bool = False,
    ranks: int | None = None,
    wall_time_in_seconds: float | None = None,
    **more: Unpack[RunMore],
) -> Job:
    """Run one simulation: wait for it, copy all its outputs and its log, and delete its files at the site.

    Parameters
    ----------
    input_file
        A path, a ``Simulation``, or any object with ``write(path)``. How the site starts an input file, its
        configuration says (``executable``).
    site_name
        Where to run it; ``simcampaign sites`` lists sites.
    output_folder
        Where the outputs are copied to; must not exist, unless ``overwrite`` is true: then files in it are written
        over.
    ranks
        Processes that share the work; the site's ``mpirun`` starts them.
    wall_time_in_seconds
        The simulation is ended when it takes longer.
    **more
        ``memory_mb``, ``cpus`` (of each rank), ``gpus``, ``job_name`` (to find it again by; one that was given before
        with the very same inputs takes that job up again), ``group``, ``environment``, ``options`` (of the site, for
        this job alone), ``verbose=False`` (to print nothing).

    Raises
    ------
    ConfigError
        With all that is wrong with the arguments, before anything is created.
    SimulationError
        If the simulation fails: what it left is copied then, and nothing is deleted.
    SiteError, NetworkError
        If the site refuses, or cannot be reached.
    """
    work = begin(input_file, site_name, output_folder, overwrite, ranks, wall_time_in_seconds, **more)
    work.job.wait()
    return work.finish()


def run_many(
    input_files: Sequence[Input],
    site_name: str,
    output_folder: PathLike,
    overwrite: bool = False,
    ranks_per_job: int | None = None,
    wall_time_in_seconds_per_job: float | None = None,
    **more: Unpack[RunMore],
) -> JobArray:
    """Run many simulations as a job array; outputs are in ``job_0000``, ``job_0001``, … of the output folder.

    As ``run``, with the same resources for each job. If some fail, the outputs of all are copied before
    ``SimulationError`` is raised.
    """
    seconds = wall_time_in_seconds_per_job
    work = begin_many(input_files, site_name, output_folder, overwrite, ranks_per_job, seconds, **more)
    work.job.wait()
    return work.finish()


def run_async(
    input_file: Input,
    site_name: str,
    ranks: int | None = None,
    wall_time_in_seconds: float | None = None,
    **more: Unpack[More],
) -> Job:
    """Submit one simulation and return at once; see ``run`` for the arguments."""
    arguments = _one(ranks, wall_time_in_seconds, more)
    record, _ = _submit(Call("run_async", site_name, [input_file], False, None, False, arguments).prepare(_never))
    return Job(record)


def run_many_async(
    input_files: Sequence[Input],
    site_name: str,
    ranks_per_job: int | None = None,
    wall_time_in_seconds_per_job: float | None = None,
    **more: Unpack[More],
) -> JobArray:
    """Submit many simulations as a job array and return at once; see ``run_many`` for the arguments."""
    arguments = _many(ranks_per_job, wall_time_in_seconds_per_job, more)
    call = Call("run_many_async", site_name, _listed(input_files), True, None, False, arguments)
    record, _ = _submit(call.prepare(_never))
    return JobArray(record)


def begin(
    input_file: Input,
    site_name: str,
    output_folder: PathLike,
    overwrite: bool = False,
    ranks: int | None = None,
    wall_time_in_seconds: float | None = None,
    **more: Unpack[RunMore],
) -> Work[Job]:
    """Submit one simulation whose outputs are wanted; see ``run``."""
    arguments = _one(ranks, wall_time_in_seconds, more)
    call = Call("run", site_name, [input_file], False, Path(output_folder), overwrite, arguments)
    return _begin(call, Job)


def begin_many(
    input_files: Sequence[Input],
    site_name: str,
    output_folder: PathLike,
    overwrite: bool = False,
    ranks_per_job: int | None = None,
    wall_time_in_seconds_per_job: float | None = None,
    **more: Unpack[RunMore],
) -> Work[JobArray]:
    """Submit many simulations whose outputs are wanted; see ``run_many``."""
    arguments = _many(ranks_per_job, wall_time_in_seconds_per_job, more)
    inputs = _listed(input_files)
    return _begin(Call("run_many", site_name, inputs, True, Path(output_folder), overwrite, arguments), JobArray)


def _begin(call: Call, kind: Callable[[Record], AnyJob]) -> Work[AnyJob]:
    began = time.monotonic()
    prepared = call.prepare(_is_taken_up)
    record, known = _submit(prepared)
    request = prepared.request
    work = Work(kind(record), Path(request.destination), prepared.verbose, began)
    ranks = count_text(request.resources.ranks, "rank")
    before = ", submitted before" if known else ""
    if call.many:
        work.say(
            f"Job array {request.name} at site {request.site}: {count_text(record.size, 'job')}, {ranks} each{before}"
        )
    else:
        work.say(f"Job {request.name} at site {request.site}, {ranks}{before}")
    return work


def _one(ranks: int | None, seconds: float | None, more: Mapping[str, object]) -> dict[str, object]:
    return {"ranks": ranks, "wall_time_in_seconds": seconds, **more}


def _many(ranks: int | None, seconds: float | None, more: Mapping[str, object]) -> dict[str, object]:
    return {"ranks_per_job": ranks, "wall_time_in_seconds_per_job": seconds, **more}


def _listed(inputs: Sequence[Input] | Input) -> list[Input]:
    """Return the inputs; one that is not in a list is one of them, and so is what is no input at all."""
    if isinstance(inputs, (str, os.PathLike, Simulation, Writable)) or not isinstance(inputs, Iterable):
        return [inputs]
    return list(inputs)


def _never(_request: Request, _collected: Collected) -> bool:
    return False


def _is_taken_up(request: Request, collected: Collected) -> bool:
    """Tell whether this very request was submitted before, and its outputs go to the same folder."""
    digest = request.digest(collected.environments)
    found = open_requests().find(request.name, request.site)
    return any(
        row.archived is None
        and row.digest == digest
        and Request.read(row.name, row.site, row.many, row.group, row.details).destination == request.destination
        for row in found
    )


def _submit(prepared: Prepared) -> tuple[Record, bool]:
    """Submit what was prepared; returns it, and whether the very same was submitted before."""
    request, collected = prepared.request, prepared.collected
    url = default_url()
    workplace = open_place(request.site, url).workplace
    try:
        row, known = submit(workplace, request, collected.contents, collected.environments)
    except KeyboardInterrupt:
        call = call_text("get_job_array" if request.many else "get_job", request.name, request.site)
        sys.stderr.write(
            f"\nSite {request.site} may have the job all the same. To find out:\n  {call}.update_status()\n"
        )
        raise
    return Record.of(row, url), known


@dataclass(frozen=True)
class Work(Generic[AnyJob]):
    """A job, or job array, whose outputs are wanted here."""

    job: AnyJob
    folder: Path
    verbose: bool
    began: float
    """By the monotonic clock."""

    def finish(self) -> AnyJob:
        """Copy outputs and logs, delete them at the site, and return the job.

        Raises ``SimulationError`` if the simulation failed; then nothing is deleted.
        """
        copied: dict[Path, int] = {}
        try:
            copied = self.job.copy_output(self.folder)
            copied |= self._save_logs(copied)
        except (SiteError, NetworkError) as error:
            if self.job.status is JobState.FINISHED:
                raise
            logger.warning("What job %s left could not be copied. %s", self.job.job_name, error)
        failed = self.job.exception()
        total = time.monotonic() - self.began
        self.say(downloaded_text(copied, self.folder, total, self.job.resources_used.wall_seconds))
        if failed is not None:
            raise failed
        self.job.delete()
        return self.job

    def say(self, text: str) -> None:
        """Print a line, if anything is to be printed."""
        if self.verbose:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def _save_logs(self, outputs: Mapping[Path, int]) -> dict[Path, int]:
        """Save what the jobs printed beside their outputs; an output of the same name is left alone."""
        saved = {}
        for path, text in self._logs().items():
            # An empty one is saved in place of an earlier job's alone.
            if path not in outputs and (text or path.exists()):
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text, encoding="utf-8")
                except OSError as error:
                    raise LocationError(f"{path} cannot be written: {error.strerror}") from error
                saved[path] = path.stat().st_size
        return saved

    def _logs(self) -> dict[Path, str]:
        job: Job | JobArray = self.job
        if isinstance(job, Job):
            return {self.folder / job.log_name: job.logs()}
        texts = zip(job.jobs, job.logs(), strict=True)
        return {self.folder / folder_name(index) / each.log_name: text for index, (each, text) in enumerate(texts)}
