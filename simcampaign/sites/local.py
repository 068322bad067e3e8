"""The local site: jobs run on this host, each array under a detached runner that outlives whoever submitted it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simcampaign.errors import ConfigError, Problem, SiteError, shorten
from simcampaign.jobs import ArrayReport, ArraySpec, JobReport, JobSpec, JobState, Resources, job_environment
from simcampaign.logfilter import filter_log, line_filter
from simcampaign.sites import runner
from simcampaign.sites.base import Capabilities
from simcampaign.sites.journal import Cursor, read_journal

_LONGEST_NAP_SECONDS = 0.2
_SHORTEST_NAP_SECONDS = 0.002
_STALE_SECONDS = 86400.0
"""No submission takes this long: a draft that is older is rubbish."""
_START_SECONDS = 60.0
"""A host that needs longer than this to start one Python process is not usable."""


class LocalSite:
    """Runs jobs on this host, ``slots`` at once over all arrays that share ``root``.

    The memory limit and the end of processes that leave their job's process group need ``/proc``, hence Linux.
    """

    capabilities = Capabilities(adopts=True)

    def __init__(
        self, *, root: Path, name: str = "local", slots: int | None = None, grace_seconds: float = 5.0
    ) -> None:
        """Describe the site; nothing is created before the first array is submitted.

        ``root`` is the directory of the site's own files. ``slots`` is how many jobs run at a time, by default one per
        core; ``grace_seconds`` is the time between asking a job to end (TERM) and killing it. Both are fixed for an
        array when it is submitted. Raises ``ConfigError`` if a number is out of range.
        """
        self.name = name
        self.root = root.absolute()
        self.slots = max(1, os.cpu_count() or 1) if slots is None else slots
        self.grace_seconds = grace_seconds
        self._host = socket.gethostname()
        self._seen: dict[str, int] = {}
        problems = []
        if self.slots < 1:
            problems.append(Problem("slots", slots, "no job could ever run", "give 1 or more"))
        if not 0 <= grace_seconds < float("inf"):
            problems.append(Problem("grace_seconds", grace_seconds, "is not a time", "give seconds, 0 or more"))
        if problems:
            raise ConfigError(problems)

    def check(self, array: ArraySpec) -> None:
        """Raise ``SiteError`` if the array's command does not exist here; nothing is created."""
        _resolve(array)

    def submit(self, array: ArraySpec) -> str:
        """Hand an array over and return its remote id; an array of the same name that is here already is adopted.

        Raises ``SiteError`` if the command does not exist or the array cannot be written down; then nothing is left.
        """
        directory = self._directory_of(array.name)
        if not directory.exists():
            command = _resolve(array)
            try:
                self._create(array, command, directory)
            except OSError as error:
                raise SiteError(
                    f"array {array.name} cannot be written to {directory}: {error.strerror}; nothing was submitted",
                    "make room or give another root to the local site, and run again",
                ) from error
        if not self._over(array.name, directory):
            self._ensure_runner(array.name, directory)
        return self._remote_id(array.name)

    def find(self, name: str) -> str | None:
        """Return the remote id of the array with this name, or None if it was never submitted, or was cleaned."""
        return self._remote_id(name) if self._directory_of(name).is_dir() else None

    def status(self, cursors: Mapping[str, str]) -> Mapping[str, ArrayReport]:
        """Return what changed since the cursors, and give arrays whose runner died a new one.

        Raises ``SiteError`` if an array runs on another host, its journal cannot be understood, or its runner gave up;
        nothing that is known of a job changes then.
        """
        return {remote_id: self._status(remote_id, cursor) for remote_id, cursor in cursors.items()}

    def wait(self, remote_ids: Collection[str], timeout: float) -> None:
        """Return when one of these arrays changed since its last ``status``, or after ``timeout`` seconds."""
        journals = {remote_id: self._directory(remote_id) / "journal" for remote_id in remote_ids}
        deadline = time.monotonic() + timeout
        nap = _SHORTEST_NAP_SECONDS
        while all(_size(path) == self._seen.get(remote_id, -1) for remote_id, path in journals.items()):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(nap, left))
            nap = min(nap * 1.5, _LONGEST_NAP_SECONDS)

    def logs(self, remote_id: str, indices: Sequence[int], pattern: str = "") -> Iterator[tuple[int, bytes]]:
        """Yield what jobs printed so far, with their indices, filtered; a job without any output is left out."""
        keep = line_filter(pattern)
        for index in indices:
            with contextlib.suppress(FileNotFoundError):
                data = (self._directory(remote_id) / "out" / f"{index}.log").read_bytes()
                if data:
                    yield index, filter_log(data, keep) if pattern else data

    def running(self, remote_id: str, most: int) -> Sequence[int]:
        """Return indices of jobs that run now, at most ``most``."""
        name, directory = self._name(remote_id), self._directory(remote_id)
        if not directory.exists():
            return ()
        last = {each.index: each.state for each in _read(name, _read_from(name, directory, 0), Cursor())[0]}
        return [index for index, state in last.items() if state is JobState.RUNNING][:most]

    def details(self, remote_id: str) -> Sequence[JobReport]:
        """Return nothing: ``status`` told everything."""
        del remote_id
        return ()

    def price_per_hour(self, resources: Resources) -> float:
        """Return nothing: this machine is paid for."""
        del resources
        return 0.0

    def cancel(self, remote_id: str) -> None:
        """End what has not finished: pending jobs are never started, running ones get TERM and, later, KILL.

        An array that is not here (any more) is no error: ``status`` says of it what there is to say.
        """
        name, directory = self._name(remote_id), self._directory(remote_id)
        if not directory.exists():
            return
        (directory / "cancel").touch()
        if not self._over(name, directory) and not self._ensure_runner(name, directory):
            _wake_runner(directory)

    def clean(self, remote_id: str) -> None:
        """Remove the site's own files of an array that is over; one that is gone already is no error.

        Raises ``SiteError`` if the array is still active.
        """
        name, directory = self._name(remote_id), self._directory(remote_id)
        try:
            over = self._over(name, directory)
        except SiteError:
            if directory.exists():
                raise
            return  # it is gone, perhaps cleaned by somebody else while it was read
        if not over:
            raise SiteError(f"array {name} is still active, so its files are kept", "wait for its end, or cancel it")
        trash = directory.with_name(f".old-{uuid.uuid4().hex}")
        with contextlib.suppress(FileNotFoundError):  # somebody else is cleaning it, too
            directory.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)
        self._seen.pop(remote_id, None)

    def _remote_id(self, name: str) -> str:
        return f"{self._host}:{name}"

    def _name(self, remote_id: str) -> str:
        """Return the array's name in a remote id of this host."""
        host, separator, name = remote_id.partition(":")
        if not separator:
            raise SiteError(f"{remote_id!r} is not a remote id of the local site, which is HOST:NAME")
        if host != self._host:
            raise SiteError(
                f"array {name} runs on host {host}, not here on {self._host}",
                f"watch it there: run the same command on {host}",
            )
        return name

    def _directory(self, remote_id: str) -> Path:
        return self._directory_of(self._name(remote_id))

    def _directory_of(self, name: str) -> Path:
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise SiteError(
                f"array name {name!r} cannot name a directory: it is empty, starts with '.', or has '/' in it"
            )
        return self.root / "arrays" / name

    def _create(self, array: ArraySpec, command: list[str], directory: Path) -> None:
        """Write the array down completely, then let it appear under its name; whoever is first wins."""
        _sweep(directory.parent)
        draft = directory.with_name(f".new-{uuid.uuid4().hex}")
        (draft / "out").mkdir(parents=True)
        try:
            (draft / "journal").touch()
            _write(draft / "array.json", json.dumps(self._description(array, command), indent=1))
            _write(draft / "jobs.jsonl", "".join(f"{json.dumps(_job_line(job))}\n" for job in array.jobs))
            with contextlib.suppress(FileExistsError):
                _rename_new(draft, directory)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _description(self, array: ArraySpec, command: list[str]) -> dict[str, Any]:
        """Return what the runner needs to know of the whole array; it lists the keys that ``runner.py`` reads."""
        told, told_each = _environment_pattern(array)
        return {
            "size": len(array.jobs),
            "token": uuid.uuid4().hex,
            "command": command,
            "cwd": str(Path.cwd()),
            "values": {key: str(value) for key, value in _array_values(array).items()},
            "told": told,
            "told_each": told_each,
            "timeout_seconds": array.resources.timeout_seconds,
            "memory_mb": array.resources.memory_mb,
            "slots": self.slots,
            "grace_seconds": self.grace_seconds,
        }

    def _status(self, remote_id: str, text: str) -> ArrayReport:
        name, directory = self._name(remote_id), self._directory(remote_id)
        cursor = Cursor.parse(text)
        try:
            data = _read_from(name, directory, cursor.offset)
            changes, after = _read(name, data, cursor)
            self._seen[remote_id] = cursor.offset + len(data)
            if after.ended < _array_size(name, directory):
                self._ensure_runner(name, directory)
        except SiteError:
            if directory.exists():
                raise
            return ArrayReport(text, known=False)  # it is gone, perhaps since a moment ago
        return ArrayReport(str(after), changes)

    def _over(self, name: str, directory: Path) -> bool:
        cursor = _read(name, _read_from(name, directory, 0), Cursor())[1]
        return cursor.ended >= _array_size(name, directory)

    def _ensure_runner(self, name: str, directory: Path) -> bool:
        """Start a runner for the array if none lives; say whether one was started."""
        failed = directory / "runner.failed"
        if failed.exists():
            raise SiteError(
                f"the runner of array {name} gave up: {shorten(failed.read_text())}",
                f"see {directory / 'runner.log'}; then remove {failed} and look again",
            )
        try:
            lock = runner.take_lock(str(directory))
        except OSError as error:
            raise SiteError(f"array {name} in {directory} cannot be locked: {error.strerror}") from error
        if lock is None:
            return False
        # The lock is handed down, so that between this look and the runner's start nobody else can start one.
        arguments = [sys.executable, "-I", "-S", runner.__file__, str(directory), str(lock)]
        try:
            done = subprocess.run(
                arguments,
                pass_fds=[lock],
                env=dict(os.environ),  # not what C code, e.g. readline, has put beside it
                stdin=subprocess.DEVNULL,
                capture_output=True,
                start_new_session=True,
                timeout=_START_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SiteError(f"the runner of array {name} cannot be started: {error}") from error
        finally:
            os.close(lock)
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise SiteError(f"the runner of array {name} cannot be started: {last or done.returncode}")
        return True


def _array_values(array: ArraySpec) -> dict[str, str]:
    return {"output": array.output, "working": array.working_url, "model": array.model, "image": array.image}


def _resolve(array: ArraySpec) -> list[str]:
    """Return the command with its program as an absolute path: a later runner may have another PATH."""
    if not array.command:
        raise SiteError("there is no command", "give the program to run, e.g. command: [python, -m, model]")
    program = array.command[0]
    for key, value in _array_values(array).items():
        program = program.replace(f"{{{key}}}", value)
    if runner.PLACEHOLDER.search(program):
        return list(array.command)  # differs from job to job: each is seen when it starts
    path = array.environment.get("PATH", os.environ.get("PATH", os.defpath))
    found = shutil.which(program, path=path)
    if found is None:
        where = "is no program that can be run" if "/" in program else f"is not in PATH ({shorten(path)})"
        raise SiteError(
            f"command {program!r} {where}; nothing was submitted",
            "check its spelling, install it, or give its full path as the first word of `command`",
        )
    return [str(Path.cwd() / found), *array.command[1:]]


def _environment_pattern(array: ArraySpec) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment that all jobs share, and which variables differ and by what: name → placeholder.

    So an array of 10^5 jobs is written down without 10^5 environments. What differs between two jobs that have nothing
    in common differs between any; no real job has a NUL in its texts or a negative index.
    """
    one = JobSpec(-1, "\0job_id", "\0input", "\0seeds")
    other = JobSpec(-2, "\0\0job_id", "\0\0input", "\0\0seeds")
    keys = {one.job_id: "job_id", str(one.index): "index", one.input_path: "input", one.seeds: "seeds"}
    first, second = job_environment(array, one), job_environment(array, other)
    differing = {name: keys[value] for name, value in first.items() if second[name] != value}
    return {name: value for name, value in first.items() if name not in differing}, differing


def _job_line(job: JobSpec) -> list[int | str]:
    return [job.index, job.job_id, job.input_path, job.seeds]


def _sweep(arrays: Path) -> None:
    """Remove what a killed submission or cleaning left half done, long ago."""
    for path in arrays.glob(".*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path)


def _write(path: Path, text: str) -> None:
    """Write a file that is on the disk when this returns."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _rename_new(draft: Path, directory: Path) -> None:
    """Rename a directory; raises ``FileExistsError`` if the name is taken by another that is not empty."""
    try:
        draft.rename(directory)
    except OSError as error:
        if directory.exists():
            raise FileExistsError(error.errno, error.strerror, str(directory)) from error
        raise


def _read_from(name: str, directory: Path, offset: int) -> bytes:
    try:
        with (directory / "journal").open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(offset)
            data = file.read()
    except OSError as error:
        raise SiteError(f"the journal of array {name} in {directory} cannot be read: {error.strerror}") from error
    if size < offset:
        raise SiteError(f"the journal of array {name} in {directory} is shorter than it was at the last look")
    return data


def _read(name: str, data: bytes, cursor: Cursor) -> tuple[Sequence[JobReport], Cursor]:
    try:
        return read_journal(data, cursor)
    except SiteError as error:
        raise SiteError(f"array {name}: {error.args[0]}", "repair the line or remove it, then look again") from error


def _array_size(name: str, directory: Path) -> int:
    try:
        return int(json.loads((directory / "array.json").read_bytes())["size"])
    except (OSError, ValueError, KeyError) as error:
        raise SiteError(f"the description of array {name} in {directory / 'array.json'} cannot be read") from error


def _size(path: Path) -> int:
    """Return the size of a file in bytes; -2 if it is gone, which no file that was seen ever had."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -2


def _wake_runner(directory: Path) -> None:
    """Have the runner look for the cancel mark; a runner that has not yet written its pid will look by itself."""
    words = (directory / "runner.lock").read_text().split()
    if len(words) == 2 and runner.lives(int(words[0]), int(words[1])):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(words[0]), signal.SIGUSR1)
