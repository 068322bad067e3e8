"""Sites whose jobs run on one host under a detached runner, which outlives whoever submitted them."""

from __future__ import annotations

import math
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from simcampaign.errors import ConfigError, NetworkError, Problem, SiteError
from simcampaign.jobs import ArrayReport, ArraySpec, JobReport, JobState, Resources, environment_pattern
from simcampaign.logfilter import filter_log, line_filter
from simcampaign.sites import desk
from simcampaign.sites.arraydir import DeskError
from simcampaign.sites.base import Capabilities, Depot, Finding, Queue
from simcampaign.sites.hosts.base import Host
from simcampaign.sites.journal import Cursor, read_journal

_LONGEST_NAP_SECONDS = 0.2
_SHORTEST_NAP_SECONDS = 0.002


class Desk(Protocol):
    """Where a site's directory is worked on: in this process, or by ``desk.py`` on another host."""

    def ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry out one request, see ``desk.py``; raises ``SiteError`` if it is refused, or ``NetworkError``.

        ``jobs`` of a request may be any iterable of lists; everything else is as in JSON.
        """
        ...


class DeskHere:
    """The desk in this process."""

    def __init__(self, root: Path) -> None:
        """Work on the site's directory ``root``; nothing is created before the first array."""
        self.root = root

    def ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry out one request."""
        try:
            return desk.answer(self.root, request)
        except DeskError as error:
            raise SiteError(error.message, error.hint) from error
        except OSError as error:
            raise SiteError(f"{error.filename or self.root}: {error.strerror or error}") from error


class DetachedSite:
    """Runs jobs through a desk. Subclasses say which desk, and may say otherwise what a command is and what runs it."""

    capabilities = Capabilities(adopts=True)
    host: Host | None = None
    depot: Depot | None = None
    scratch: str = ""

    def __init__(
        self, where: Desk, *, name: str, slots: int | None, grace_seconds: float, price_per_core_hour: float = 0.0
    ) -> None:
        """Describe the site; ``slots`` is how many cores jobs may take, None for all of the host.

        ``grace_seconds`` is the time between asking a job to end (TERM) and killing it. Both are fixed for an array
        when it is submitted. Raises ``ConfigError`` if a number is out of range.
        """
        self.name = name
        self.desk = where
        self.slots = slots
        self.grace_seconds = grace_seconds
        self.price_per_core_hour = price_per_core_hour
        self._seen: dict[str, int] = {}
        problems = []
        if slots is not None and slots < 1:
            problems.append(Problem("slots", slots, "no job could ever run", "give 1 or more"))
        if not 0 <= grace_seconds < math.inf:
            problems.append(Problem("grace_seconds", grace_seconds, "is not a time", "give seconds, 0 or more"))
        if problems:
            raise ConfigError(problems)

    # What subclasses may say otherwise

    def describe(self, array: ArraySpec) -> dict[str, Any]:
        """Return what the runner needs to know of the whole array: what is written to ``array.json``."""
        told, told_each = environment_pattern(array)
        return {
            "size": len(array.jobs),
            "token": uuid.uuid4().hex,
            "command": list(array.command),
            "cwd": None,
            "directory": array.directory,
            "values": array_values(array),
            "told": told,
            "told_each": told_each,
            "timeout_seconds": array.resources.timeout_seconds,
            "memory_mb": array.resources.memory_mb,
            "slots": self.slots,
            "job_slots": max(1, math.ceil(array.resources.cores)),
            "grace_seconds": self.grace_seconds,
        }

    def resolution(self, array: ArraySpec) -> dict[str, Any]:
        """Return what a request says so that the desk finds the command's program in PATH; {} if it need not."""
        return {"path": array.environment.get("PATH")}

    def runner_command(self) -> list[str] | None:
        """Return the program that runs an array, on the desk's host; None for ``runner.py``.

        It is called with the array's directory and the descriptor of the directory's lock, and goes to the background
        by itself.
        """
        return None

    def refuse(self, array: ArraySpec) -> None:
        """Raise ``SiteError`` if an array asks for what such a site has not."""
        if not array.command:
            raise SiteError("there is no command", "give the program to run, e.g. command: [python, -m, model]")
        if array.resources.gpus:
            raise SiteError(
                f"gpus = {array.resources.gpus}: site {self.name} shares out cores, not GPUs",
                "leave gpus out: jobs see what GPUs the host has",
            )
        if array.options:
            asked = ", ".join(sorted(array.options))
            raise SiteError(f"{asked}: site {self.name} has no such options for single arrays", "leave them out")

    def read_logs(self, remote_id: str, indices: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Yield what jobs printed so far, with their indices; a job without any output is left out."""
        host, name = split_remote_id(remote_id)
        request = {"do": "logs", "host": host, "name": name, "indices": list(indices)}
        start: list[int] | None = [0, 0, -1]
        last, parts = -1, list[bytes]()
        while start is not None:
            answer = self.desk.ask({**request, "start": start})
            for index, text in answer["logs"]:
                if index != last and parts:
                    yield last, b"".join(parts)
                    parts = []
                last = index
                parts.append(text.encode("latin-1"))
            start = answer["next"]
        if parts:
            yield last, b"".join(parts)

    # The site

    def check(self, array: ArraySpec) -> None:
        """Raise ``SiteError`` if the array's command does not exist there, or its jobs need more than there is."""
        self.refuse(array)
        self.desk.ask({"do": "check", "description": self.describe(array), **self.resolution(array)})

    def submit(self, array: ArraySpec) -> str:
        """Hand an array over and return its remote id; an array of the same name that is there already is adopted.

        Raises ``SiteError`` if the command does not exist or the array cannot be written down; then nothing is left.
        """
        self.refuse(array)
        request = {
            "do": "create",
            "name": array.name,
            "description": self.describe(array),
            "jobs": ([job.index, job.job_id, job.input_path, job.seeds] for job in array.jobs),
            "runner": self.runner_command(),
            **self.resolution(array),
        }
        return f"{self.desk.ask(request)['host']}:{array.name}"

    def find(self, name: str) -> str | None:
        """Return the remote id of the array with this name, or None: then this name is refused from now on."""
        host = self.desk.ask({"do": "find", "name": name})["host"]
        return None if host is None else f"{host}:{name}"

    def status(self, cursors: Mapping[str, str]) -> Mapping[str, ArrayReport]:
        """Return what changed since the cursors, and give arrays whose runner died a new one.

        Raises ``SiteError`` if an array runs on another host, its journal cannot be understood, or its runner gave up;
        nothing that is known of a job changes then.
        """
        looks = {remote_id: _Look(remote_id, text) for remote_id, text in cursors.items()}
        self._look(looks)
        self._seen.update((remote_id, look.cursor.offset + look.torn) for remote_id, look in looks.items())
        return {remote_id: look.report() for remote_id, look in looks.items()}

    def _look(self, looks: Mapping[str, _Look], **others: object) -> None:
        """Read the journals from the cursors to their ends, many in one request."""
        left: Collection[str] = looks
        while left:
            again = []
            for host, names in _by_host(left).items():
                arrays = {name: looks[f"{host}:{name}"].place() for name in names}
                request = {"do": "status", "host": host, "arrays": arrays, "runner": self.runner_command(), **others}
                for name, told in self.desk.ask(request)["arrays"].items():
                    remote_id = f"{host}:{name}"
                    again += [remote_id] if looks[remote_id].take(told) else []
            left = again

    def wait(self, remote_ids: Sequence[str], timeout_seconds: float) -> None:
        """Return when one of these arrays changed since its last ``status``, or after ``timeout_seconds``."""
        deadline = time.monotonic() + timeout_seconds
        nap = _SHORTEST_NAP_SECONDS
        while not self.has_news(remote_ids):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(nap, left))
            nap = min(nap * 1.5, _LONGEST_NAP_SECONDS)

    def has_news(self, remote_ids: Sequence[str]) -> bool:
        """Say whether a journal has another size than at the last ``status``."""
        for host, names in _by_host(remote_ids).items():
            sizes = self.desk.ask({"do": "sizes", "host": host, "arrays": names})["sizes"]
            if any(size != self._seen.get(f"{host}:{name}", -1) for name, size in sizes.items()):
                return True
        return False

    def logs(self, remote_id: str, indices: Sequence[int], pattern: str = "") -> Iterator[tuple[int, bytes]]:
        """Yield what jobs printed so far, with their indices, filtered; a job without any output is left out."""
        keep = line_filter(pattern)
        for index, data in self.read_logs(remote_id, indices):
            yield index, filter_log(data, keep) if pattern else data

    def running(self, remote_id: str, most: int) -> Sequence[int]:
        """Return indices of jobs that run now, at most ``most``."""
        look = _Look(remote_id, "")
        self._look({remote_id: look}, looks_only=True)
        return [index for index, job in look.jobs.items() if job.state is JobState.RUNNING][:most]

    def details(self, remote_id: str) -> Sequence[JobReport]:
        """Return nothing: ``status`` told everything."""
        del remote_id
        return ()

    def price_per_hour(self, resources: Resources) -> float:
        """Return what the cores of a job cost for an hour."""
        return self.price_per_core_hour * resources.cores

    def cancel(self, remote_id: str, indices: Sequence[int] | None = None) -> None:
        """End what has not finished: pending jobs are never started, running ones get TERM and, later, KILL.

        An array that is not there (any more) is no error: ``status`` says of it what there is to say.
        """
        host, name = split_remote_id(remote_id)
        chosen = None if indices is None else list(indices)
        request = {"do": "cancel", "host": host, "name": name, "indices": chosen, "runner": self.runner_command()}
        self.desk.ask(request)

    def clean(self, remote_id: str) -> None:
        """Remove the site's own files of an array that is over; one that is gone already is no error.

        Raises ``SiteError`` if the array is still active.
        """
        host, name = split_remote_id(remote_id)
        self.desk.ask({"do": "clean", "host": host, "name": name})
        self._seen.pop(remote_id, None)

    def queues(self) -> Sequence[Queue]:
        """Return nothing: there are none."""
        return ()

    def doctor(self) -> Iterator[Finding]:
        """Look whether jobs can run there: Python, cores, memory, disk, and whether files can be written and locked."""
        try:
            answer = self.desk.ask({"do": "doctor", "slots": self.slots, "scratch": self.scratch})
        except (SiteError, NetworkError) as error:
            yield Finding("site", False, str(error))
            return
        yield from (Finding(*each) for each in answer["findings"])


