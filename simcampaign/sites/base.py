"""What every site can do. A site is a named configuration of one backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from simcampaign.jobs import ArrayReport, ArraySpec, JobReport, Resources
from simcampaign.sites.hosts.base import Entry, Host


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a site's backend offers."""

    max_array_size: int | None = None
    """Jobs in one array; None for no limit."""

    adopts: bool = False
    """True if ``submit`` of an array whose name the site already knows returns the known one instead of a second."""

    arrays: bool = True
    """True if the backend itself knows arrays, so that one call submits any number of jobs."""

    cancels_jobs: bool = True
    """True if single jobs of an array can be cancelled."""

    live_logs: bool = True
    """True if what a job prints can be read while it runs."""

    cost: bool = False
    """True if jobs cost money here."""

    queues: bool = False
    """True if the site has partitions or queues to choose from."""

    tried: bool = True
    """False if the backend was written from its documentation alone."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a look at a site's health found."""

    subject: str
    """What was looked at, e.g. ``scratch``."""

    fine: bool | None
    """False if jobs will fail for it; None if it is only worth knowing."""

    detail: str
    """What was found, and what to do about it if it is not fine."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A partition or queue of a site; None where the scheduler does not tell."""

    name: str
    state: str
    nodes: int | None = None
    nodes_used: int | None = None
    cores: int | None = None
    cores_used: int | None = None
    memory_mb: int | None = None
    memory_used_mb: int | None = None
    max_seconds: float | None = None
    default: bool = False


class Depot(Protocol):
    """What a site keeps for arrays whose jobs reach neither our files nor a host of ours.

    Calls may raise ``SiteError`` or ``NetworkError``, as those of the site.
    """

    def quote(self, array: ArraySpec) -> float:
        """Have the inputs of an array there, and return what its jobs cost at most; starts nothing."""
        ...

    def outputs(self, name: str) -> Sequence[Entry]:
        """Return the outputs of an array's jobs, by their paths in the folder of outputs."""
        ...

    def get(self, name: str, files: Iterable[tuple[str, Path]]) -> int:
        """Fetch outputs of an array, each whole or not at all; returns bytes fetched."""
        ...

    def remove(self, names: Sequence[str]) -> None:
        """Remove what is kept for arrays that are over or were never submitted."""
        ...


class Site(Protocol):
    """Where jobs run.

    Every call may raise ``SiteError`` (the site refused or answered nonsense) or ``NetworkError`` (it could not be
    reached); after either, nothing that is known of a job changes.
    """

    name: str
    capabilities: Capabilities
    options: ClassVar[type[Any]]
    """The dataclass, validated by pydantic, of what a person writes about such a site in ``sites.toml``."""

    host: Host | None
    """Where its jobs find files; None if they reach no directory of ours."""

    depot: Depot | None
    """What keeps inputs and outputs where jobs reach no files of ours; None if they do."""

    scratch: str
    """Directory on ``host`` for files that have no location, e.g. of single jobs; absolute, or below ``~``."""

    @classmethod
    def configure(cls, name: str, options: Any) -> Self:
        """Make a site of what a person wrote; the backend is not asked yet. Raises ``ConfigError``."""
        ...

    def check(self, array: ArraySpec) -> None:
        """Raise ``SiteError`` if the array could not run here: no such command, more resources than there are.

        Called before anything is written down; the array has no jobs yet.
        """
        ...

    def submit(self, array: ArraySpec) -> str:
        """Hand an array over and return the remote id; the caller has written down its intent before."""
        ...

    def find(self, name: str) -> str | None:
        """Return the remote id of the array with this name, or None if the site has never seen it.

        After None no job of that array can start any more, even if its submission was still under way.
        """
        ...

    def status(self, cursors: Mapping[str, str]) -> Mapping[str, ArrayReport]:
        """Return what changed in the arrays of these remote ids since the cursor of each ("" at first)."""
        ...

    def wait(self, remote_ids: Sequence[str], timeout_seconds: float) -> None:
        """Return when something may have changed in these arrays, at the latest after ``timeout_seconds``.

        A site that is told nothing sleeps.
        """
        ...

    def logs(self, remote_id: str, indices: Sequence[int], pattern: str = "") -> Iterator[tuple[int, bytes]]:
        """Yield what jobs printed so far, with their indices, in any order; a job without any output may be left out.

        ``pattern`` keeps only the lines that match it, see ``simcampaign.logfilter``.
        """
        ...

    def running(self, remote_id: str, most: int) -> Sequence[int]:
        """Return indices of jobs that run now, at most ``most``."""
        ...

    def details(self, remote_id: str) -> Sequence[JobReport]:
        """Return the ended jobs of an array that is over, with the times that ``status`` left out; it is asked once."""
        ...

    def price_per_hour(self, resources: Resources) -> float:
        """Return what a job with these resources costs for an hour, in the user's currency."""
        ...

    def cancel(self, remote_id: str, indices: Sequence[int] | None = None) -> None:
        """End what has not finished, of all jobs or of those with these indices.

        Returns when the request is accepted, not when it is done.
        """
        ...

    def clean(self, remote_id: str) -> None:
        """Remove the site's own files of an array that is over."""
        ...

    def queues(self) -> Sequence[Queue]:
        """Return the partitions or queues that jobs can be sent to, with what they have and use; none elsewhere."""
        ...

    def doctor(self) -> Iterator[Finding]:
        """Look whether jobs can run here: reachable, may submit, arrays, scratch writable, versions, limits.

        Yields each finding as it is made and goes on after a bad one; raises nothing for a site that is not well.
        """
        ...
