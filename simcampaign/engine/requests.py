"""Requests: single jobs and job arrays that a person asks for, each job with files of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

from simcampaign.jobs import Resources

DEFAULT_GROUP = "default"
"""The group of requests for which none is named."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that a job is given."""

    name: str
    """Where it lies in the job's folder, with ``/``."""

    size: int
    """Bytes."""

    digest: str
    source: str
    """Its absolute path here; empty if it was made in memory."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What one job is to do."""

    command: tuple[str, ...]
    """Argument list, with placeholders as in ``ArraySpec`` and ``{ranks}``, ``{cpus}``, ``{gpus}``, ``{memory_mb}``."""

    files: tuple[InputFile, ...] = ()
    input: str = ""
    """The name of the file that ``{input}`` stands for; empty for none."""

    outputs: tuple[str, ...] = ()
    """Patterns of the files that are its outputs; empty for all that is not an unchanged input."""

    environment: tuple[str, ...] = ()
    """Names of the variables that it is given; values are kept apart, as they may be secrets."""


@dataclass(frozen=True)
class Request:
    """What a person asks for: one job, or a job array."""

    name: str
    site: str
    many: bool
    jobs: tuple[JobRequest, ...]
    resources: Resources = field(default_factory=Resources)
    options: Mapping[str, object] = field(default_factory=dict)
    group: str = DEFAULT_GROUP
    destination: str = ""
    """Absolute path of the folder here that the outputs are copied to at the end; empty for none."""

    def digest(self, environments: Sequence[Mapping[str, str]]) -> str:
        """Return what stands for all that is asked for, with the values of the jobs' environments."""
        asked = {
            "jobs": [
                {**asdict(job), "files": sorted((file.name, file.digest) for file in job.files)} for job in self.jobs
            ],
            "resources": asdict(self.resources),
            "options": dict(self.options),
            "environments": [dict(each) for each in environments],
        }
        return content_digest(json.dumps(asked, sort_keys=True, default=str).encode())

    def details(self) -> str:
        """Return as JSON what the ledger keeps beside name, site and group."""
        kept = {
            "jobs": [asdict(job) for job in self.jobs],
            "resources": asdict(self.resources),
            "options": dict(self.options),
            "destination": self.destination,
        }
        return json.dumps(kept, separators=(",", ":"), default=str)

    @classmethod
    def read(cls, name: str, site: str, many: bool, group: str, details: str) -> Request:
        """Return the request that the ledger kept."""
        kept = json.loads(details)
        return cls(
            name=name,
            site=site,
            many=many,
            jobs=tuple(_job(each) for each in kept["jobs"]),
            resources=Resources(**kept["resources"]),
            options=kept["options"],
            group=group,
            destination=kept["destination"],
        )

    def with_resources(self, resources: Resources) -> Request:
        """Return the request with other resources."""
        return replace(self, resources=resources)


def _job(kept: Mapping[str, Any]) -> JobRequest:
    return JobRequest(
        command=tuple(kept["command"]),
        files=tuple(InputFile(**file) for file in kept["files"]),
        input=kept["input"],
        outputs=tuple(kept["outputs"]),
        environment=tuple(kept["environment"]),
    )


def content_digest(content: bytes | Path) -> str:
    """Return 32 hexadecimal digits that stand for a file's content. Raises ``OSError`` if it cannot be read."""
    if isinstance(content, bytes):
        return blake2b(content, digest_size=16).hexdigest()
    with content.open("rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
