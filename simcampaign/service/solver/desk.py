"""The desk of the solver: it takes simulations in, quotes them, has them started, and forgets them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from simcampaign.errors import ConfigError, ConflictError, Problem
from simcampaign.ledger import queuebook, solvertasks
from simcampaign.ledger.queuerows import Event
from simcampaign.ledger.solvertasks import NewTask, TaskRow, TaskState
from simcampaign.service.core.book import Book
from simcampaign.service.core.dispatcher import Dispatcher
from simcampaign.service.solver.collector import Collector
from simcampaign.service.solver.engines import Engines
from simcampaign.service.solver.examiner import Finding
from simcampaign.service.solver.files import Files
from simcampaign.service.solver.progress import Progress, ProgressBoard
from simcampaign.service.solver.settings import SolverConfig
from simcampaign.service.solver.starter import Starter
from simcampaign.service.solver.task import Task, changed, job_of, new_id, with_jobs


class Wanted(Protocol):
    """A task that a client asks for."""

    key: str
    name: str
    folder: str
    sha256: str
    size: int


class Desk:
    """The solver of one service. Its methods wait for the disk: any thread but the event loop's may call them."""

    def __init__(self, config: SolverConfig, files: Files, book: Book, dispatcher: Dispatcher) -> None:
        """Keep simulations and results in ``files``."""
        self.config = config
        self.files = files
        self._book = book
        self._dispatcher = dispatcher
        self._engines = Engines(config, files.folder)
        self._starter = Starter(config, self._engines, self.files, dispatcher)
        self._collector = Collector(self.files, book, dispatcher)
        self._progress = ProgressBoard(dispatcher.lane)

    def start(self) -> None:
        """Take up what an earlier service left."""
        self._engines.start()
        self._collector.start()

    def stop(self) -> None:
        """Stop; what is not collected yet is collected by the next service."""
        self._collector.stop()
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

    def progress(self, task: Task) -> Progress:
        """Return how far a task is."""
        return self._progress.of(task)

    def _with_jobs(self, rows: Sequence[TaskRow]) -> list[Task]:
        return self._book.read(lambda connection: with_jobs(connection, rows))

    # Taking in

    def create(self, user: str, wanted: Sequence[Wanted]) -> list[Task]:
        """Write tasks down; simulations that are here already are quoted at once. Raises ``ConflictError``."""
        tasks = [
            NewTask(
                id=new_id(),
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
        task_id = new_id()
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
        finding = self._known_quote(row) or self._engines.examine(self.files.content(row.user, row.sha256))

        def write(connection: sa.Connection) -> tuple[None, list[Event]]:
            same = solvertasks.with_content(connection, row.user, row.sha256)
            drafts = [each for each in same if each.state is TaskState.DRAFT]
            return None, [self._quoted(connection, each, finding) for each in drafts]

        self._book.write(write).result()

    def examine_soon(self, row: TaskRow) -> Future[None]:
        """Examine in a thread that is there for it: whoever waits for a slow file takes no thread from others."""
        return self.soon(lambda: self.examine(row))

    def soon(self, work: Callable[[], None]) -> Future[None]:
        """Have ``work``, which ends with an examination, done in such a thread."""
        return self._engines.soon(work)

    def _known_quote(self, row: TaskRow) -> Finding | None:
        """Return what another task with the same simulation was found to be."""
        same = self._book.read(lambda connection: solvertasks.with_content(connection, row.user, row.sha256))
        known = next((each for each in same if each.type and each.estimated is not None), None)
        if known is None:
            return None
        return Finding("", known.type, known.cells, known.steps, known.estimated or 0.0, known.parents)

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
        return changed(connection, self._book.clock(), row.id, **values)

    # Starting and ending

    def begin(self, wanted: Mapping[str, int], budget: float | None, priority: int = 0) -> None:
        """Queue tasks, each as the attempt of this number; one that had it already is left alone.

        Raises ``ConflictError`` for one that cannot be started, or if all together may cost more than ``budget``; then
        none was started.
        """
        if self.files.are_copies:
            self._bring(self._book.read(lambda connection: solvertasks.get_all(connection, wanted)))
        self._starter.begin(wanted, budget, priority)
        self._collector.watch([each.row for each in self.get(list(wanted)) if each.row.state is TaskState.STARTED])

    def _bring(self, rows: Sequence[TaskRow]) -> None:
        """Have what tasks are solved from on this host."""
        for row in rows:
            self.files.bring(self.files.content(row.user, row.sha256))
        named = sorted({parent for row in rows for parent in row.parents})
        for parent in self._book.read(lambda connection: solvertasks.get_all(connection, named)):
            if parent.state is TaskState.SAVED:
                self.files.bring(self.files.result(parent.id))

    def abort(self, tasks: Sequence[Task]) -> None:
        """End tasks that run or wait; others are left alone."""
        for task in tasks:
            if task.row.state is TaskState.STARTED and task.job is not None and not task.job.state.over:
                self._dispatcher.cancel(task.job.id).result()

    def delete(self, tasks: Sequence[Task]) -> None:
        """Forget tasks with their files, all or none.

        Raises ``ConflictError`` for one that waits or runs, or whose result another one waits for.
        """
        ids = [task.row.id for task in tasks]

        def write(connection: sa.Connection) -> tuple[list[Task], list[Event]]:
            found = with_jobs(connection, solvertasks.get_all(connection, ids))
            _check_deletable(connection, found)
            for task in found:
                for job_id in _jobs_of(task.row):
                    with contextlib.suppress(KeyError):
                        queuebook.delete(connection, job_id)
                solvertasks.delete(connection, task.row.id)
            return found, []

        jobs = self._book.get_all(job_id for task in tasks for job_id in _jobs_of(task.row))
        for task in self._book.write(write).result():
            self.files.remove_result(task.row.id)
            self._forget_content(task.row)
        for job in jobs:
            self._dispatcher.lane(job.site).remove(job)

    def _forget_content(self, row: TaskRow) -> None:
        if not self._book.read(lambda connection: solvertasks.with_content(connection, row.user, row.sha256)):
            self.files.remove_content(row.user, row.sha256)


def _jobs_of(row: TaskRow) -> list[str]:
    """Return the jobs of all attempts."""
    return [job_of(row.id, number) for number in range(1, row.attempt + 1)]


def _check_deletable(connection: sa.Connection, tasks: Sequence[Task]) -> None:
    ids = {task.row.id for task in tasks}
    for task in tasks:
        if task.lives:
            raise ConflictError(f"task {task.row.id} is {task.status}, so it cannot be deleted", "abort it first")
    for child in with_jobs(connection, solvertasks.with_parents(connection, TaskState.STARTED)):
        needed = ids.intersection(child.row.parents)
        if needed and child.lives:
            raise ConflictError(
                f"task {child.row.id} is {child.status} and needs the result of task {min(needed)}, "
                "so that one cannot be deleted",
                f"abort task {child.row.id} first",
            )


def refuse_size(size: int, most: int) -> None:
    """Raise ``ConfigError`` for a simulation that is too large."""
    if size > most:
        raise ConfigError([Problem("size", size, f"is more than the {most} bytes that this service takes")])
