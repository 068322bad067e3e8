"""What a scheduler must be able to say: every command as an argument list, every answer read from text.

An adapter does nothing by itself. It makes scripts and commands, and understands what the commands print; ``site.py``
runs them on a host. So each adapter is tested from recorded text.
"""

from __future__ import annotations

import hashlib
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from simcampaign.errors import SiteError, shorten
from simcampaign.jobs import Cause, JobState, Resources
from simcampaign.sites.base import Queue
from simcampaign.sites.cluster.options import ClusterOptions
from simcampaign.sites.cluster.script import render
from simcampaign.sites.hosts.base import Done

_ODD = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class Request:
    """One array, as its script needs to know it."""

    name: str
    """The scheduler's name of the array, see ``Adapter.job_name``."""

    size: int
    """Jobs in the array."""

    directory: str
    """The array's own directory on the host, absolute; ``task.sh`` lies in it."""

    resources: Resources
    options: ClusterOptions

    @property
    def cpus(self) -> int:
        """Whole cores of each rank."""
        return max(1, math.ceil(self.resources.cpus))

    @property
    def cores(self) -> int:
        """Whole cores of the job."""
        return self.cpus * self.resources.ranks

    @property
    def minutes(self) -> int | None:
        """The time limit in minutes, rounded up: schedulers know no seconds. None for none."""
        seconds = self.resources.timeout_seconds
        return None if seconds is None else max(1, math.ceil(seconds / 60))


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a scheduler's word for a state stands for."""

    state: JobState
    cause: Cause | None = None
    sentence: str = ""
    """Why the job is so, for people; empty where the state says it all."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a scheduler says of one job. ``code`` is its own word for the state, kept for messages."""

    state: JobState
    cause: Cause | None = None
    exit_code: int | None = None
    code: str = ""
    message: str = ""
    """A sentence: why it waits, or why it failed."""

    started: float | None = None
    """Seconds since the epoch."""

    ended: float | None = None
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a scheduler says of its limits; None where it does not tell."""

    max_array_size: int | None = None
    """Jobs in one array. Where the scheduler bounds the index, that bound less what ``index_base`` takes."""

    accounting: bool | None = None
    """True if ended jobs can be asked for long after; None if that is not known."""


Jobs = Mapping[str, Mapping[int, Seen]]
"""By the scheduler's id of the array and the job's index (from 0, whatever ``index_base`` is), or ``OTHERS``."""

OTHERS = -1
"""In place of an index: all jobs of the array that are not mentioned."""


class Adapter(ABC):
    """A scheduler in pure functions of text.

    Every ``parse_…`` raises ``SiteError`` for an answer that cannot be understood, quoting it, and must never take an
    error for an empty answer: a job that is missing from a good answer is one that the scheduler has forgotten. Each
    first calls ``self.refuse(done)``, or looks itself at exit codes that only say "no such job". ``NetworkError`` is
    for a scheduler that is busy or down; ``is_busy`` tells, and the site raises it before anything is parsed.
    """

    name: ClassVar[str]
    """Name of the backend, e.g. ``slurm``; ``NAME.sh.j2`` beside this file is its script's template."""

    title: ClassVar[str]
    """What people call it, e.g. ``Slurm``."""

    index_base: ClassVar[int] = 0
    """Index of an array's first job in the scheduler's count; ours start at 0. The script does the sum."""

    longest_name: ClassVar[int] = 200
    """Characters that the scheduler keeps of a job's name."""

    accounting_seconds: ClassVar[float] = 0.0
    """How long after a job's end accounting may not know of it yet."""

    tried: ClassVar[bool] = True
    """False if the adapter was written from documentation alone."""

    STATES: ClassVar[Mapping[str, Meaning]]
    """What each of the scheduler's states stands for. An unknown one is nonsense: ``SiteError``."""

    REASONS: ClassVar[Mapping[str, str]]
    """Sentences for the scheduler's codes of why a job waits or failed. An unknown one is shown as it is."""

    # The script

    def script(self, request: Request) -> str:
        """Return the script of an array: directives, then the few lines that hand over to ``task.sh``.

        Raises ``SiteError`` if a value must not stand in a directive line.
        """
        return render(f"{self.name}.sh.j2", {"request": request, **self.variables(request)})

    def variables(self, request: Request) -> Mapping[str, Any]:
        """Return what the template sees beside ``request``."""
        del request
        return {}

    def job_name(self, name: str) -> str:
        """Return the scheduler's name for the array ``name``: without odd characters, and not too long."""
        plain = _ODD.sub("_", name)
        if not plain[:1].isalpha():
            plain = f"j{plain}"
        if plain == name and len(plain) <= self.longest_name:
            return plain
        mark = hashlib.sha256(name.encode()).hexdigest()[:8]
        return f"{plain[: self.longest_name - 9]}_{mark}"

    # Submitting

    @abstractmethod
    def submit_command(self, script_path: str) -> Sequence[str]:
        """Return the command that hands the script over. One that reads standard input is wrapped in ``sh -c``."""

    @abstractmethod
    def parse_submitted(self, text: str) -> str:
        """Return the array's id from what the submit command printed on standard output."""

    def test_command(self, script_path: str) -> Sequence[str] | None:
        """Return a command that tells by its exit code whether the script would be accepted; None if there is none."""
        del script_path
        return None

    # Looking

    @abstractmethod
    def status_command(self, ids: Sequence[str]) -> Sequence[str]:
        """Return one command that tells of all jobs of these arrays, of ended ones as long as they are remembered."""

    @abstractmethod
    def parse_status(self, done: Done) -> Jobs:
        """Return what the status command told; an array or job that the scheduler does not know is not in it."""

    def accounting_command(self, ids: Sequence[str]) -> Sequence[str] | None:
        """Return one command that tells of ended jobs of these arrays; None if the scheduler keeps no such record."""
        del ids
        return None

    def parse_accounting(self, done: Done) -> Jobs:
        """Return what the accounting command told."""
        self.refuse(done)
        return {}

    @abstractmethod
    def find_command(self, name: str) -> Sequence[str]:
        """Return a command that tells which arrays, in the queue and if possible ended, have this ``job_name``."""

    @abstractmethod
    def parse_found(self, done: Done, name: str) -> Sequence[str]:
        """Return the ids of the arrays called ``name``; none if there is none."""

    # Acting

    @abstractmethod
    def cancel_command(self, array_id: str, indices: Sequence[int] | None) -> Sequence[str]:
        """Return the command that ends the jobs with these indices (from 0), at most some hundreds; None for all."""

    def is_over(self, done: Done) -> bool:
        """Tell whether a cancel command only complained that there is no such job (any more)."""
        return done.code == 0

    # The scheduler itself

    @abstractmethod
    def version_command(self) -> Sequence[str]:
        """Return the command that prints the scheduler's version."""

    def parse_version(self, done: Done) -> str:
        """Return the version, e.g. ``slurm-wlm 22.05.8``."""
        self.refuse(done)
        lines = done.text.strip().splitlines()
        return shorten(lines[0]) if lines else ""

    @abstractmethod
    def queues_command(self) -> Sequence[str]:
        """Return the command that lists partitions or queues."""

    @abstractmethod
    def parse_queues(self, done: Done) -> Sequence[Queue]:
        """Return the partitions or queues."""

    def limits_command(self) -> Sequence[str] | None:
        """Return the command that tells the scheduler's limits; None if nothing tells them."""
        return None

    def parse_limits(self, done: Done) -> Limits:
        """Return the limits."""
        self.refuse(done)
        return Limits()

    @abstractmethod
    def is_busy(self, done: Done) -> bool:
        """Tell whether a command failed because the scheduler is down, busy or out of reach: it is waited for."""

    # Common to all

    def refuse(self, done: Done) -> None:
        """Raise ``SiteError`` if a command failed."""
        if done.code:
            raise SiteError(f"{self.title} refused: {shorten(done.complaint, 300)} (exit code {done.code})")

    def nonsense(self, text: str) -> SiteError:
        """Return the error for a line that cannot be understood."""
        return SiteError(f"{self.title} printed something that cannot be understood: {shorten(repr(text), 200)}")

    def seen(self, code: str, reason: str = "", exit_code: int | None = None, **more: Any) -> Seen:
        """Return what state ``code`` with ``reason`` stands for, by the tables; ``more`` are fields of ``Seen``.

        Raises ``SiteError`` for a state that is not in ``STATES``.
        """
        meaning = self.STATES.get(code)
        if meaning is None:
            raise SiteError(f"{self.title} says that a job is in the unknown state {shorten(repr(code), 60)}")
        # The reason of a job that is over may still be why it had to wait.
        told = meaning.state.active or not meaning.sentence or (meaning.cause is Cause.APPLICATION)
        sentence = (self.REASONS.get(reason, reason) if told else "") or meaning.sentence
        return Seen(meaning.state, meaning.cause, exit_code, code, sentence, **more)
