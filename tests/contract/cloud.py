"""What the fake site stands before: a place that runs jobs in memory, by a clock of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from simcampaign.jobs import ArraySpec, Cause, JobReport, JobSpec, JobState


@dataclass(frozen=True)
class Performance:
    """What a job will do once it is started."""

    seconds: float | None = 1.0
    """How long it takes; None: until it is let go."""

    code: int = 0
    output: bytes = b""
    effect: Callable[[], None] = lambda: None
    """Called when it ends by itself, whatever its exit code."""


@dataclass
class Array:
    """An array that arrived."""

    remote_id: str
    spec: ArraySpec
    jobs: Sequence[JobSpec]
    journal: list[JobReport] = field(default_factory=list)
    """Every change of every job, oldest first."""

    states: dict[int, JobState] = field(default_factory=dict)
    running: dict[int, tuple[float, Performance]] = field(default_factory=dict)
    """Of each job that runs, when it started and what it does."""

    output: dict[int, bytes] = field(default_factory=dict)
    let_go: bool = False

    @property
    def over(self) -> bool:
        return not any(state.active for state in self.states.values())

    def ends(self) -> list[tuple[float, int]]:
        """When running jobs will end by themselves."""
        return [
            (started if performance.seconds is None else started + performance.seconds, index)
            for index, (started, performance) in self.running.items()
            if performance.seconds is not None or self.let_go
        ]


class Cloud:
    """Runs jobs in memory, some at a time, in the order in which they came."""

    def __init__(
        self,
        perform: Callable[[ArraySpec, JobSpec], Performance],
        *,
        slots: int = 2,
        adopts: bool = True,
        memory: bool = True,
    ) -> None:
        """Make an empty one.

        ``perform`` is asked what a job does when it starts. One that does not adopt takes a name twice. Without
        ``memory`` it forgets at once which arrays it must not start any more.
        """
        self.now = 1.8e9
        self.started: list[tuple[str, int]] = []
        """Array name and index of each job that was really started, in that order."""

        self.adopts = adopts
        self.lock = threading.RLock()
        self.arrays: dict[str, Array] = {}
        self._perform = perform
        self._slots = slots
        self._memory = memory
        self._ids = count(1)
        self._under_way: list[tuple[float, ArraySpec]] = []
        self._fenced: set[str] = set()
        self._hidden: dict[str, float] = {}

    def receive(self, spec: ArraySpec) -> str:
        """Take an array; one whose name is known is not taken twice, one that was said not to exist is refused."""
        if spec.name in self._fenced:
            return ""
        known = self.known(spec.name) if self.adopts else None
        if known is None:
            known = f"fake:{spec.name}:{next(self._ids)}"
            jobs = [replace(job) for job in spec.jobs]
            self.arrays[known] = Array(known, spec, jobs, states={job.index: JobState.QUEUED for job in jobs})
            self._start()
        return known

    def receive_later(self, spec: ArraySpec, seconds: float) -> None:
        """Take an array after some time."""
        self._under_way.append((self.now + seconds, replace(spec, jobs=list(spec.jobs))))

    def fence(self, name: str) -> None:
        """Never start an array of this name, should it still arrive."""
        if self._memory:
            self._fenced.add(name)

    def hide(self, name: str, seconds: float) -> None:
        """Leave an array out of what is listed for some time."""
        self._hidden[name] = self.now + seconds

    def listed(self, name: str) -> str | None:
        """Return the id of an array that a listing shows by now."""
        return self.known(name) if self._hidden.get(name, 0.0) <= self.now else None

    def known(self, name: str) -> str | None:
        return next((each.remote_id for each in self.arrays.values() if each.spec.name == name), None)

    def advance(self, seconds: float, until_news_of: Sequence[str] = ()) -> None:
        """Let time pass, at most until one of these arrays changes."""
        end = self.now + seconds
        while True:
            seen = [len(self.arrays[each].journal) for each in until_news_of if each in self.arrays]
            moment = min([end, *(at for at, _ in self._under_way), *(at for at, _, _ in self._ends())])
            self.now = max(self.now, moment)
            self._arrive()
            for at, array, index in sorted(self._ends(), key=lambda each: each[0]):
                if at <= self.now and index in array.running:
                    self._end(array, index)
            self._start()
            told = [len(self.arrays[each].journal) for each in until_news_of if each in self.arrays]
            if self.now >= end or told != seen:
                return

    def cancel(self, array: Array, indices: Sequence[int] | None) -> None:
        """End jobs at once."""
        for index, state in array.states.items():
            if state.active and (indices is None or index in indices):
                self._record(array, JobReport(index, JobState.CANCELLED, ended=self.now))
        self._start()

    def lose(self, array: Array, index: int) -> None:
        """Let a job vanish, as with its machine."""
        self._record(array, JobReport(index, JobState.LOST, Cause.LOST, message="its machine is gone"))
        self._start()

    def forget(self, remote_id: str) -> None:
        """Let an array vanish with all its jobs."""
        self.arrays.pop(remote_id, None)

    def _ends(self) -> list[tuple[float, Array, int]]:
        return [(at, array, index) for array in self.arrays.values() for at, index in array.ends()]

    def _arrive(self) -> None:
        due = [each for each in self._under_way if each[0] <= self.now]
        self._under_way = [each for each in self._under_way if each[0] > self.now]
        for _, spec in due:
            self.receive(spec)

    def _start(self) -> None:
        for array in list(self.arrays.values()):
            for job in array.jobs:
                if sum(len(each.running) for each in self.arrays.values()) >= self._slots:
                    return
                if array.states[job.index] is JobState.QUEUED:
                    self._start_job(array, job)

    def _start_job(self, array: Array, job: JobSpec) -> None:
        self.started.append((array.spec.name, job.index))
        performance = self._perform(array.spec, job)
        self._record(array, JobReport(job.index, JobState.RUNNING, started=self.now))
        array.running[job.index] = (self.now, performance)
        array.output[job.index] = performance.output

    def _end(self, array: Array, index: int) -> None:
        started, performance = array.running[index]
        performance.effect()
        state, cause = (JobState.FAILED, Cause.APPLICATION) if performance.code else (JobState.FINISHED, None)
        self._record(array, JobReport(index, state, cause, performance.code, started=started, ended=self.now))

    def _record(self, array: Array, report: JobReport) -> None:
        array.states[report.index] = report.state
        array.running.pop(report.index, None)
        array.journal.append(report)