class _Look:
    """What one look at an array has told so far."""

    def __init__(self, remote_id: str, text: str) -> None:
        self.name, self.text = split_remote_id(remote_id)[1], text
        self.cursor = Cursor.parse(text)
        self.jobs: dict[int, JobReport] = {}
        self.known = True
        self.torn = 0

    def place(self) -> list[int]:
        return [self.cursor.offset, self.cursor.ended]

    def take(self, told: Mapping[str, Any] | None) -> bool:
        """Read a part of the journal; say whether there is more."""
        if told is None:
            self.known, self.jobs = False, {}
            return False
        data = told["journal"].encode("latin-1")
        try:
            changes, after = read_journal(data, self.cursor)
        except SiteError as error:
            hint = "repair the line or remove it, then look again"
            raise SiteError(f"array {self.name}: {error.args[0]}", hint) from error
        self.torn = self.cursor.offset + len(data) - after.offset
        self.cursor = after
        self.jobs.update((job.index, job) for job in changes)
        if told.get("error"):
            raise SiteError(*told["error"])
        return bool(told["more"])

    def report(self) -> ArrayReport:
        if not self.known:
            return ArrayReport(self.text, known=False)
        return ArrayReport(str(self.cursor), tuple(self.jobs.values()))


def split_remote_id(remote_id: str) -> tuple[str, str]:
    """Return host and array name; raises ``SiteError`` if it is no remote id of such a site."""
    host, separator, name = remote_id.partition(":")
    if not separator:
        raise SiteError(f"{remote_id!r} is not a remote id of such a site, which is HOST:NAME")
    return host, name


def _by_host(remote_ids: Iterable[str]) -> Mapping[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for host, name in map(split_remote_id, remote_ids):
        found[host].append(name)
    return found


def array_values(array: ArraySpec) -> dict[str, str]:
    """Return what placeholders stand for that are the same for all jobs."""
    return {"output": array.output, "working": array.working_url, "model": array.model, "image": array.image}
