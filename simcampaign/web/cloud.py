"""A cloud of tasks, as a campaign needs one: folders of tasks that are uploaded, started together and fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from simcampaign.jobs import Cause, JobState


@dataclass(frozen=True, slots=True)
class Simulation:
    """A file that is to become a task."""

    key: str
    """The task's name among those of its folder; the same key is the same task."""

    name: str
    """What people see, and the name of its result."""

    path: Path


@dataclass(frozen=True, slots=True)
class CloudTask:
    """A task as the cloud tells of it. Times are seconds since the epoch."""

    id: str
    key: str
    name: str
    state: JobState | None
    """None as long as it was not started."""

    seen: str
    """Differs from what was told before if something changed."""

    quoted: float | None = None
    """What it costs at most; None while that is not known."""

    cost: float | None = None
    """What it cost; None while it is active."""

    fault: str = ""
    """Why it cannot be solved at all."""

    message: str = ""
    cause: Cause | None = None
    started: float | None = None
    ended: float | None = None
    result_bytes: int | None = None
    """Size of the result; None if there is none."""

    sha256: str = ""
    """Checksum of the result."""


class Cloud(Protocol):
    """What a site of kind ``solver`` asks for. Calls raise ``SiteError`` or ``NetworkError``, and may be repeated."""

    def about(self) -> str:
        """Return in words what answers, and as whom one asks."""
        ...

    def tasks(self, folder: str) -> Sequence[CloudTask]:
        """Return the tasks of a folder."""
        ...

    def upload(self, folder: str, simulations: Sequence[Simulation]) -> Sequence[CloudTask]:
        """Make tasks and have them quoted, in order; those that are there already are returned as they are.

        Raises ``SiteError`` if the folder was closed.
        """
        ...

    def start(self, ids: Sequence[str]) -> None:
        """Start tasks, all or none; those that were started already are left alone."""
        ...

    def close(self, folder: str, key: str) -> bool:
        """Forget the tasks of a folder in which none was started, and let none begin there any more.

        ``key`` is that of its first task, without which nothing is started. False if a task was started.
        """
        ...

    def look(self, tasks: Mapping[str, str]) -> tuple[Sequence[CloudTask], Sequence[str]]:
        """Return of tasks, given with what was seen of each, those that changed, and the ids that are not there."""
        ...

    def wait(self, tasks: Mapping[str, str], seconds: float) -> None:
        """Return when one of these tasks changed, at the latest after so many seconds."""
        ...

    def download(self, files: Iterable[tuple[CloudTask, Path]]) -> int:
        """Fetch results, each whole or not at all; returns bytes fetched."""
        ...

    def logs(self, ids: Sequence[str]) -> Sequence[bytes]:
        """Return what tasks printed."""
        ...

    def abort(self, ids: Sequence[str]) -> None:
        """End tasks that wait or run."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Forget tasks with their files."""
        ...
