"""What the files of arrays say: exit codes, starts, cancellations. Read here, or by one command on the host."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from simcampaign.errors import SiteError, shorten
from simcampaign.sites.cluster.files import shell_file
from simcampaign.sites.cluster.ranges import from_text, to_text
from simcampaign.sites.cluster.verdicts import End
from simcampaign.sites.hosts.base import Done, Host

LOOK_SECONDS = 300.0
"""A busy controller keeps its clients waiting for minutes."""


@dataclass(frozen=True)
class Told:
    """What was told of an array so far: its cursor."""

    ended: frozenset[int] = frozenset()
    running: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Told:
        """Read ``ENDED;RUNNING``, both ranges. Raises ``SiteError`` if it is something else."""
        ended, _, running = text.partition(";")
        try:
            return cls(frozenset(from_text(ended)), frozenset(from_text(running)))
        except ValueError as error:
            raise SiteError(
                f"{shorten(text)!r} is not a cursor of a cluster's array",
                "look at the array from its start: give an empty one",
            ) from error

    def __str__(self) -> str:
        return f"{to_text(self.ended)};{to_text(self.running)}"


@dataclass
class Files:
    """What the files of one array say beyond what was told."""

    ends: dict[int, End] = field(default_factory=dict)
    started: set[int] = field(default_factory=set)
    """Jobs with a start marker, ended or not."""

    cancelled: list[str] = field(default_factory=list)
    """Requests to cancel: ``all``, or ranges of indices."""

    def is_cancelled(self, index: int) -> bool:
        """Tell whether the job was to be cancelled."""
        return "all" in self.cancelled or index in self._named

    @cached_property
    def _named(self) -> frozenset[int]:
        return frozenset(index for text in self.cancelled for index in from_text(text))


def look_here(scratch: Path, told: Mapping[str, Told]) -> dict[str, Files | None]:
    """Read the files of arrays on this host; None for one that is not there. Raises ``SiteError``."""
    arrays = scratch / "arrays"
    try:
        found = {name: _files(arrays / name, each) for name, each in told.items()}
        if None in found.values() and not arrays.is_dir():
            raise SiteError(f"scratch {scratch} is not there", "is its file system mounted?")
    except OSError as error:
        raise SiteError(f"scratch {scratch} cannot be read: {error.strerror}") from error
    return found


def _files(directory: Path, told: Told) -> Files | None:
    try:
        ended = [index for index in _numbers(directory / "ec") if index not in told.ended]
        started = {index for index in _numbers(directory / "start") if index not in told.ended}
    except FileNotFoundError:
        return None
    ends = (_end((directory / "ec" / str(index)).read_text(errors="replace")) for index in ended)
    cancel = directory / "cancel"
    cancelled = cancel.read_text().split() if cancel.exists() else []
    return Files({end.index: end for end in ends}, started, cancelled)


def _numbers(directory: Path) -> Iterable[int]:
    with os.scandir(directory) as entries:
        return [int(entry.name) for entry in entries if entry.name.isdecimal()]


def _end(line: str) -> End:
    return End.parse(line)


def look_there(
    host: Host, scratch: str, told: Mapping[str, Told], command: Sequence[str]
) -> tuple[Done | None, dict[str, Files | None]]:
    """Run the scheduler's command (none if empty) and read the files of arrays, in one command on the host.

    Returns how the scheduler's command ended, and the files; None for an array that is not there.
    """
    lines = "".join(f"{name} {to_text(each.ended) or '-'}\n" for name, each in told.items())
    call = ["/bin/sh", "-c", shell_file("look.sh"), "look.sh", scratch, *command]
    done = host.run(call, stdin=lines.encode(), timeout_seconds=LOOK_SECONDS)
    if done.code:
        raise SiteError(f"scratch {scratch} on {host.name} cannot be read: {shorten(done.complaint)}")
    status, files = _parse(done, bool(command))
    if missing := [name for name in told if name not in files]:
        raise SiteError(f"the look at {host.name} ended early: nothing of array {missing[0]}")
    return status, files


def _parse(done: Done, asked: bool) -> tuple[Done | None, dict[str, Files | None]]:
    status, rest = None, done.out
    if asked:
        head, separator, rest = done.out.removeprefix(b"@status\n").partition(b"\n@code ")
        code, _, rest = rest.partition(b"\n")
        if not (separator and code.isdigit()):
            raise SiteError(f"the look at the cluster ended early: {shorten(done.complaint)}")
        status = Done(int(code), head, done.err)
    files: dict[str, Files | None] = {}
    current = Files()
    for line in rest.decode(errors="replace").splitlines():
        word, _, text = line.partition(" ")
        if word == "@array":
            files[text] = current = Files()
        elif word == "@gone":
            files[text] = None
        elif word == "e":
            end = End.parse(text)
            current.ends[end.index] = end
        elif word == "s" and text.isdecimal():
            current.started.add(int(text))
        elif word == "c":
            current.cancelled.append(text)
        else:
            raise SiteError(f"the look at the cluster gave {shorten(repr(line))}")
    return status, files


def seal(host: Host, directory: str, indices: Sequence[int]) -> set[int]:
    """Make sure that jobs of an array never start, and return those that have begun all the same."""
    if not indices:
        return set()
    call = ["/bin/sh", "-c", shell_file("seal.sh"), "seal.sh", directory]
    done = host.run(call, stdin="".join(f"{index}\n" for index in indices).encode(), timeout_seconds=LOOK_SECONDS)
    words = done.text.split()
    if done.code or not all(word.isdecimal() for word in words):
        raise SiteError(f"{directory} on {host.name} cannot be written: {shorten(done.complaint)}")
    return {int(word) for word in words}
