"""The detached runner: it runs the jobs of one array, whether or not their submitter is still there.

    python runner.py DIRECTORY [LOCK]

Standard library only, Python 3.9 or later: with ``FILES`` it is copied to hosts that have nothing else. It goes to the
background by itself. ``LOCK`` is the inherited descriptor of ``runner.lock``, already locked; without it the
runner locks the file itself, and leaves at once if another runner has it. In ``DIRECTORY`` it finds and writes

    array.json    what all jobs have in common      jobs.jsonl   one line a job, see ``Runner.jobs``
    journal       every start and every end         out/N.log    what job N printed
    cancel        made by whoever wants an end      cancel-jobs  JSON lists of the indices whose end is wanted
    runner.lock   locked while a runner lives; holds its pid and start
    closed        of an array that is open, made when no more jobs come: holds how many came
    runner.log    the runner's own complaints       runner.failed  why it gave up; no runner starts while it is there

and two floors up, in ``slots/``, one file for each core that jobs may take: a job holds the locks of its slots through
inherited descriptors. A slot is therefore taken for as long as the job lives, even when its runner does not. A runner
whose jobs take several slots each holds the lock of ``turnstile`` there while it collects them, so that no two runners
each wait for what the other has.
"""

# pathlib and dataclasses are not imported: they would make the runner slower to start, and bigger; the kernel never
# reports a job's peak memory below that of the process that started it.
# ruff: noqa: PTH100, PTH108, PTH110, PTH118, PTH123, PTH208

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from simcampaign.sites.background import Journal, complain, go_to_background, take_lock
    from simcampaign.sites.orders import Lines, limits, order, own
    from simcampaign.sites.processes import (
        MARK,
        Job,
        Process,
        adopt_orphans,
        boot_id,
        carries,
        lives,
        look_up,
        processes,
    )
    from simcampaign.sites.slots import SLOT_DESCRIPTOR, Slots
else:  # run as a program: beside copies, or sources, of these
    from background import Journal, complain, go_to_background, take_lock
    from orders import Lines, limits, order, own
    from processes import MARK, Job, Process, adopt_orphans, boot_id, carries, lives, look_up, processes
    from slots import SLOT_DESCRIPTOR, Slots

FILES = ("runner.py", "background.py", "orders.py", "processes.py", "slots.py")
"""What must lie in one directory for it to run."""
GRAIN_SECONDS = 0.05
"""How often a tree that is being killed is looked at."""
ADOPTED_SECONDS = 0.2
"""How often a job that another runner started is looked at: its end raises no signal here."""
SAMPLE_SECONDS = 1.0
"""How often memory is sampled, if there is a limit."""
RETRY_SECONDS = 0.5
"""How long to pause after a full disk or a full process table."""
START_ATTEMPTS = 20
"""How often a job is tried while the host has no process, memory or disk left for it."""
TRANSIENT = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})
RESET_SIGNALS = [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTERM, signal.SIGXFSZ]
"""Signals that may be ignored here, which a job would inherit."""
IDLE_SECONDS = 60.0
"""How long the runner of an open array stays without anything to do and without being told anything."""
USAGE_BYTES = 1 if sys.platform == "darwin" else 1024
"""Unit of the kernel's peak memory."""


