"""Callbacks: URLs that are told that a task is over. The owner of the service says on which hosts they may be."""

from __future__ import annotations

import contextlib
import heapq
import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa

from simcampaign.errors import ConfigError, Problem
from simcampaign.ledger import solvercallbacks
from simcampaign.ledger.queuerows import Event
from simcampaign.ledger.solvercallbacks import Callback
from simcampaign.service.core.book import Book
from simcampaign.service.solver.task import Task, task_of

logger = logging.getLogger("simcampaign")

TRIES = 9
FIRST_PAUSE = 1.0
"""Seconds before the second try; each pause is three times the one before."""

SECONDS = 10.0
"""How long a host may take to answer."""

AT_ONCE = 8
_ENDS = frozenset({"completed", "failed", "cancelled", "lost", "invalid"})
_PORTS = {"http": 80, "https": 443}


def refuse_host(url: str, hosts: Collection[str]) -> None:
    """Raise ``ConfigError`` for a URL that is none, or on a host that the owner has not named."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        host, port = "", None
    if not host or port is None:
        raise ConfigError([Problem("callback", url, "must be http://HOST… or https://HOST…")])
    if "*" not in hosts and not {host, f"{host}:{port}"} & {each.lower() for each in hosts}:
        reason = f"this service tells nothing to {host}:{port}"
        raise ConfigError([Problem("callback", url, reason)], "ask its owner to name the host in callback_hosts")


class Callbacks:
    """Posts a few words to each URL once its task is over: at least once, again and again for some time if it must."""

    def __init__(self, book: Book, look: Callable[[Sequence[str]], list[Task]], hosts: Collection[str]) -> None:
        """Hear of tasks from ``book``; ``look`` returns them."""
        self._book, self._look, self._hosts = book, look, hosts
        self._wanted: dict[str, Callback] = {}
        self._telling: set[str] = set()
        self._heard: queue.SimpleQueue[tuple[float, str, int] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="solver callbacks", daemon=True)
        self._posters = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="solver callback")
        self._http = httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False)
        self._lock = threading.Lock()
        book.listeners.append(self._hear)

    def start(self) -> None:
        """Take up what an earlier service left."""
        self._remember(self._book.read(solvercallbacks.get_all))
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is not told yet is told by the next service."""
        self._heard.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self._posters.shutdown(cancel_futures=True)  # a post under way is waited for
        self._http.close()

    def check(self, urls: Iterable[str]) -> None:
        """Raise ``ConfigError`` for a URL that this service does not post to."""
        for url in urls:
            refuse_host(url, self._hosts)

    def add(self, urls: Mapping[str, str]) -> None:
        """Tell URLs of their tasks, by the ids of these."""
        if urls:
            found = self._book.write(lambda connection: (solvercallbacks.add(connection, urls), [])).result()
            self._remember(found)

    def _remember(self, found: Sequence[Callback]) -> None:
        with self._lock:
            self._wanted |= {each.task: each for each in found}
        for each in found:
            self._heard.put((0.0, each.task, 0))

    def _hear(self, events: Sequence[Event]) -> None:
        for event in events:
            if task_of(event.job_id) in self._wanted:
                self._heard.put((0.0, task_of(event.job_id), 0))

    def _run(self) -> None:
        waiting: list[tuple[float, str, int]] = []
        while True:
            pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            with contextlib.suppress(queue.Empty):
                if (heard := self._heard.get(timeout=pause)) is None:
                    return
                heapq.heappush(waiting, heard)
            while waiting and waiting[0][0] <= time.monotonic():
                _, task_id, tries = heapq.heappop(waiting)
                self._posters.submit(self._tell, task_id, tries)

    def _tell(self, task_id: str, tries: int) -> None:
        with self._lock:
            wanted = self._wanted.get(task_id)
            if task_id in self._telling:  # of several events one after the other
                self._heard.put((time.monotonic() + FIRST_PAUSE, task_id, tries))
                return
            self._telling.add(task_id)
        try:
            tasks = self._look([task_id])
            if wanted is None:
                return
            if not tasks:
                self._forget(task_id)
                return
            (task,) = tasks
            if task.status not in _ENDS or task.row.attempt <= wanted.told:
                return
            error = self._post(wanted.url, task)
            if error and tries + 1 < TRIES:
                due = time.monotonic() + FIRST_PAUSE * 3**tries
                self._heard.put((due, task_id, tries + 1))
                return
            if error:
                logger.warning("Nobody could be told that task %s is over: %s", task_id, error)
            self._mark(wanted, task.row.attempt)
        except Exception:
            logger.exception("The callback of task %s failed", task_id)
        finally:
            with self._lock:
                self._telling.discard(task_id)

    def _post(self, url: str, task: Task) -> str:
        """Tell a URL of a task; returns why it did not work, or an empty text."""
        row = task.row
        told = {"id": row.id, "name": row.name, "folder": row.folder, "status": task.status, "attempt": row.attempt}
        told |= {"estimated": row.estimated, "real": row.real, "message": task.message}
        try:
            answer = self._http.post(url, json=told)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return str(error) or type(error).__name__
        return "" if answer.is_success else f"HTTP {answer.status_code}"

    def _mark(self, wanted: Callback, attempt: int) -> None:
        def write(connection: sa.Connection) -> tuple[None, list[Event]]:
            solvercallbacks.mark(connection, wanted.task, attempt)
            return None, []

        self._book.write(write).result()
        with self._lock:
            self._wanted[wanted.task] = Callback(wanted.task, wanted.url, attempt)

    def _forget(self, task_id: str) -> None:
        def write(connection: sa.Connection) -> tuple[None, list[Event]]:
            solvercallbacks.delete(connection, task_id)
            return None, []

        self._book.write(write).result()
        with self._lock:
            self._wanted.pop(task_id, None)
