"""What jobs of requests leave: which files are outputs, and how they come here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from simcampaign.engine.jobfiles import START, job_folder
from simcampaign.engine.requests import InputFile, JobRequest, Request, content_digest
from simcampaign.engine.workplace import Workplace
from simcampaign.errors import SiteError
from simcampaign.ledger import JobRow, job_id
from simcampaign.sites.hosts.base import Entry, Host

DOUBT_SECONDS = 2.0
"""Some hosts know the time of a change to the second only."""


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a job left."""

    name: str
    """Relative to the job's folder, with ``/``."""

    path: str
    """On the site's host."""

    size: int


def outputs(place: Workplace, request: Request, jobs: Sequence[JobRow]) -> dict[int, list[Output]]:
    """Return the outputs of jobs, by their indices in the request, sorted by name.

    Those are files that match the request's patterns, or without patterns all but inputs that are as they were.
    """
    found: dict[int, list[Output]] = {job.index: [] for job in jobs}
    doubtful: list[tuple[int, Output, InputFile]] = []
    for job, entries in _listings(place.host, jobs):
        asked = request.jobs[job.index]
        given = {file.name: file for file in asked.files}
        for entry in entries:
            if entry.path == START or not _is_wanted(entry.path, asked):
                continue
            output = Output(entry.path, f"{job_folder(job, job.array_index)}/{entry.path}", entry.size)
            file = None if asked.outputs else given.get(entry.path)
            if file is None or entry.size != file.size:
                found[job.index].append(output)
            elif job.started is None or entry.modified > job.started - DOUBT_SECONDS:
                doubtful.append((job.index, output, file))
    for index, output in _changed(place.host, doubtful):
        found[index].append(output)
    return {index: sorted(files, key=lambda output: output.name) for index, files in found.items()}


def _listings(host: Host, jobs: Sequence[JobRow]) -> Iterator[tuple[JobRow, list[Entry]]]:
    """Yield the files of each job: one listing for all jobs of an array, or of the job alone."""
    arrays: dict[str, list[JobRow]] = {}
    for job in jobs:
        arrays.setdefault(job.folder, []).append(job)
    for folder, members in arrays.items():
        if len(members) == 1:
            yield members[0], list(host.list(job_folder(members[0], members[0].array_index)))
            continue
        files: dict[str, list[Entry]] = {}
        for entry in host.list(folder):
            first, _, rest = entry.path.partition("/")
            files.setdefault(first, []).append(Entry(rest, entry.size, entry.modified))
        for job in members:
            yield job, files.get(job_id(job.array, job.array_index), [])


def _is_wanted(name: str, asked: JobRequest) -> bool:
    return not asked.outputs or any(
        fnmatchcase(name, pattern) or name.startswith(f"{pattern.rstrip('/')}/") for pattern in asked.outputs
    )


def _changed(host: Host, doubtful: Sequence[tuple[int, Output, InputFile]]) -> Iterator[tuple[int, Output]]:
    """Yield the inputs that are no longer what they were; the files are looked into, in one call."""
    if not doubtful:
        return
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder, str(number)) for number in range(len(doubtful))]
        host.get((output.path, copy) for (_, output, _), copy in zip(doubtful, copies, strict=True))
        for (index, output, file), copy in zip(doubtful, copies, strict=True):
            if content_digest(copy) != file.digest:
                yield index, output


def fetch(host: Host, files: Mapping[int, Sequence[Output]], folders: Mapping[int, Path]) -> dict[Path, int]:
    """Copy outputs of jobs, each to the folder of its job; returns the size of each copy in bytes.

    Raises ``SiteError``, before anything is copied, if a name leads out of its folder.
    """
    copies = {
        _inside(folders[index], output.name): output.path for index, outputs in files.items() for output in outputs
    }
    for index in files:
        folders[index].mkdir(parents=True, exist_ok=True)
    host.get((path, copy) for copy, path in copies.items())
    return {copy: copy.stat().st_size for copy in copies}


def _inside(folder: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise SiteError(f"the site lists an output {name!r}, which leads out of the job's folder; nothing was copied")
    return folder / path
