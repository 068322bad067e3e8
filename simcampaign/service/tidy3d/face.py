"""The face: what clients of Tidy3D's protocol ask for, done by the desk, with their files over the exchange."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from simcampaign.errors import ConflictError
from simcampaign.ledger import tidy3dtasks
from simcampaign.ledger.queuerows import Event
from simcampaign.ledger.solvertasks import TaskState
from simcampaign.ledger.tidy3dtasks import Said
from simcampaign.service.core.book import Book
from simcampaign.service.solver.desk import Desk, refuse_size
from simcampaign.service.solver.task import Task
from simcampaign.service.tidy3d import words
from simcampaign.service.tidy3d.exchange import Exchange

LONGEST_LOG = 2**24


class Face:
    """One for a service. Its methods wait for the disk and the exchange; none is called in the event loop's thread."""

    def __init__(self, desk: Desk, book: Book) -> None:
        """Open the exchange. Raises ``ConfigError`` or ``LocationError``."""
        self.desk = desk
        self._book = book
        self._exchange = Exchange(desk.config.tidy3d)

    def create(self, user: str, name: str, folder: str, kind: str, callback: str) -> Task:
        """Write a task down."""
        row = self.desk.draft(user, name, folder)
        said = Said(row.id, kind, callback)

        def write(connection: sa.Connection) -> tuple[None, list[Event]]:
            tidy3dtasks.add(connection, said)
            return None, []

        self._book.write(write).result()
        return Task(row)

    def said(self, tasks: Sequence[Task]) -> dict[str, Said]:
        """Return what their clients said of tasks, by id."""
        return self._book.read(lambda connection: tidy3dtasks.of_tasks(connection, [each.row.id for each in tasks]))

    def told(self, tasks: Sequence[Task]) -> list[dict[str, Any]]:
        """Return what clients are told of tasks."""
        said = self.said(tasks)
        return [words.detail(each, said.get(each.row.id)) for each in tasks]

    def take_in_soon(self, task: Task) -> Future[None]:
        """Do ``take_in`` in a thread that is there for it."""
        return self.desk.soon(lambda: self.take_in(task))

    def take_in(self, task: Task) -> None:
        """Take the simulation of a draft in from where its client put it, and quote it; others are left alone.

        Raises ``ConflictError`` if there is none.
        """
        row = task.row
        if row.state is not TaskState.DRAFT:
            return
        name = words.upload_name(words.kind(task, self.said([task]).get(row.id)))
        size = self._exchange.size(row.id, name)
        if size is None:
            raise ConflictError(f"task {row.id} has no {name} yet", "upload it first")
        refuse_size(size, self.desk.config.max_file_bytes)
        part = self.desk.files.folder / "uploads" / f"{row.id}-{secrets.token_hex(4)}.taken"
        self._exchange.fetch(row.id, name, part)
        self.desk.take_in(row, part)

    def start(self, task: Task, priority: int) -> None:
        """Start a task once, however often it is asked for. Raises ``ConflictError``."""
        self.desk.begin({task.row.id: 1}, None, priority)

    def progress(self, task: Task) -> tuple[float | None, float]:
        """Return how far a task is in percent, None before it runs, and which part of the field's energy is left."""
        found = self.desk.progress(task)
        return found.percent, 0.0 if found.field_decay is None else found.field_decay

    def place(self, task: Task, name: str) -> dict[str, Any] | None:
        """Return where a file of a task is, with keys for it, after putting it there; None if there is no such file."""
        row = task.row
        own = words.upload_name(words.kind(task, self.said([task]).get(row.id)))
        write = row.state is TaskState.DRAFT
        if not (name == own if write else self._put(task, name, own)):
            return None
        keys = self._exchange.keys(row.id, name, write=write)
        return {
            "cloudpath": self._exchange.url(row.id, name),
            "userCredentials": {
                "accessKeyId": keys.access,
                "secretAccessKey": keys.secret,
                "sessionToken": keys.token,
                "expiration": keys.expiration.isoformat(),
            },
        }

    def _put(self, task: Task, name: str, own: str) -> bool:
        """Put a file of a task where its client fetches it; False if there is none."""
        row = task.row
        # A client asks for a simulation by the common name, too, whatever it was called when it came.
        if name in {own, "simulation.hdf5.gz"}:
            self._hand_out(row.id, name, self.desk.files.content(row.user, row.sha256))
        elif name in words.RESULTS and row.state is TaskState.SAVED:
            self._hand_out(row.id, name, self.desk.files.result(row.id))
        elif name == words.LOG and task.job is not None:
            self._exchange.write(row.id, name, self.desk.log(task, 0, LONGEST_LOG))
        elif name == words.ERROR and words.status(task).endswith("error"):
            self._exchange.write(row.id, name, json.dumps({"msg": self._fault(task)}).encode())
        elif name == words.FAULT and row.state is TaskState.INVALID:
            self._exchange.write(row.id, name, json.dumps({"validation_error": words.fault(task)}).encode())
        else:
            return False
        return True

    def _hand_out(self, task_id: str, name: str, path: Path) -> None:
        self.desk.files.bring(path)
        self._exchange.hand_out(task_id, name, path)

    def _fault(self, task: Task) -> str:
        """Return why a task failed, with the last that its solver said."""
        last = self.desk.log(task, 0, LONGEST_LOG).strip().rpartition(b"\n")[2].decode(errors="replace")
        return f"{words.fault(task)}: {last}" if last else words.fault(task)

    def delete(self, tasks: Sequence[Task]) -> None:
        """Forget tasks with their files. Raises ``ConflictError`` for one that runs or waits."""
        self.desk.delete(tasks)
        ids = [each.row.id for each in tasks]

        def write(connection: sa.Connection) -> tuple[None, list[Event]]:
            tidy3dtasks.delete(connection, ids)
            return None, []

        for each in ids:
            self._exchange.remove(each)
        self._book.write(write).result()
