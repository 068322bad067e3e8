"""Writing in groups: what many threads want to write at once is committed in one transaction."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from simcampaign.ledger.schema import Database

T = TypeVar("T")
Item = TypeVar("Item")
_Done = tuple[tuple[Any, Any] | None, BaseException | None]
"""What a write returned, or why it failed."""

_MOST = 500
"""Most writes in one transaction, so that nobody waits long for those of others."""


@dataclass
class _Wanted:
    write: Callable[[sa.Connection, Sequence[Any]], Sequence[tuple[Any, Any]]]
    item: Any
    future: Future[Any]


class GroupWriter:
    """One thread that writes for all: each write succeeds or fails alone, and is answered after the commit.

    A commit waits for the disk; a hundred writes that wait together wait for it once.
    """

    def __init__(self, database: Database, committed: Callable[[Sequence[Any]], None]) -> None:
        """Start the thread; ``committed`` is called with the notes of the writes of each transaction, once it is."""
        self._database = database
        self._committed = committed
        self._wanted: queue.SimpleQueue[_Wanted | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger writer", daemon=True)
        self._thread.start()

    def write(self, write: Callable[[sa.Connection], tuple[T, Any]]) -> Future[T]:
        """Have ``write`` called with a connection in a transaction; its result comes once that is committed.

        It returns its result and a note.
        """
        return self.write_alike(lambda connection, _: [write(connection)], None)

    def write_alike(
        self, write: Callable[[sa.Connection, Sequence[Item]], Sequence[tuple[T, Any]]], item: Item
    ) -> Future[T]:
        """Have an item written by ``write``, which is given all that wait for the same ``write`` behind each other.

        It returns a result and a note for each.
        """
        future: Future[T] = Future()
        self._wanted.put(_Wanted(write, item, future))
        return future

    def close(self) -> None:
        """Write what is wanted so far, and end."""
        self._wanted.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._wanted.get()) is not None:
            together, last = [first], False
            while len(together) < _MOST and not last:
                try:
                    following = self._wanted.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    last = True
                else:
                    together.append(following)
            self._commit(together)
            if last:
                return

    def _commit(self, together: list[_Wanted]) -> None:
        try:
            done = self._all(together) or self._each(together)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            for wanted in together:
                wanted.future.set_exception(error)
            return
        self._committed([answer[1] for answer, _ in done if answer is not None])
        for wanted, (answer, problem) in zip(together, done, strict=True):
            if answer is not None:
                wanted.future.set_result(answer[0])
            else:
                wanted.future.set_exception(problem)

    def _all(self, together: list[_Wanted]) -> list[_Done] | None:
        """Write everything at once; None if one of the writes failed, and nothing was written."""
        try:
            with self._database.write() as connection:
                return [
                    (answer, None)
                    for write, alike in itertools.groupby(together, lambda wanted: wanted.write)
                    for answer in write(connection, [wanted.item for wanted in alike])
                ]
        except Exception:  # noqa: BLE001 - each is tried by itself, and told what was wrong
            return None

    def _each(self, together: list[_Wanted]) -> list[_Done]:
        """Write what can be written; savepoints, which cost as much as the writes, part them from each other."""
        with self._database.write() as connection:
            return [_attempt(connection, wanted) for wanted in together]


def _attempt(connection: sa.Connection, wanted: _Wanted) -> _Done:
    """Write, so that a failure takes back this write alone."""
    try:
        with connection.begin_nested():
            (answer,) = wanted.write(connection, [wanted.item])
            return answer, None
    except sa.exc.OperationalError:
        raise  # the disk, or the server: nothing of this transaction is safe
    except Exception as error:  # noqa: BLE001 - whoever waits for it is told
        return None, error
