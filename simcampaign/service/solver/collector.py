"""The collector: results of jobs that are over go into the location, and who waited for them goes on."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence

from simcampaign.errors import ConflictError, NetworkError, SimcampaignError
from simcampaign.ledger import solvertasks
from simcampaign.ledger.queuerows import Change, Event, QueueRow, QueueState
from simcampaign.ledger.solvertasks import TaskRow, TaskState
from simcampaign.service.core.book import Book
from simcampaign.service.core.dispatcher import Dispatcher
from simcampaign.service.solver.files import Files
from simcampaign.service.solver.starter import RESULT
from simcampaign.service.solver.task import Task, changed, with_jobs

logger = logging.getLogger("simcampaign")

AGAIN_SECONDS = 5.0
"""A site that could not be reached is asked again for a result after this time."""

_ENDS = frozenset({"job_completed", "job_cancelled"})


class Collector:
    """Works in a thread of its own. A job whose simulation refers to results is held until they are here."""

    def __init__(self, files: Files, book: Book, dispatcher: Dispatcher) -> None:
        """Put results into ``files``."""
        self._files = files
        self._book = book
        self._dispatcher = dispatcher
        self._children: defaultdict[str, set[str]] = defaultdict(set)
        self._lock = threading.Lock()
        self._ended: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._later: list[str] = []
        self._thread = threading.Thread(target=self._run, name="solver results", daemon=True)
        book.listeners.append(self._hear)

    def start(self) -> None:
        """Take up what an earlier service left."""
        rows = self._book.read(lambda connection: solvertasks.in_state(connection, TaskState.STARTED))
        self.watch(rows)
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is not collected yet is collected by the next service."""
        self._ended.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def watch(self, rows: Sequence[TaskRow]) -> None:
        """Look after tasks that were started; they, or those that they wait for, may be over by now."""
        for row in rows:
            self._wait_for(row.parents, row.id)
            self._ended.put(row.job)

    def _wait_for(self, parents: Iterable[str], child: str) -> None:
        with self._lock:
            for parent in parents:
                self._children[parent].add(child)

    def _hear(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.kind in _ENDS and event.job_id.startswith("task-"):
                self._ended.put(event.job_id)

    def _run(self) -> None:
        while (job_id := self._next()) is not None:
            try:
                self._collect(job_id)
            except Exception:
                logger.exception("The result of job %s was not collected", job_id)

    def _next(self) -> str | None:
        while True:
            try:
                return self._ended.get(timeout=AGAIN_SECONDS if self._later else None)
            except queue.Empty:
                later, self._later = self._later, []
                for each in later:
                    self._ended.put(each)

    def _get(self, ids: Sequence[str]) -> list[Task]:
        return self._book.read(lambda connection: with_jobs(connection, solvertasks.get_all(connection, ids)))

    def _collect(self, job_id: str) -> None:
        row = self._book.read(lambda connection: solvertasks.of_job(connection, job_id))
        if row is None or row.state is not TaskState.STARTED:
            return
        (task,) = self._get([row.id])
        if task.job is None:
            return
        if task.job.state is QueueState.COMPLETED:
            try:
                self._save(task.row, task.job)
            except NetworkError as error:
                logger.warning("The result of task %s cannot be fetched yet. %s", row.id, error)
                self._later.append(job_id)
                return
        if task.job.state.over:
            with self._lock:
                children = sorted(self._children.pop(row.id, ()))
            for child in self._get(children):
                self._look_after(child)
        elif row.parents:
            self._look_after(task)

    def _look_after(self, child: Task) -> None:
        """Let a task go on whose parents are all done, or fail if one of them failed."""
        if child.job is None or child.job.state is not QueueState.QUEUED or not child.job.held:
            return
        parents = {each.row.id: each for each in self._get(child.row.parents)}
        for parent_id in child.row.parents:
            parent = parents.get(parent_id)
            if parent is None or not (parent.lives or parent.row.state is TaskState.SAVED):
                self._give_up(child.job.id, parent_id, parent)
                return
        if all(each.row.state is TaskState.SAVED for each in parents.values()):
            self._release(child.job.id)
        else:
            self._wait_for(parents, child.row.id)

    def _give_up(self, job_id: str, parent_id: str, parent: Task | None) -> None:
        fate = "is not there any more" if parent is None else f"is {parent.status}"
        reason = f": {parent.message}" if parent is not None and parent.message else ""
        why = f"task {parent_id}, whose result it needs, {fate}{reason}"
        self._dispatcher.give_up(Change(job_id, QueueState.FAILED, cause="staging", message=why))

    def _release(self, job_id: str) -> None:
        try:
            self._dispatcher.reorder(job_id, held=False).result()
        except ConflictError:
            logger.info("Job %s does not wait any more", job_id)

    def _save(self, row: TaskRow, job: QueueRow) -> None:
        part = self._files.folder / "results" / f"{job.id}.fetched"
        costs = part.with_suffix(".json")
        try:
            self._dispatcher.lane(job.site).fetch(job, {f"{RESULT}.json": costs, RESULT: part})
            real = float(json.loads(costs.read_text(encoding="utf-8"))["credits"])
            sha256, size = self._files.keep(row.id, part)
            values: dict[str, object] = {
                "state": TaskState.SAVED,
                "real": real,
                "result_sha256": sha256,
                "result_size": size,
            }
        except NetworkError:
            raise
        except (SimcampaignError, OSError, ValueError, KeyError) as error:
            values = {"state": TaskState.UNSAVED, "message": f"its result cannot be had: {error}"}
        now = self._book.clock()
        self._book.write(lambda connection: (None, [changed(connection, now, row.id, **values)])).result()
        costs.unlink(missing_ok=True)