class Runner:
    """Runs the jobs of one array in their order."""

    def __init__(self, directory: str, lock: int) -> None:
        self.directory, self.lock = directory, lock
        with open(os.path.join(directory, "array.json"), encoding="utf-8") as file:
            self.array = json.load(file)
        self.inherited = dict(os.environ)
        self.journal = Journal(os.path.join(directory, "journal"))
        self.running: dict[int, Job] = {}
        self.bell, ringer = os.pipe()
        os.set_blocking(self.bell, False)
        os.set_blocking(ringer, False)
        self._listen(ringer)
        places = os.path.join(directory, os.pardir, os.pardir, "slots")
        self.slots = Slots(
            places, self.array["slots"], self.array.get("job_slots", 1), ringer
        )  # older arrays have none
        self.over: set[int] = set()
        self.lines = Lines(directory)
        self.open = bool(self.array.get("open"))
        self.idle_at = math.inf
        self.next: list[Any] | None = None
        self.attempts = 0
        self.paused_until = self.sample_at = 0.0
        self.alarm = 0.0

    def _listen(self, ringer: int) -> None:
        """Have every signal ring the bell, then publish the pid: whoever reads it may send SIGUSR1."""
        signal.set_wakeup_fd(ringer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        own = look_up(os.getpid())
        text = f"{os.getpid()} {own.born if own else 0}\n".encode()
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, text, 0)

    def run(self) -> None:
        """Run all jobs that nobody has started yet, and return when the last one is over."""
        self._recover()
        self._obey()
        while True:
            self._start_all()
            if not (self.running or self.next or self.journal.unwritten) and self._may_leave():
                return
            if signal.SIGUSR1 in self._await():
                self.idle_at = math.inf
                self._obey()
            self._reap()
            self._tend()

    def _may_leave(self) -> bool:
        """Say whether a runner that has nothing to do is no longer needed: that of an open array waits for more."""
        if not self.open or os.path.exists(os.path.join(self.directory, "closed")):
            self.next = self._advance()  # a last one may have come just before
            return self.next is None
        now = time.monotonic()
        self.idle_at = min(self.idle_at, now + IDLE_SECONDS)
        self.alarm = min(self.alarm, self.idle_at)
        return now >= self.idle_at

    def _advance(self) -> list[Any] | None:
        """Return the next job that is not dealt with; None if there is none, for now."""
        return next((job for job in self.lines if job[0] not in self.over), None)

    def _await(self) -> bytes:
        """Sleep until a signal, a slot or the next alarm; return the numbers of the signals."""
        waiter = select.poll()
        waiter.register(self.bell, select.POLLIN)
        nap = None if self.alarm == math.inf else max(0, math.ceil((self.alarm - time.monotonic()) * 1000))
        return os.read(self.bell, 4096) if waiter.poll(nap) else b""

    # Starting

    def _recover(self) -> None:
        """Read the journal; take over what still runs, give up as lost what does not, and line up the rest."""
        started: dict[int, tuple[str, dict[str, Any]]] = {}
        ended: set[int] = set()
        boot = ""
        for event in self.journal.events():
            if event["event"] == "runner":
                boot = event["boot"]
            elif event["event"] == "start":
                started[event["job"]] = (boot, event)
            else:
                ended.add(event["job"])
        self.journal.record({"event": "runner", "pid": os.getpid(), "boot": boot_id(), "time": time.time()})
        logs = {int(name[:-4]) for name in os.listdir(os.path.join(self.directory, "out")) if name[:-4].isdigit()}
        begun = (set(started) | logs) - ended
        mine = {job[0]: own(job) for job in Lines(self.directory) if job[0] in begun} if begun and self.open else {}
        for index in sorted(begun):
            self._adopt(index, mine.get(index, {}), *started.get(index, ("", {})))
        self.over = ended | begun
        self.next = self._advance()

    def _adopt(self, index: int, mine: dict[str, Any], boot: str, event: dict[str, Any]) -> None:
        """Take over a job that another runner started, perhaps without having come to write it down."""
        mark = self._mark(index)
        if not event:
            entry = f"{MARK}={mark}".encode()
            born, pid = min(((p.born, pid) for pid, p in processes().items() if carries(pid, entry)), default=(0, 0))
            event = {"event": "start", "job": index, "pid": pid, "born": born, "time": time.time()}
            boot = boot_id()
            self.journal.record(event)
        taken = Job(index, event["pid"], event["born"], event["time"], mark)
        taken.adopted = True
        taken.key = -1 - taken.index
        taken.gone = boot != boot_id() or not taken.pid or not lives(taken.pid, taken.born)
        found = look_up(taken.pid)
        taken.reaper = found.parent if found else 0
        self._watch(taken, mine)

    def _watch(self, job: Job, mine: dict[str, Any]) -> None:
        job.timeout, job.memory_limit = limits(self.array, mine)
        if job.timeout is not None:
            job.deadline = time.monotonic() + job.timeout - (time.time() - job.began)
        self.running[job.key] = job
        self.alarm = min(self.alarm, job.deadline, self.sample_at if job.memory_limit else math.inf)

    def _start_all(self) -> None:
        self.journal.flush()
        if not self.next:
            self.next = self._advance()
        while self.next and not self.journal.unwritten and time.monotonic() >= self.paused_until:
            slots = self.slots.take()
            if slots is None:
                break
            if self._start(self.next, slots):
                self.next = self._advance()
        if not self.next:
            self.slots.release()
        if self.journal.unwritten:
            self.alarm = min(self.alarm, time.monotonic() + RETRY_SECONDS)

    def _mark(self, index: int) -> str:
        """Return what all processes of a job carry in their environment, and no other process ever did."""
        return f"{self.array['token']}.{index}"

    def _start(self, job: list[Any], slots: list[int]) -> bool:
        """Start a job; say whether it is dealt with: False if it should be tried again after a pause."""
        command, cwd, environment = order(self.array, job, self.inherited)
        log = os.path.join(self.directory, "out", f"{job[0]}.log")
        began = time.time()
        try:
            os.chdir(cwd)
            pid = os.posix_spawnp(
                command[0],
                command,
                {**environment, MARK: self._mark(job[0])},
                file_actions=[
                    # No job can be started twice: its log must not be there. It also proves that one was started.
                    (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                    *((os.POSIX_SPAWN_DUP2, slot, SLOT_DESCRIPTOR + each) for each, slot in enumerate(slots)),
                ],
                setpgroup=0,
                setsigmask=[],
                setsigdef=RESET_SIGNALS,
            )
        except (OSError, ValueError) as error:
            self.slots.give(slots)
            return self._not_started(job, command[0], cwd, log, error)
        self.attempts = 0
        found = look_up(pid)
        started = Job(job[0], pid, found.born if found else 0, began, self._mark(job[0]))
        started.slots = slots
        self.journal.record({"event": "start", "job": job[0], "pid": pid, "born": started.born, "time": began})
        self._watch(started, own(job))
        return True

    def _not_started(self, job: list[Any], program: str, cwd: str, log: str, error: Exception) -> bool:
        if not isinstance(error, FileExistsError) and os.path.exists(log):
            os.unlink(log)
        self.attempts += 1
        if isinstance(error, OSError) and error.errno in TRANSIENT and self.attempts < START_ATTEMPTS:
            self.paused_until = time.monotonic() + RETRY_SECONDS
            self.alarm = min(self.alarm, self.paused_until)
            return False
        self.attempts = 0
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        message = f"could not start {program!r} in {cwd!r}: {reason}"
        if isinstance(error, OSError) and error.filename == cwd:
            message = f"could not start {program!r}: its directory {cwd!r} cannot be entered: {reason}"
        self._skip(job[0], "not_started", message)
        return True

    def _skip(self, index: int, reason: str, message: str) -> None:
        """Write down the end of a job that was never started."""
        self.over.add(index)
        self.journal.record({"event": "end", "job": index, "time": time.time(), "reason": reason, "message": message})

    # Ending

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            job = self.running.get(pid)
            if job is None:
                continue  # a job's orphan, which fell to us
            job.gone = True
            ended = ("signal", os.WTERMSIG(status)) if os.WIFSIGNALED(status) else ("code", os.WEXITSTATUS(status))
            job.outcome = dict([ended])
            job.outcome["rss"] = usage.ru_maxrss * USAGE_BYTES
            job.outcome["cpu"] = round(usage.ru_utime + usage.ru_stime, 6)
            if job.reason:
                self.alarm = 0.0  # see now what is left of its tree
            else:
                self._finish(job)

    def _finish(self, job: Job) -> None:
        del self.running[job.key]
        event = {"event": "end", "job": job.index, "time": time.time(), "began": job.began, **job.outcome}
        if job.reason:
            event["reason"], event["message"] = job.reason, job.message
        self.journal.record(event)
        self.slots.give(job.slots)

    def _obey(self) -> None:
        """Cancel what somebody asked to be cancelled: everything, or single jobs."""
        everything = os.path.exists(os.path.join(self.directory, "cancel"))
        indices = self._unwanted()
        if not (everything or indices):
            return
        table = processes()
        for job in self.running.values():
            if (everything or job.index in indices) and not job.gone:
                self._condemn(job, "cancelled", "cancelled while it ran", table)
        for index in sorted(indices):
            if self._is_pending(index):
                self._skip(index, "cancelled", "cancelled before it was started")
        while self.next and (everything or self.next[0] in self.over):
            if self.next[0] not in self.over:
                self._skip(self.next[0], "cancelled", "cancelled before it was started")
            self.next = self._advance()

    def _unwanted(self) -> set[int]:
        """Return the indices of single jobs whose end was asked for."""
        found: set[int] = set()
        try:
            with open(os.path.join(self.directory, "cancel-jobs"), "rb") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return found
        for line in lines:
            with contextlib.suppress(ValueError):  # torn by a full disk: whoever asked was told so
                found.update(json.loads(line))
        return found

    def _is_pending(self, index: int) -> bool:
        """Say whether a job has never been started: it has no log."""
        known = (self.open or 0 <= index < self.array["size"]) and index not in self.over
        return known and not os.path.exists(os.path.join(self.directory, "out", f"{index}.log"))

    def _condemn(self, job: Job, reason: str, message: str, table: dict[int, Process]) -> None:
        """Ask a job to end; those of its processes that are left after the grace period are killed."""
        if job.reason:
            return
        job.reason, job.message = reason, message
        job.signal(signal.SIGTERM, table)
        job.kill_at = time.monotonic() + self.array["grace_seconds"]
        self.alarm = 0.0

    def _tend(self) -> None:
        """Do what time asks for: limits, kills, jobs of another runner. Costs nothing while no alarm is due."""
        now = time.monotonic()
        if now < self.alarm:
            return
        for job in [job for job in self.running.values() if job.adopted]:
            self._notice(job)
        sampling = now >= self.sample_at and any(job.memory_limit for job in self.running.values())
        if sampling:
            self.sample_at = now + SAMPLE_SECONDS
        due = [job for job in self.running.values() if sampling or job.reason or now >= job.deadline]
        table = processes() if due else {}
        for job in due:
            if not (job.reason or job.gone):
                self._limit(job, table, now)
            if job.reason:
                self._press(job, table, now)
        self._set_alarm(now)

    def _notice(self, job: Job) -> None:
        """See whether a job of another runner is over; nobody can tell how it ended."""
        job.gone = job.gone or not lives(job.pid, job.born)
        if job.gone and not job.reason:
            job.reason, job.message = "lost", "its runner was killed while it ran, so its exit code is unknown"
            self._finish(job)

    def _limit(self, job: Job, table: dict[int, Process], now: float) -> None:
        """Condemn a job that is over its time or its memory."""
        if now >= job.deadline:
            self._condemn(job, "timeout", f"ran longer than its limit of {job.timeout:g} s", table)
        elif job.memory_limit:
            used = job.memory_bytes(table, job.memory_limit)
            if used > job.memory_limit:
                shown = f"used {used / 2**20:.0f} MiB; its limit is {job.memory_limit / 2**20:.0f} MiB"
                self._condemn(job, "out_of_memory", shown, table)

    def _press(self, job: Job, table: dict[int, Process], now: float) -> None:
        """Kill what outlived the grace period; the job is over when no process of it is left."""
        late = now >= job.kill_at
        left = job.signal(signal.SIGKILL if late else 0, table) if late or job.gone else True
        if job.gone and not left:
            self._finish(job)

    def _set_alarm(self, now: float) -> None:
        alarm = math.inf
        if self.next and self.paused_until > now:
            alarm = min(alarm, self.paused_until)
        for job in self.running.values():
            if job.memory_limit:
                alarm = min(alarm, self.sample_at)
            if job.reason:
                alarm = min(alarm, now + GRAIN_SECONDS if job.gone or now >= job.kill_at else job.kill_at)
            else:
                alarm = min(alarm, job.deadline, now + ADOPTED_SECONDS if job.adopted else math.inf)
        self.alarm = alarm


def main(arguments: list[str]) -> None:
    """Run the array in the directory ``arguments[0]`` in the background, unless a runner does so already."""
    directory = os.path.abspath(arguments[0])
    lock = int(arguments[1]) if len(arguments) > 1 else take_lock(directory)
    if lock is None:
        return
    os.set_inheritable(lock, False)
    go_to_background(directory)
    if not adopt_orphans():
        complain("without prctl, a job's processes that leave its process group may outlive it")
    try:
        Runner(directory, lock).run()
    except Exception as error:
        with open(os.path.join(directory, "runner.failed"), "w", encoding="utf-8") as file:
            file.write(f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
