"""The files of requests: put into the jobs' folders on the site's host, and found again for another try."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from simcampaign.engine.keep import Keep
from simcampaign.engine.requests import InputFile, JobRequest, Request, content_digest
from simcampaign.errors import LocationError
from simcampaign.jobs import ArraySpec, JobSpec, Resources
from simcampaign.ledger import LEASE_SECONDS, JobRow, PartRow, job_id
from simcampaign.sites.hosts.base import Host

START = ".simcampaign.sh"
"""What starts a job whose command or environment is not that of all jobs of its array; and a file for jobs without."""

Contents = Mapping[str, "bytes | Path"]
"""Content of files by their digests."""


def job_folder(part: PartRow | JobRow, at: int) -> str:
    """Return the folder of the job that is number ``at`` in an array."""
    array = part.array.name if isinstance(part, PartRow) else part.array
    return f"{part.folder}/{job_id(array, at)}"


def array_spec(
    request: Request, part: PartRow, indices: Sequence[int], environments: Sequence[Mapping[str, str]]
) -> ArraySpec:
    """Return what the site is handed; ``environments`` are those of the request's jobs."""
    jobs = [request.jobs[index] for index in indices]
    same = is_uniform(jobs, [environments[index] for index in indices])
    return ArraySpec(
        name=part.array.name,
        file_set=part.array.file_set,
        working_url=f"{part.folder}/",
        output="./",
        command=fill(jobs[0].command, request.resources) if same else ("sh", START),
        jobs=[
            JobSpec(at, job_id(part.array.name, at), relative(request.jobs[index].input), "")
            for at, index in enumerate(indices)
        ],
        resources=request.resources,
        environment=dict(environments[indices[0]]) if same else {},
        directory=f"{part.folder}/{{job_id}}",
        options=request.options,
    )


def is_uniform(jobs: Sequence[JobRequest], environments: Sequence[Mapping[str, str]]) -> bool:
    """Tell whether one command and one environment will do for all jobs.

    A program that lies in a job's folder is found by nobody but the job itself.
    """
    command = jobs[0].command
    alike = all(job.command == command for job in jobs) and all(each == environments[0] for each in environments)
    return alike and not is_own(command)


def is_own(command: Sequence[str]) -> bool:
    """Tell whether the program is a file in the job's folder."""
    return "/" in command[0] and not command[0].startswith(("/", "~", "{"))


def relative(name: str) -> str:
    """Return a file's name in the job's folder so that no program takes it for an option."""
    return f"./{name}" if name.startswith("-") else name


def fill(command: Sequence[str], resources: Resources) -> tuple[str, ...]:
    """Put what is the same for all jobs in the place of placeholders."""
    values = {
        "ranks": str(resources.ranks),
        "cpus": f"{resources.cpus:g}",
        "gpus": str(resources.gpus),
        "memory_mb": "" if resources.memory_mb is None else str(resources.memory_mb),
    }
    return _replace(command, values)


def _replace(command: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    filled = list(command)
    for name, value in values.items():
        filled = [argument.replace(f"{{{name}}}", value) for argument in filled]
    return tuple(filled)


def files_to_put(
    request: Request,
    part: PartRow,
    indices: Sequence[int],
    environments: Sequence[Mapping[str, str]],
    contents: Contents,
) -> Iterator[tuple[bytes | Path, str]]:
    """Yield what is put into the folders of an array's jobs, each with its path there."""
    same = is_uniform([request.jobs[index] for index in indices], [environments[index] for index in indices])
    for at, index in enumerate(indices):
        job, folder = request.jobs[index], job_folder(part, at)
        for file in job.files:
            content = contents.get(file.digest)
            yield (Path(file.source) if content is None else content), f"{folder}/{file.name}"
        if not same:
            name = job_id(part.array.name, at)
            values = {"input": relative(job.input), "output": "./", "index": str(at), "job_id": name, "seeds": ""}
            command = _replace(fill(job.command, request.resources), values)
            yield _start(command, environments[index]), f"{folder}/{START}"
        elif not job.files:
            yield b"", f"{folder}/{START}"  # so that there is a folder


def _start(command: Sequence[str], environment: Mapping[str, str]) -> bytes:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    return "\n".join([*lines, f"exec {shlex.join(command)}", ""]).encode(errors="surrogateescape")


def renewing(
    files: Iterator[tuple[bytes | Path, str]], renew: Callable[[], object]
) -> Iterator[tuple[bytes | Path, str]]:
    """Yield the files, and renew the lease of their array meanwhile, however long they take."""
    renewed = time.monotonic()
    for file in files:
        if time.monotonic() - renewed > LEASE_SECONDS / 3:
            renew()
            renewed = time.monotonic()
        yield file


def recover(files: Sequence[tuple[InputFile, str]], keep: Keep, host: Host, scratch: Path) -> dict[str, Path]:
    """Find files of a request again, each as it was when it was asked for; returns where they are, by digest.

    ``files`` come with the paths that they were put to on the host. Looked for are the request's private folder, the
    place here that a file came from, and at last the host, from where they are fetched into ``scratch``. Raises
    ``LocationError`` if one is nowhere any more.
    """
    found: dict[str, Path] = {}
    missing: dict[str, tuple[InputFile, str]] = {}
    for file, path in files:
        if file.digest in found:
            continue
        here = keep.content(file.digest) or _source(file)
        if here is None:
            missing[file.digest] = (file, path)
        else:
            found[file.digest] = here
    if missing:
        fetched = {digest: scratch / digest for digest in missing}
        sizes = _sizes(host, {path.rpartition("/")[0] for _, path in missing.values()})
        there = {digest: path for digest, (file, path) in missing.items() if sizes.get(path) == file.size}
        host.get((path, fetched[digest]) for digest, path in there.items())
        for digest, (file, _) in missing.items():
            if digest not in there or content_digest(fetched[digest]) != digest:
                where = file.source or "it was made in memory"
                raise LocationError(
                    f"input {file.name}: what it was when the job was submitted is nowhere any more ({where})",
                    "submit the job again with another job_name",
                )
        found |= fetched
    return found


def _source(file: InputFile) -> Path | None:
    """Return where a file came from if it is still the same."""
    source = Path(file.source)
    try:
        if file.source and source.stat().st_size == file.size and content_digest(source) == file.digest:
            return source
    except OSError:
        pass
    return None


def _sizes(host: Host, folders: set[str]) -> dict[str, int]:
    return {f"{folder}/{entry.path}": entry.size for folder in folders for entry in host.list(folder)}
