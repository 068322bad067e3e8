"""Streams: arrays that stay open, so that a job can be added at any time and starts within a millisecond or two.

A detached site's runner takes tens of milliseconds to start; that of a stream is there already. Each job has a
command, an environment and limits of its own. The site's other calls (status, wait, logs, cancel, clean) take a
stream's remote id as they take any array's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simcampaign.jobs import ArraySpec, Resources
from simcampaign.sites.detached import DetachedSite


@dataclass(frozen=True, slots=True)
class StreamJob:
    """One job of a stream."""

    index: int
    """Its position: jobs are added in order, from 0 and without gaps."""

    job_id: str
    command: tuple[str, ...]
    """Argument list; ``{index}`` and ``{job_id}`` are replaced."""

    directory: str
    """Absolute path of the directory where it starts; it must exist."""

    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float | None = None
    memory_mb: int | None = None

    def line(self) -> list[Any]:
        """Return what the runner is told."""
        own = {
            "command": list(self.command),
            "directory": self.directory,
            "told": dict(self.environment),
            "timeout_seconds": self.timeout_seconds,
            "memory_mb": self.memory_mb,
        }
        return [self.index, self.job_id, "", "", own]


class Stream:
    """The open array of one name at a detached site. One client at a time may add jobs."""

    def __init__(self, site: DetachedSite, name: str, cores: int = 1) -> None:
        """Describe the stream; each of its jobs takes ``cores`` slots of the site."""
        self._site = site
        self.name = name
        self.cores = cores

    def open(self) -> str:
        """Make the stream, or find it if it is there already; returns its remote id."""
        resources = Resources(cpus=self.cores)
        array = ArraySpec(
            name=self.name, file_set=self.name, working_url="", output="", command=("-",), jobs=(), resources=resources
        )
        request = {
            "do": "create",
            "name": self.name,
            "description": {**self._site.describe(array), "open": True},
            "jobs": [],
            "runner": self._site.runner_command(),
        }
        return f"{self._site.desk.ask(request)['host']}:{self.name}"

    def count(self) -> int | None:
        """Return how many jobs were added so far, by anybody; None if there is no such stream."""
        found: int | None = self._site.desk.ask({"do": "count", "name": self.name})["count"]
        return found

    def add(self, jobs: Sequence[StreamJob]) -> None:
        """Add jobs behind those that are there; they start in this order as slots fall free.

        Raises ``SiteError`` if they cannot be written down; then look at ``count`` before adding them again.
        """
        self._ask("extend", jobs=[job.line() for job in jobs])

    def wake(self) -> None:
        """Keep the runner from leaving for want of jobs; start it if it has left."""
        self._ask("wake")

    def close(self) -> None:
        """Say that no more jobs come: the array is over when those that it has have ended."""
        self._ask("close")

    def _ask(self, do: str, **more: object) -> None:
        self._site.desk.ask({"do": do, "name": self.name, "runner": self._site.runner_command(), **more})
