"""Batches: simulations that are solved while the program does something else, for people who need no asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from simcampaign.errors import ABSENT, ConfigError, Problem
from simcampaign.web import aio, record
from simcampaign.web.courses import Courses, Terms
from simcampaign.web.loop import the_loop
from simcampaign.web.plan import Plan, Where
from simcampaign.web.record import Record
from simcampaign.web.report import Report
from simcampaign.web.shapes import leaves, replaced, unpack_shape
from simcampaign.web.watching import Info, Told, tell, unheard


class Task(Future[Path]):
    """The future of one simulation of a batch; what ``concurrent.futures`` has works on it, too."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()  # so that only an abort ends it
        self.name = name
        """What it is called: the batch's name with the keys and indices of its place."""

        self.path = path
        """File of its result."""

        self.info: Info = {}
        """What the service told last."""

        self._data: Any = None

    @property
    def task_id(self) -> str:
        """The id of its task; empty until it has one, and if its result came from the cache."""
        return str(self.info.get("id", ""))

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result and return it; it is read when it is touched.

        Raises ``SimulationError`` if it was not solved, ``TimeoutError`` after ``timeout`` seconds.
        """
        path = super().result(timeout)
        if self._data is None:
            self._data = aio.lazily(path)
        return self._data

    def __repr__(self) -> str:
        return f"<Task {self.name}: {self.info.get('status', 'not created yet')}>"


class Batch:
    """Simulations on their way. ``batch["key"][0]`` is the future of one; iterating gives all, in order.

    They go on without the program that began them; ``from_file`` and ``from_ids`` take them up again.
    """

    def __init__(self, shape: Any, tasks: Sequence[Task], file: Path | None, report: Report, told: Told) -> None:
        """Stand for tasks in a shape; ``begin``, ``from_file`` and ``from_ids`` make batches."""
        self.tasks = list(tasks)
        """The futures, in order."""

        self._shape, self._file, self._report, self._told = shape, file, report, told
        self._courses: Future[Courses] = Future()
        self._is_aborted = False

    # Making

    @classmethod
    def begin(cls, plan: Plan, terms: Terms, verbose: bool = False, told: Told = unheard) -> Batch:
        """Set simulations off, and return at once."""
        tasks = [Task(name, path) for name, path in zip(plan.names, plan.targets, strict=True)]
        batch = cls(plan.shape, tasks, plan.file, Report(verbose), told)
        batch._set_off(plan.write, terms)
        return batch

    @classmethod
    def from_file(cls, path: Where, verbose: bool = False, progress_callback: Told = unheard) -> Batch:
        """Go on with the batch of a file, whichever program began it; no simulation becomes two tasks.

        Raises ``ConfigError`` for a file that is none, ``LocationError`` if it is not there.
        """
        found = record.read(Path(path))
        tasks = [Task(each.name, Path(each.path)) for each in found.places]
        batch = cls(unpack_shape(found.shape), tasks, Path(path), Report(verbose), progress_callback)

        def same(endpoint: str) -> Record:
            if endpoint != found.endpoint:
                reason = f"has its tasks at {found.endpoint}; the solver that would be asked is {endpoint}"
                raise ConfigError(
                    [Problem(str(path), ABSENT, reason)], "set SIMCAMPAIGN_SOLVER_URL to that of the batch"
                )
            return found

        batch._set_off(same, Terms())
        return batch

    @classmethod
    def from_ids(
        cls, ids: Any, path: Where | None = None, verbose: bool = False, progress_callback: Told = unheard
    ) -> Batch:
        """Go on with tasks by their ids, one or a shape of them; those that are not started yet are started.

        ``path`` is the folder of their results, each ``TASK_ID.hdf5``; by default the working directory.
        """
        names = [str(task_id) for _, task_id in leaves(ids)]
        folder = Path.cwd() if path is None else Path(path)
        tasks = [Task(name, folder / f"{name}.hdf5") for name in names]
        batch = cls(ids, tasks, None, Report(verbose), progress_callback)
        batch._set_off(lambda endpoint: record.of_tasks(endpoint, ids, [each.path for each in tasks]), Terms())
        return batch

    # Waiting

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __getitem__(self, key: Any) -> Any:
        return self.futures[key]

    def __repr__(self) -> str:
        over = [each for each in self.tasks if each.done()]
        failed = sum(each.exception() is not None for each in over)
        return f"<Batch of {len(self.tasks)}: {len(over)} over, {failed} of them not solved>"

    @property
    def futures(self) -> Any:
        """The futures in the shape of the simulations."""
        tasks = iter(self.tasks)
        return replaced(self._shape, lambda: next(tasks))

    def done(self) -> bool:
        """Tell whether all are over, well or not."""
        return all(each.done() for each in self.tasks)

    def wait(self, timeout_in_seconds: float | None = None) -> bool:
        """Wait until all are over, at most so long; tell whether they are."""
        return not concurrent.futures.wait(self.tasks, timeout_in_seconds).not_done

    def as_completed(self, timeout_in_seconds: float | None = None) -> Iterator[Task]:
        """Yield each future when it is over, well or not. Raises ``TimeoutError`` if that takes too long."""
        for each in concurrent.futures.as_completed(self.tasks, timeout_in_seconds):
            assert isinstance(each, Task)  # noqa: S101 - what it was given
            yield each

    def result(self, timeout_in_seconds: float | None = None) -> Any:
        """Wait for all and return their results in the shape of the simulations; each is read when it is touched.

        Raises ``SimulationError`` if one was not solved, ``TimeoutError`` if it takes too long.
        """
        if error := self.exception(timeout_in_seconds):
            raise error
        results = iter([each.result() for each in self.tasks])
        return replaced(self._shape, lambda: next(results))

    def exception(self, timeout_in_seconds: float | None = None) -> Exception | None:
        """Wait for all and return why those that were not solved were not; None if all were."""
        if not self.wait(timeout_in_seconds):
            raise TimeoutError(f"{self!r} after {timeout_in_seconds:g} s")
        errors = [error for each in self.tasks if isinstance(error := each.exception(), Exception)]
        return aio.first_of(list({id(error): error for error in errors}.values()), len(self.tasks))

    # Changing

    def abort(self) -> None:
        """Start nothing more, and end what runs or waits; what is solved already stays."""
        the_loop().call(self._abort())

    def retry_failed(self) -> list[Task]:
        """Start those once more that were not solved; returns their new futures, which stand in their places."""
        again = [number for number, each in enumerate(self.tasks) if each.done() and each.exception() is not None]
        for number in again:
            self.tasks[number] = Task(self.tasks[number].name, self.tasks[number].path)
        if again:
            the_loop().begin(self._go_on(again))
        return [self.tasks[number] for number in again]

    def to_file(self, path: Where) -> None:
        """Write the record from which any program goes on, by ``web.Batch.from_file(path)``."""
        record.copy(self._courses.result().record, self._file, Path(path))

    # In the event loop

    def _set_off(self, write: Callable[[str], Record], terms: Terms) -> None:
        async def work() -> None:
            with self._report:
                try:
                    now = await aio.session()
                    found = await asyncio.to_thread(write, now.endpoint.name)
                except Exception as error:  # noqa: BLE001 - it is the end of each of them
                    self._courses.set_exception(error)
                    for each in self.tasks:
                        each.set_exception(error)
                    return
                courses = Courses(now, found, terms, aio.cache)
                courses.aborted = self._is_aborted
                self._courses.set_result(courses)
                await self._run(courses, range(len(self.tasks)), again=False)

        the_loop().begin(work())

    async def _go_on(self, places: Sequence[int]) -> None:
        try:
            courses = self._courses.result()
            courses.now, courses.aborted = await aio.session(), False
        except Exception as error:  # noqa: BLE001 - it is the end of each of them
            for place in places:
                self.tasks[place].set_exception(error)
            return
        await self._run(courses, places, again=True)

    async def _run(self, courses: Courses, places: Sequence[int], again: bool) -> None:
        waiting: dict[int, list[Task]] = {}
        for place in places:
            waiting.setdefault(courses.record.places[place].entry, []).append(self.tasks[place])
        self._report.expect(len(waiting))
        await courses.run(list(waiting), _Futures(waiting, (self._report.told, self._told)), again)

    async def _abort(self) -> None:
        self._is_aborted = True
        if self._courses.done() and self._courses.exception() is None:
            await self._courses.result().abort()


class _Futures:
    """Hears of simulations and passes it on to their futures, several for one that stands at several places."""

    def __init__(self, waiting: dict[int, list[Task]], told: Sequence[Told]) -> None:
        self._waiting, self._told = waiting, told

    def heard(self, number: int, info: Info) -> None:
        for each in self._waiting[number]:
            each.info = info
        for told in self._told:
            tell(told, info)

    def over(self, number: int, end: Info | Exception) -> None:
        for each in self._waiting[number]:
            if isinstance(end, Exception):
                each.set_exception(end)
            else:
                each.set_result(each.path)
