"""The desk of the solver: it takes simulations in, quotes them, queues them, and keeps their results."""

from __future__ import annotations

import json
import logging
import queue
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from simcampaign.errors import ConfigError, ConflictError, Problem, SimcampaignError
from simcampaign.jobs import Resources
from simcampaign.ledger import queuebook, solvertasks
from simcampaign.ledger.queuerows import Event, NewJob, QueueRow, QueueState
from simcampaign.ledger.solvertasks import NewTask, TaskRow, TaskState
from simcampaign.service.core.book import Book
from simcampaign.service.core.dispatcher import Dispatcher
from simcampaign.service.core.work import Work
from simcampaign.service.solver.engines import Engines
from simcampaign.service.solver.examiner import Finding
from simcampaign.service.solver.files import Files
from simcampaign.service.solver.settings import SolverConfig

logger = logging.getLogger("simcampaign")

APPLICATION = "solver"
CHANGED = "task_changed"
"""The event that a task is no longer as it was, beside those of its job."""

INPUT, RESULT = "simulation.hdf5", "result.hdf5"
_ENDS = frozenset({"job_completed", "job_cancelled"})
_ID_LENGTH = len("task-") + 16


class Wanted(Protocol):
    """A task that a client asks for."""

    key: str
    name: str
    folder: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Task:
    """A task with its job, if it has one."""

    row: TaskRow
    job: QueueRow | None = None

    @property
    def status(self) -> str:
        """Where it is: that of its job once it is started, ``saving`` until its result is in the location."""
        if self.row.state is TaskState.SAVED:
            return "completed"
        if self.row.state is TaskState.UNSAVED:
            return "failed"
        if self.row.state is TaskState.STARTED:
            state = QueueState.LOST if self.job is None else self.job.state
            return "saving" if state is QueueState.COMPLETED else str(state)
        return str(self.row.state)

    @property
    def message(self) -> str:
        """What there is to say about it."""
        return self.row.message or ("" if self.job is None else self.job.message)

    @property
    def startable(self) -> bool:
        """True if it is quoted and not started, or did not end well."""
        return self.row.state is TaskState.READY or self.status in {"failed", "cancelled", "lost"}


