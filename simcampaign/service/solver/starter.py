"""The starter: it queues tasks, all that are asked for together or none of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from simcampaign.errors import ConflictError
from simcampaign.jobs import Resources
from simcampaign.ledger import queuebook, solvertasks
from simcampaign.ledger.queuerows import Event, NewJob, QueueRow
from simcampaign.ledger.solvertasks import TaskRow, TaskState
from simcampaign.service.core.dispatcher import Dispatcher
from simcampaign.service.core.work import Work
from simcampaign.service.solver.engines import Engines
from simcampaign.service.solver.files import Files
from simcampaign.service.solver.settings import SolverConfig
from simcampaign.service.solver.task import Task, changed, job_of, with_jobs

APPLICATION = "solver"
INPUT, RESULT = "simulation.hdf5", "result.hdf5"


class Starter:
    """Checks what is to be started, and writes its jobs down with it in one transaction."""

    def __init__(self, config: SolverConfig, engines: Engines, files: Files, dispatcher: Dispatcher) -> None:
        """Hand jobs to ``dispatcher``."""
        self._config = config
        self._engines = engines
        self._files = files
        self._dispatcher = dispatcher

    def begin(self, wanted: Mapping[str, int], budget: float | None, priority: int) -> list[QueueRow]:
        """Queue tasks, each as the attempt of this number, and return their jobs.

        One that had this attempt already is left alone. Raises ``ConflictError``; then nothing was started.
        """

        def write(connection: sa.Connection, ahead: int) -> tuple[list[QueueRow], list[Event]]:
            rows = solvertasks.get_all(connection, wanted)
            for task_id in wanted.keys() - {row.id for row in rows}:
                raise ConflictError(f"task {task_id} is not there any more; none was started")
            due = [each for each in with_jobs(connection, rows) if each.row.attempt < wanted[each.row.id]]
            _check_states(due)
            _check_budget(due, budget)
            waiting = _check_parents(connection, due)
            jobs: list[QueueRow] = []
            events: list[Event] = []
            for task in due:
                attempt = wanted[task.row.id]
                job = self._job(task.row, attempt, priority, held=task.row.id in waiting)
                queued, told = queuebook.submit(connection, job, ahead + len(jobs) + 1, self._now())
                values = {"state": TaskState.STARTED, "message": "", "attempt": attempt, "job": job.id, "real": None}
                jobs.append(queued)
                events += [*told, changed(connection, self._now(), task.row.id, **values)]
            return jobs, events

        return self._dispatcher.submit_with(write).result()

    def _now(self) -> float:
        return self._dispatcher.book.clock()

    def _job(self, row: TaskRow, attempt: int, priority: int, *, held: bool) -> NewJob:
        work = self._work(row)
        return NewJob(
            id=job_of(row.id, attempt),
            user=row.user,
            site=self._config.site,
            group=row.folder,
            application=APPLICATION,
            priority=priority,
            held=held,
            config=json.dumps({"task": row.id, "name": row.name, "type": row.type}, separators=(",", ":")),
            work=work.text(),
            cores=work.resources.cores,
            memory_mb=work.resources.memory_mb or 0,
        )

    def _work(self, row: TaskRow) -> Work:
        engine = self._engines.of_type(row.type)
        names = {parent: f"parent-{number}.hdf5" for number, parent in enumerate(row.parents)}
        given = [word for parent, name in names.items() for word in ("--parent", f"{parent}={name}")]
        threads = str(max(1, int(self._config.cores)))
        return Work(
            command=(*engine.solver, INPUT, RESULT, *given),
            paths={
                INPUT: str(self._files.content(row.user, row.sha256)),
                **{name: str(self._files.result(parent)) for parent, name in names.items()},
                **engine.paths,
            },
            environment={
                **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads),
                **engine.environment,
            },
            outputs=(RESULT, f"{RESULT}.json"),
            resources=Resources(
                cpus=self._config.cores,
                memory_mb=self._config.memory_mb,
                timeout_seconds=self._config.wall_time_in_seconds,
            ),
        )


def _check_states(due: Sequence[Task]) -> None:
    for task in due:
        if not task.startable:
            reason = task.message or "its simulation is not here yet"
            raise ConflictError(f"task {task.row.id} is {task.status}: {reason}; none was started")


def _check_budget(due: Sequence[Task], budget: float | None) -> None:
    total = sum(task.row.estimated or 0.0 for task in due)
    if budget is not None and total > budget:
        raise ConflictError(
            f"{len(due)} tasks may cost {total:g} credits, more than the budget of {budget:g}; none was started",
            "give a larger budget, or fewer or smaller simulations",
        )


def _check_parents(connection: sa.Connection, due: Sequence[Task]) -> set[str]:
    """Return the tasks that must wait for results. Raises ``ConflictError`` for one that would wait in vain."""
    starting = {task.row.id for task in due}
    named = sorted({parent for task in due for parent in task.row.parents})
    parents = {each.row.id: each for each in with_jobs(connection, solvertasks.get_all(connection, named))}
    waiting = set()
    for task in due:
        for parent_id in task.row.parents:
            parent = parents.get(parent_id)
            is_saved = parent is not None and parent.row.state is TaskState.SAVED
            if not (is_saved or parent_id in starting or (parent is not None and parent.lives)):
                status = "not there any more" if parent is None else parent.status
                raise ConflictError(
                    f"task {task.row.id} needs the result of task {parent_id}, which is {status}; none was started",
                    "start that one before, or together with it",
                )
            if not is_saved:
                waiting.add(task.row.id)
    return waiting
