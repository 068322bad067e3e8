"""What every site can do. A site is a named configuration of one backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from simcampaign.jobs import ArrayReport, ArraySpec, JobReport, Resources


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a site's backend offers."""

    max_array_size: int | None = None
    """Jobs in one array; None for no limit."""

    adopts: bool = False
    """True if ``submit`` of an array whose name the site already knows returns the known one instead of a second."""


class Site(Protocol):
    """Where jobs run.

    Every call may raise ``SiteError`` (the site refused or answered nonsense) or ``NetworkError`` (it could not be
    reached); after either, nothing that is known of a job changes.
    """

    name: str
    capabilities: Capabilities

    def check(self, array: ArraySpec) -> None:
        """Raise ``SiteError`` if the array could not run here: no such command, more resources than there are.

        Called before anything is written down; the array has no jobs yet.
        """
        ...

    def submit(self, array: ArraySpec) -> str:
        """Hand an array over and return the remote id; the caller has written down its intent before."""
        ...

    def find(self, name: str) -> str | None:
        """Return the remote id of the array with this name, or None if the site has never seen it."""
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

    def cancel(self, remote_id: str) -> None:
        """End what has not finished; returns when the request is accepted, not when it is done."""
        ...

    def clean(self, remote_id: str) -> None:
        """Remove the site's own files of an array that is over."""
        ...