class Desk:
    """The solver of one service. Its methods wait for the disk; they are called from any thread but the event loop's.

    A job whose simulation refers to results of others is held until these are in the location.
    """

    def __init__(self, config: SolverConfig, folder: Path, book: Book, dispatcher: Dispatcher) -> None:
        """Keep files below ``folder``. Raises ``LocationError``."""
        self.config = config
        self.files = Files(folder)
        self._book = book
        self._dispatcher = dispatcher
        self._engines = Engines(config, folder)
        self._ended: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._collect_all, name="solver results", daemon=True)
        book.listeners.append(self._hear)

    def start(self) -> None:
        """Take up what an earlier service left."""
        for row in self._book.read(lambda connection: solvertasks.in_state(connection, TaskState.STARTED)):
            self._ended.put(row.job)
        self._engines.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is not collected yet is collected by the next service."""
        self._ended.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self._engines.stop()

    # Looking

    def get(self, ids: Sequence[str]) -> list[Task]:
        """Return those of the tasks that are there."""
        return self._with_jobs(self._book.read(lambda connection: solvertasks.get_all(connection, ids)))

    def listed(self, user: str | None, folder: str | None, limit: int, before: int | None) -> list[Task]:
        """Return tasks, newest first; of one user or of all."""
        return self._with_jobs(
            self._book.read(lambda connection: solvertasks.listed(connection, user, folder, limit, before))
        )

    def folders(self, user: str | None) -> dict[str, int]:
        """Return the folders with the number of tasks in each."""
        return self._book.read(lambda connection: solvertasks.folders(connection, user))

    def spent(self, user: str | None) -> tuple[int, float, float]:
        """Return the number of tasks, the credits spent, and those that running ones may cost."""
        return self._book.read(lambda connection: solvertasks.spent(connection, user))

    def log(self, task: Task, offset: int = 0, most: int = -1) -> bytes:
        """Return what the newest job of a task printed."""
        return b"" if task.job is None else self._dispatcher.lane(task.job.site).log(task.job, offset, most)

    def _with_jobs(self, rows: Sequence[TaskRow]) -> list[Task]:
        jobs = {job.id: job for job in self._book.get_all(row.job for row in rows if row.job)}
        return [Task(row, jobs.get(row.job)) for row in rows]

    # Taking in

    def create(self, user: str, wanted: Sequence[Wanted]) -> list[Task]:
        """Write tasks down; simulations that are here already are quoted at once. Raises ``ConflictError``."""
        tasks = [
            NewTask(
                id=f"task-{secrets.token_hex(8)}",
                user=user,
                key=each.key,
                name=each.name,
                folder=each.folder,
                sha256=each.sha256,
                size=each.size,
            )
            for each in wanted
        ]
        rows = self._book.write(
            lambda connection: (solvertasks.create(connection, tasks, self._book.clock()), [])
        ).result()
        drafts = {row.sha256: row for row in rows if row.state is TaskState.DRAFT}
        known = [row for row in drafts.values() if self.files.content(user, row.sha256).exists()]
        for row in known:
            self.examine(row)
        return self.get([row.id for row in rows]) if known else self._with_jobs(rows)

    def draft(self, user: str, name: str, folder: str) -> TaskRow:
        """Write a task down whose simulation is not known yet; ``take_in`` brings it."""
        task_id = f"task-{secrets.token_hex(8)}"
        task = NewTask(id=task_id, user=user, key=task_id, name=name, folder=folder, sha256="", size=0)
        (row,) = self._book.write(
            lambda connection: (solvertasks.create(connection, [task], self._book.clock()), [])
        ).result()
        return row

    def take_in(self, row: TaskRow, source: Path) -> None:
        """Take the simulation of a draft from a file, which is moved, and quote it."""
        sha256, size = self.files.take(row.user, source)

        def write(connection: sa.Connection) -> tuple[TaskRow, list[Event]]:
            return solvertasks.update(connection, row.id, sha256=sha256, size=size), []

        self.examine(self._book.write(write).result())

    def examine(self, row: TaskRow) -> None:
        """Quote a simulation whose bytes are all here, for all drafts that have it. Raises ``ConflictError``."""
        self.files.complete(row.user, row.sha256, row.size)
        finding = self._engines.examine(self.files.content(row.user, row.sha256))

        def write(connection: sa.Connection) -> tuple[None, list[Event]]:
            same = solvertasks.with_content(connection, row.user, row.sha256)
            drafts = [each for each in same if each.state is TaskState.DRAFT]
            return None, [self._quoted(connection, each, finding) for each in drafts]

        self._book.write(write).result()

    def _quoted(self, connection: sa.Connection, row: TaskRow, finding: Finding) -> Event:
        fault = finding.fault
        parents = {each.id: each for each in solvertasks.get_all(connection, finding.parents)}
        for each in finding.parents:
            if each not in parents or parents[each].user != row.user:
                fault = fault or f"it refers to task {each}, and there is none"
        values: dict[str, object]
        if fault:
            values = {"state": TaskState.INVALID, "message": fault}
        else:
            values = {
                "state": TaskState.READY,
                "type": finding.type,
                "cells": finding.cells,
                "steps": finding.steps,
                "estimated": finding.credits,
                "parents": list(finding.parents),
            }
        return self._changed(connection, row.id, **values)

    def _changed(self, connection: sa.Connection, task_id: str, **values: object) -> Event:
        row = solvertasks.update(connection, task_id, **values)
        payload = {"task_id": task_id, "state": str(row.state)}
        return queuebook.note(connection, self._book.clock(), CHANGED, task_id, payload)

    # Starting and ending

    def begin(self, tasks: Sequence[Task], attempts: Sequence[int], budget: float | None, priority: int = 0) -> None:
        """Queue tasks; one that had this attempt already is left alone, so that asking twice starts once.

        Raises ``ConflictError`` for one that cannot be started, or if all together may cost more than ``budget``.
        """
        due = [(each, number) for each, number in zip(tasks, attempts, strict=True) if each.row.attempt < number]
        for task, _ in due:
            if not task.startable:
                reason = task.message or "its simulation is not here yet"
                raise ConflictError(f"task {task.row.id} is {task.status}: {reason}")
        total = sum(task.row.estimated or 0.0 for task, _ in due)
        if budget is not None and total > budget:
            raise ConflictError(
                f"{len(due)} tasks may cost {total:g} credits, more than the budget of {budget:g}; none was started",
                "give a larger budget, or fewer or smaller simulations",
            )
        for task, number in due:
            self._queue(task.row, number, priority)

    def _queue(self, row: TaskRow, attempt: int, priority: int) -> None:
        job_id = row.id if attempt == 1 else f"{row.id}-a{attempt}"
        parents = self.get(row.parents)
        for parent in parents:
            if parent.row.state not in {TaskState.STARTED, TaskState.SAVED}:
                raise ConflictError(f"task {row.id} waits for task {parent.row.id}, which is {parent.status}")
        work = self._work(row)
        job = NewJob(
            id=job_id,
            user=row.user,
            site=self.config.site,
            group=row.folder,
            application=APPLICATION,
            priority=priority,
            held=any(each.row.state is not TaskState.SAVED for each in parents),
            config=json.dumps({"task": row.id, "name": row.name, "type": row.type}, separators=(",", ":")),
            work=work.text(),
            cores=work.resources.cores,
            memory_mb=work.resources.memory_mb or 0,
            after_ok=tuple(each.row.job for each in parents if each.row.state is TaskState.STARTED),
        )

        def write(connection: sa.Connection) -> tuple[None, list[Event]]:
            values = {"state": TaskState.STARTED, "message": "", "attempt": attempt, "job": job_id, "real": None}
            return None, [self._changed(connection, row.id, **values)]

        self._dispatcher.submit(job).result()
        self._book.write(write).result()
        self._ended.put(job_id)  # it, or its parents, may be over by now

    def _work(self, row: TaskRow) -> Work:
        engine = self._engines.of_type(row.type)
        names = {parent: f"parent-{number}.hdf5" for number, parent in enumerate(row.parents)}
        given = [word for parent, name in names.items() for word in ("--parent", f"{parent}={name}")]
        threads = str(max(1, int(self.config.cores)))
        return Work(
            command=(*engine.solver, INPUT, RESULT, *given),
            paths={
                INPUT: str(self.files.content(row.user, row.sha256)),
                **{name: str(self.files.result(parent)) for parent, name in names.items()},
                **engine.paths,
            },
            environment={
                **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads),
                **engine.environment,
            },
            outputs=(RESULT, f"{RESULT}.json"),
            resources=Resources(
                cpus=self.config.cores,
                memory_mb=self.config.memory_mb,
                timeout_seconds=self.config.wall_time_in_seconds,
            ),
        )

    def abort(self, tasks: Sequence[Task]) -> None:
        """End tasks that run or wait; others are left alone."""
        for task in tasks:
            if task.row.state is TaskState.STARTED and task.job is not None and not task.job.state.over:
                self._dispatcher.cancel(task.job.id).result()

    def delete(self, tasks: Sequence[Task]) -> None:
        """Forget tasks with their files. Raises ``ConflictError`` for one that runs or waits."""
        for task in tasks:
            if task.row.state is TaskState.STARTED and task.status not in {"failed", "cancelled", "lost"}:
                raise ConflictError(f"task {task.row.id} is {task.status}, so it cannot be deleted", "abort it first")
        for task in tasks:
            row = task.row
            if task.job is not None:
                self._dispatcher.lane(task.job.site).remove(task.job)
                self._book.delete(task.job.id).result()
            self._forget(row)

    def _forget(self, row: TaskRow) -> None:
        def write(connection: sa.Connection) -> tuple[bool, list[Event]]:
            solvertasks.delete(connection, row.id)
            return bool(solvertasks.with_content(connection, row.user, row.sha256)), []

        needed = self._book.write(write).result()
        self.files.remove_result(row.id)
        if not needed:
            self.files.remove_content(row.user, row.sha256)

    # Results

    def _hear(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.kind in _ENDS and event.job_id.startswith("task-"):
                self._ended.put(event.job_id)

    def _collect_all(self) -> None:
        while (job_id := self._ended.get()) is not None:
            try:
                self._collect(job_id)
            except Exception:
                logger.exception("The result of job %s was not collected", job_id)

    def _collect(self, job_id: str) -> None:
        row = self._book.read(lambda connection: solvertasks.of_job(connection, job_id))
        if row is None or row.state is not TaskState.STARTED:
            return
        (task,) = self.get([row.id])
        if task.job is None:
            return
        if task.job.state is QueueState.COMPLETED:
            self._save(task.row, task.job)
            waiting = self._book.read(lambda connection: solvertasks.in_state(connection, TaskState.STARTED))
            for each in waiting:
                if row.id in each.parents:
                    self._ended.put(each.job)
        elif task.job.state is QueueState.QUEUED and task.job.held and row.parents and self._are_saved(row.parents):
            self._release(job_id)

    def _are_saved(self, ids: Sequence[str]) -> bool:
        return all(each.row.state is TaskState.SAVED for each in self.get(ids))

    def _release(self, job_id: str) -> None:
        try:
            self._dispatcher.reorder(job_id, held=False).result()
        except ConflictError:
            logger.info("Job %s does not wait any more", job_id)

    def _save(self, row: TaskRow, job: QueueRow) -> None:
        lane = self._dispatcher.lane(job.site)
        part = self.files.folder / "results" / f"{row.id}.fetched"
        costs = part.with_suffix(".json")
        try:
            if not self.files.result(row.id).exists():
                lane.fetch(job, {f"{RESULT}.json": costs, RESULT: part})
            real = float(json.loads(costs.read_text(encoding="utf-8"))["credits"])
            sha256, size = self.files.keep(row.id, part)
            values: dict[str, object] = {
                "state": TaskState.SAVED,
                "real": real,
                "result_sha256": sha256,
                "result_size": size,
            }
        except (SimcampaignError, OSError, ValueError, KeyError) as error:
            values = {"state": TaskState.UNSAVED, "message": f"its result cannot be had: {error}"}
        self._book.write(lambda connection: (None, [self._changed(connection, row.id, **values)])).result()


def task_of(job_id: str) -> str:
    """Return the task that a job of a solver is a try of, or the task itself."""
    return job_id[:_ID_LENGTH]


def refuse_size(size: int, most: int) -> None:
    """Raise ``ConfigError`` for a simulation that is too large."""
    if size > most:
        raise ConfigError([Problem("size", size, f"is more than the {most} bytes that this service takes")])
