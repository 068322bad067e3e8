"""A scheduler for tests: takes arrays, runs their jobs as processes, kills them, and answers through a socket.

What it is asked and what it answers is left to ``schedulers_lsf.py`` and ``schedulers_pbs.py``. Jobs outlive it: each
has a keeper of its own, which writes down how it ended, as a node's daemon does.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PENDING, RUNNING, ENDED = "pending", "running", "ended"
KILL_AFTER = 1.0
"""Seconds between the first signal to a job and the last."""

Answer = tuple[int, str, str]
"""Exit code, output and errors of a command."""


@dataclass
class Task:
    """One job of an array."""

    state: str = PENDING
    pid: int = 0
    started: float = 0.0
    ended: float = 0.0
    status: int | None = None
    """Exit code; minus the signal's number if one ended it; None if it never ran."""

    why: str = ""
    """Who ended it: ``owner``, ``time``, ``memory``; empty if it ended itself."""

    told: float = 0.0
    """When it was sent the first signal."""


@dataclass
class Array:
    """What was submitted."""

    number: int
    name: str
    first: int
    size: int
    script: str
    environment: dict[str, str]
    single: bool = False
    limit: int = 0
    seconds: float = 0.0
    queue: str = ""
    tasks: dict[int, Task] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """True if all its jobs have ended."""
        return all(task.state == ENDED for task in self.tasks.values())


