"""The detached runner of one array of containers: it creates and starts them as slots get free, and notes their ends.

    python -m simcampaign.sites.docker.runner DIRECTORY [LOCK]

It goes to the background by itself and works in the directory that ``simcampaign.sites.runner`` describes, with two
differences: ``begun/N`` says that the start of job N's container was asked for, or is about to be, and in which boot of
this host; and a slot is not a locked file but a running container with the site's label, so that slots are counted
rightly whatever happens to runners.

Each job has one container, whose name no second one can have. A container is started once: before the mark is there it
never was, after that only one that is still as it was created is started, and only when a request of a runner that was
killed has had time to arrive. A marked job whose container is gone is lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from simcampaign.errors import NetworkError, SiteError
from simcampaign.sites.background import Journal, complain, go_to_background, take_lock
from simcampaign.sites.docker.cancelled import Cancelled
from simcampaign.sites.docker.container import (
    SITE_LABEL,
    TOKEN_LABEL,
    body_of,
    is_over,
    labels_of,
    name_of,
    outcome,
    site_label,
    slots_of_others,
    times,
    was_started,
)
from simcampaign.sites.docker.daemon import Daemon
from simcampaign.sites.docker.logs import save_log
from simcampaign.sites.processes import boot_id, look_up

SHORTEST_LOOK = 0.05
LONGEST_LOOK = 2.0
"""Seconds between two looks at the daemon."""
LOOK_SHARE = 0.1
"""The interval between looks as a share of the time since the last change: short jobs are not kept waiting, and long
ones cost the daemon nothing."""
RETRY_SECONDS = 1.0
"""How long to pause when the daemon does not answer, or the disk is full."""
SETTLE_SECONDS = 3.0
"""How long a start that was asked for may take to be seen, once the daemon answers."""
PASSING = (
    "in use",  # by a container that a request of a runner that was killed is still making
    "no space left",
    "resource temporarily unavailable",
    "cannot allocate memory",
    "too many open files",
)
"""Reasons of a daemon that pass by themselves, in lower case."""
PASSING_ATTEMPTS = 60
"""How often a job is tried that is refused for such a reason."""
MOST_REFUSALS = 60
"""How many looks in a row a daemon may refuse before the runner gives up and says so."""
BURST = 4
"""Containers started between two looks."""


@dataclass
class Job:
    """A job whose start was asked for, or is about to be."""

    index: int
    name: str
    began: float | None = None
    """When its container was started; None while that is unknown."""

    unsettled_since: float | None = None
    attempts: int = 0
    reason: str = ""
    message: str = ""
    kill_at: float = math.inf
    killed: bool = False


class Runner:
    """Runs the jobs of one array in their order."""

    def __init__(self, directory: Path, lock: int) -> None:
        self.directory, self.lock = directory, lock
        self.array: dict[str, Any] = json.loads((directory / "array.json").read_bytes())
        self.docker: dict[str, Any] = self.array["docker"]
        self.site = site_label(directory.parent.parent)
        self.daemon = Daemon(self.docker["address"])
        self.journal = Journal(str(directory / "journal"))
        self.begun = directory / "begun"
        self.begun.mkdir(exist_ok=True)
        self.jobs: dict[int, Job] = {}
        self.pending: Iterator[list[Any]] = iter(())
        self.next: list[Any] | None = None
        self.attempts = self.refusals = 0
        self.over: set[int] = set()
        self.cancelled = Cancelled(directory)
        self.boot, self.booted = boot_id(), psutil.boot_time()
        self.changed = time.monotonic()
        self.cut = False
        self.bell, ringer = os.pipe()
        os.set_blocking(self.bell, False)
        os.set_blocking(ringer, False)
        self._listen(ringer)

    def _listen(self, ringer: int) -> None:
        """Have a signal ring the bell, then publish the pid: whoever reads it may send SIGUSR1."""
        signal.set_wakeup_fd(ringer, warn_on_full_buffer=False)
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        own = look_up(os.getpid())
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, f"{os.getpid()} {own.born if own else 0}\n".encode(), 0)

    def run(self) -> None:
        """Run all jobs that nobody has started yet, and return when the last one is over."""
        self._recover()
        while True:
            self.journal.flush()
            try:
                self._round()
            except (NetworkError, OSError) as error:
                self._pause(error)
            except SiteError as error:
                self.refusals += 1
                if self.refusals >= MOST_REFUSALS:
                    raise
                self._pause(error)
            else:
                self.cut, self.refusals = False, 0
            if not (self.jobs or self.next or self.journal.unwritten):
                return
            self._await()

    def _round(self) -> None:
        self._obey()
        if self.jobs:
            self._look()
        if self.next and not self.journal.unwritten:
            self._start_some()

    def _pause(self, error: Exception) -> None:
        if not self.cut:
            complain(f"{error}; trying again until it works")
        self.cut = True
        self.daemon.close()

    def _await(self) -> None:
        """Sleep until a signal or the next look."""
        now = time.monotonic()
        nap = min(max((now - self.changed) * LOOK_SHARE, SHORTEST_LOOK), LONGEST_LOOK)
        nap = min([nap, *(max(0.0, self._alarm(job) - now) for job in self.jobs.values())])
        if self.cut or self.journal.unwritten:
            nap = RETRY_SECONDS
        waiter = select.poll()
        waiter.register(self.bell, select.POLLIN)
        if waiter.poll(math.ceil(nap * 1000)):
            os.read(self.bell, 4096)

    def _alarm(self, job: Job) -> float:
        """Return when a job is to be looked at, on the monotonic clock."""
        limit = self.array["timeout_seconds"]
        if job.reason or limit is None or job.began is None:
            return job.kill_at
        return time.monotonic() + job.began + float(limit) - time.time()

    def _recover(self) -> None:
        """Read what earlier runners wrote down; line up what they did not begin."""
        started: dict[int, float] = {}
        for event in self.journal.events():
            if event["event"] == "end":
                self.over.add(event["job"])
            elif event["event"] == "start":
                started[event["job"]] = event["time"]
        self.journal.record({"event": "runner", "pid": os.getpid(), "boot": self.boot, "time": time.time()})
        begun = {int(path.name) for path in self.begun.iterdir() if path.name.isdigit()} | set(started)
        for index in sorted(begun - self.over):
            self.jobs[index] = Job(index, self._name(index), started.get(index))
        self.pending = (job for job in self._listed() if job[0] not in begun and job[0] not in self.over)
        self.next = next(self.pending, None)

    def _listed(self) -> Iterator[list[Any]]:
        """Yield ``[index, job id, input path, seeds]`` of each job."""
        with (self.directory / "jobs.jsonl").open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def _name(self, index: int) -> str:
        return name_of(self.directory.name, self.array["token"], index)

    def _labels(self, index: int) -> dict[str, str]:
        return labels_of(self.directory.name, self.array["token"], index, self.site, self.array["job_slots"])

    # Starting

    def _start_some(self) -> None:
        """Start jobs while slots are free; runners that share them take turns."""
        with (self.directory.parent.parent / "starting.lock").open("w") as turn:
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.changed = time.monotonic()  # our turn will come soon
                return
            living = self.daemon.containers(f"{SITE_LABEL}={self.site}")
            free = self.array["slots"] - slots_of_others(living, self.array["token"])
            each = self.array["job_slots"]
            for _ in range(min(free // each - len(self.jobs), BURST)):
                if not self.next or self.journal.unwritten or self.next[0] in self.cancelled:
                    return
                if not self._begin(self.next):
                    return
                self.next = next(self.pending, None)

    def _begin(self, line: list[Any]) -> bool:
        """Create and start a job's container; say whether the job is dealt with: False if it should be tried again."""
        index: int = line[0]
        job = Job(index, self._name(index))
        try:
            self.daemon.create(job.name, body_of(self.array, line, self._labels(index)))
        except SiteError as error:
            found = self.daemon.inspect(job.name)
            if found is None and _passes(error) and self.attempts < PASSING_ATTEMPTS:
                self.attempts += 1
                return False
            if found is None:
                self._refused(job, f"could not create its container: {error}")
                return True
            if was_started(found["State"]):
                self.jobs[index] = job  # its mark did not survive a crash of this host; its container did
                return True
        self.attempts = 0
        self._mark(index)
        self.jobs[index] = job
        self._start(job)
        return True

    def _mark(self, index: int) -> None:
        with (self.begun / str(index)).open("w", encoding="ascii") as file:
            file.write(self.boot)

    def _start(self, job: Job) -> None:
        """Ask for the start of a container that is as it was created."""
        try:
            self.daemon.start(job.name)
        except SiteError as error:
            found = self.daemon.inspect(job.name)
            if found is not None and was_started(found["State"]):
                return
            if found is not None and _passes(error) and job.attempts < PASSING_ATTEMPTS:
                job.attempts, job.unsettled_since = job.attempts + 1, None
                return
            self._refused(job, f"could not start its container: {error}")
        else:
            self._started(job, time.time())

    def _started(self, job: Job, began: float) -> None:
        job.began, job.unsettled_since = began, None
        self.changed = time.monotonic()
        self.journal.record({"event": "start", "job": job.index, "time": began})

    def _refused(self, job: Job, message: str) -> None:
        self._end(job, {"time": time.time(), "reason": "not_started", "message": message})

    # Watching

    def _look(self) -> None:
        """See in one request which jobs live; ask only about those that do not."""
        living = self.daemon.containers(f"{TOKEN_LABEL}={self.array['token']}")
        names = {name.lstrip("/") for each in living for name in each.get("Names") or ()}
        for job in list(self.jobs.values()):
            if job.name not in names or job.began is None:
                self._examine(job)
            if job.index in self.jobs:
                self._limit(job)

    def _examine(self, job: Job) -> None:
        found = self.daemon.inspect(job.name)
        if found is None:
            message = "its container was removed before its end was seen"
            self._end(job, {"time": time.time(), "reason": "lost", "message": message})
            return
        state = found["State"]
        if is_over(state):
            self._finish(job, state)
        elif was_started(state):
            if job.began is None:
                self._started(job, times(state)[0] or time.time())
        else:
            self._settle(job)

    def _settle(self, job: Job) -> None:
        """Start a container that nobody did, once nobody's request can still be under way."""
        if self._boot_of(job.index) != self.boot:
            self._refused(job, "the host was restarted before its container was")
            return
        now = time.monotonic()
        if job.unsettled_since is None:
            job.unsettled_since = now
        elif now - job.unsettled_since >= SETTLE_SECONDS and job.index in self.cancelled:
            self._not_begun(job)
        elif now - job.unsettled_since >= SETTLE_SECONDS:
            self._start(job)

    def _boot_of(self, index: int) -> str:
        """Return in which boot the start of a job was asked for."""
        text = (self.begun / str(index)).read_text(encoding="ascii")
        return text or self.boot  # a mark without text was being written when its runner was killed

    def _finish(self, job: Job, state: dict[str, Any]) -> None:
        """Keep a job's log, then write down how it ended."""
        save_log(self.daemon, job.name, self.directory / "out" / f"{job.index}.log")
        began, ended = times(state)
        told = outcome(state, podman=self.docker["podman"], memory_mb=self.array["memory_mb"], booted=self.booted)
        if job.reason:
            told |= {"reason": job.reason, "message": job.message}
        self._end(job, {"time": ended or time.time(), "began": began or job.began, **told})
        if self.docker["remove"]:
            with contextlib.suppress(SiteError):
                self.daemon.remove(job.name)

    def _end(self, job: Job, told: dict[str, Any]) -> None:
        self.jobs.pop(job.index, None)
        self.over.add(job.index)
        self.changed = time.monotonic()
        self.journal.record({"event": "end", "job": job.index, **told})

    # Ending

    def _limit(self, job: Job) -> None:
        """Ask a job to end that is over its time; kill it when the grace period is over, too."""
        limit = self.array["timeout_seconds"]
        if not job.reason and limit is not None and job.began is not None and time.time() >= job.began + limit:
            self._condemn(job, "timeout", f"ran longer than its limit of {limit:g} s")
        if time.monotonic() >= job.kill_at and not job.killed:
            self.daemon.kill(job.name, "SIGKILL")
            job.killed = True
            job.kill_at = math.inf

    def _condemn(self, job: Job, reason: str, message: str) -> None:
        if job.reason:
            return
        self.daemon.kill(job.name, "SIGTERM")
        job.reason, job.message = reason, message
        job.kill_at = time.monotonic() + self.array["grace_seconds"]

    def _obey(self) -> None:
        """Cancel what somebody asked to cancel."""
        if self.cancelled.look():
            for index in sorted(self.cancelled.indices - self.over):
                if 0 <= index < self.array["size"] and not (self.begun / str(index)).exists():
                    self._not_begun(Job(index, ""))
        while self.next and (self.next[0] in self.cancelled or self.next[0] in self.over):
            if self.next[0] not in self.over:
                self._not_begun(Job(self.next[0], ""))
            self.next = next(self.pending, None)
        for job in list(self.jobs.values()):
            if job.began is not None and job.index in self.cancelled:
                self._condemn(job, "cancelled", "cancelled while it ran")

    def _not_begun(self, job: Job) -> None:
        self._end(job, {"time": time.time(), "reason": "cancelled", "message": "cancelled before it was started"})


def _passes(error: SiteError) -> bool:
    return any(reason in str(error).lower() for reason in PASSING)


def main(arguments: list[str]) -> None:
    """Run the array in the directory ``arguments[0]`` in the background, unless a runner does so already."""
    directory = Path(arguments[0]).absolute()
    lock = int(arguments[1]) if len(arguments) > 1 else take_lock(str(directory))
    if lock is None:
        return
    os.set_inheritable(lock, False)
    go_to_background(str(directory))
    try:
        Runner(directory, lock).run()
    except Exception as error:
        (directory / "runner.failed").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