class Scheduler(ABC):
    """Arrays, and the processes of their jobs."""

    signals: Sequence[int] = (signal.SIGTERM,)
    """What a job is sent before it is killed."""

    def __init__(self, folder: Path) -> None:
        """Go on where another one in this folder was stopped."""
        self.folder = folder
        self.settings: dict[str, Any] = {}
        self.arrays: dict[int, Array] = {}
        self.number = 20
        self.saved = ""
        state = folder / "state.json"
        if state.exists():
            values = json.loads(state.read_text())
            self.number = values["number"]
            for each in values["arrays"]:
                tasks = {int(index): Task(**task) for index, task in each.pop("tasks").items()}
                self.arrays[each["number"]] = Array(**each, tasks=tasks)

    @abstractmethod
    def answer(self, command: str, arguments: Sequence[str], stdin: str, environment: Mapping[str, str]) -> Answer:
        """Do what a command asks for."""

    @abstractmethod
    def told(self, array: Array, index: int) -> Mapping[str, str]:
        """Return the environment variables that tell a job who it is."""

    def submit(self, array: Array) -> None:
        """Take an array."""
        array.tasks = {index: Task() for index in range(array.first, array.first + array.size)}
        self.arrays[array.number] = array
        self.number += 1
        (self.folder / "scripts").mkdir(exist_ok=True)
        path = self.folder / "scripts" / str(array.number)
        path.write_text(array.script)
        path.chmod(0o755)

    def cancel(self, array: Array, indices: Sequence[int]) -> list[int]:
        """End jobs; returns those that could be."""
        found = [index for index in indices if index in array.tasks and array.tasks[index].state != ENDED]
        for index in found:
            self.end(array.tasks[index], "owner")
        return found

    def end(self, task: Task, why: str) -> None:
        """End a job: one that waits at once, one that runs by signals."""
        if task.state == PENDING:
            task.state, task.why, task.ended = ENDED, why, time.time()
        elif not task.told:
            task.told, task.why = time.time(), why
            for number in self.signals:
                _signal(task.pid, number)

    def tick(self) -> None:
        """See which jobs have ended, end those that ran for too long, and start others."""
        running = 0
        for array in self.arrays.values():
            for index, task in array.tasks.items():
                if task.state == RUNNING:
                    self._look(array, index, task)
                running += task.state == RUNNING
        if (self.folder / "held").exists():
            return
        for array in self.arrays.values():
            inside = sum(task.state == RUNNING for task in array.tasks.values())
            for index, task in array.tasks.items():
                if task.state == PENDING and running < 8 and not (array.limit and inside >= array.limit):
                    self._start(array, index, task)
                    running, inside = running + 1, inside + 1

    def _look(self, array: Array, index: int, task: Task) -> None:
        result = self.folder / f"{array.number}.{index}.ended"
        if result.exists():
            task.status, task.ended = json.loads(result.read_text())
            task.state = ENDED
        elif task.told and time.time() - task.told > KILL_AFTER:
            _signal(task.pid, signal.SIGKILL)
        elif array.seconds and time.time() - task.started > array.seconds:
            self.end(task, "time")

    def _start(self, array: Array, index: int, task: Task) -> None:
        environment = {**array.environment, **self.told(array, index)}
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(reader)
            self._keep(array, index, environment, writer)
        os.close(writer)
        task.pid = int(os.read(reader, 20))
        os.close(reader)
        task.state, task.started = RUNNING, time.time()

    def _keep(self, array: Array, index: int, environment: Mapping[str, str], writer: int) -> None:
        """Start the job, wait for its end and write it down; never returns."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        script = str(self.folder / "scripts" / str(array.number))
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.closerange(3, 256)
            os.chdir("/")
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(script, [script], dict(environment))  # noqa: S606 - as a scheduler does
        os.write(writer, str(pid).encode())
        os.closerange(3, 256)
        _, status = os.waitpid(pid, 0)
        draft = self.folder / f".{array.number}.{index}"
        draft.write_text(json.dumps([os.waitstatus_to_exitcode(status), time.time()]))
        draft.rename(self.folder / f"{array.number}.{index}.ended")
        os._exit(0)

    def save(self) -> None:
        """Write everything down, so that another one can go on."""
        arrays = [asdict(array) for array in self.arrays.values()]
        text = json.dumps({"number": self.number, "arrays": arrays})
        if text != self.saved:
            draft = self.folder / "state.new"
            draft.write_text(text)
            draft.rename(self.folder / "state.json")
            self.saved = text


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def directives(script: str, mark: str) -> Iterator[str]:
    """Yield the option lines at the beginning of a script."""
    for line in script.splitlines():
        if line.startswith(mark + " "):
            yield line[len(mark) :].strip()
        elif line.strip() and not line.startswith("#"):
            return


def serve(scheduler: Scheduler) -> None:
    """Answer commands until this process is ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are nobody's children
    address = scheduler.folder / "socket"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(str(address))
        listener.listen(64)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for _ in selector.select(0.02):
                connection, _ = listener.accept()
                with connection, connection.makefile("rw") as stream:
                    asked = json.loads(stream.readline())
                    scheduler.settings = _settings(scheduler.folder)
                    scheduler.tick()
                    stream.write(json.dumps(_answer(scheduler, asked)))
            scheduler.tick()
            scheduler.save()


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "settings.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _answer(scheduler: Scheduler, asked: Mapping[str, Any]) -> Answer:
    try:
        code, out, err = scheduler.answer(asked["command"], asked["arguments"], asked["stdin"], asked["environment"])
    except (ValueError, OSError) as error:
        return 2, "", f"{asked['command']}: {error}\n"
    cut = scheduler.settings.get("cut", {})
    if asked["command"] in cut and out:
        return 0, out[: len(out) // 2], ""
    scheduler.save()
    return code, out, err


def ask(folder: Path, command: str, arguments: Sequence[str], stdin: str) -> Answer | None:
    """Put a command to the scheduler of a folder; None if it does not answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(folder / "socket"))
        except OSError:
            return None
        asked = {"command": command, "arguments": list(arguments), "stdin": stdin, "environment": dict(os.environ)}
        with connection.makefile("rw") as stream:
            stream.write(json.dumps(asked) + "\n")
            stream.flush()
            reply = stream.readline()
    if not reply:
        return None
    code, out, err = json.loads(reply)
    return code, out, err
