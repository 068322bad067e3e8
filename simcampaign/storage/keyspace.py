"""Listing a bucket by several readers at once, whatever its folders look like.

S3 lists keys in order, a thousand a request, from any key on. A listing therefore begins as one range of keys, and
whenever a reader is idle, a busy one hands it the upper half of what it has not read yet. Cutting by key instead of by
folder keeps readers busy even when all outputs lie in one folder, and no request has to hold a level of a million keys.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from contextlib import suppress

import obstore
from obstore.store import S3Store

PAGE = 1000
"""Keys in one answer: S3's limit."""

_FIRST, _LAST = 0x20, 0x7F
"""Cuts are made at printable ASCII characters; keys with others are found all the same."""


def list_in_parallel(store: S3Store, folder: str, listers: int) -> Generator[list[str]]:
    """Yield all keys of ``store`` that begin with ``folder`` ("" or ending in ``/``), in lists and in no order.

    At most ``listers`` requests are under way, and a few thousand keys in memory. Raises what obstore raises.
    """
    walk = _Walk(store, folder, listers)
    threads = [threading.Thread(target=walk.work, name=f"list-{folder}", daemon=True) for _ in range(listers)]
    for thread in threads:
        thread.start()
    try:
        while (found := walk.found.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        walk.stop()
        for thread in threads:
            thread.join()


class _Walk:
    def __init__(self, store: S3Store, folder: str, listers: int) -> None:
        self._store = store
        self._folder = folder
        self._ranges: list[tuple[str | None, str | None]] = [(None, None)]
        self._open = 1
        self._idle = 0
        self._stopped = False
        self._change = threading.Condition()
        self.found: queue.Queue[list[str] | BaseException | None] = queue.Queue(maxsize=2 * listers)

    def stop(self) -> None:
        """Let all readers end after their present request."""
        with self._change:
            self._stopped = True
            self._change.notify_all()

    def work(self) -> None:
        """Read ranges until none is left; whoever finishes the last one says so."""
        while (span := self._next()) is not None:
            try:
                self._read(*span)
            except BaseException as error:  # noqa: BLE001 - carried to the thread that asked
                self._tell(error)
            with self._change:
                self._open -= 1
                finished = self._open == 0
                if finished:
                    self._change.notify_all()
            if finished:
                self._tell(None)

    def _next(self) -> tuple[str | None, str | None] | None:
        with self._change:
            self._idle += 1
            self._change.wait_for(lambda: self._ranges or self._open == 0 or self._stopped)
            self._idle -= 1
            return self._ranges.pop() if self._ranges and not self._stopped else None

    def _read(self, after: str | None, last: str | None) -> None:
        """Tell the keys after ``after`` up to and including ``last``; None is the beginning or end of the folder."""
        for page in obstore.list(self._store, self._folder or None, offset=after, chunk_size=PAGE):
            keys = [item["path"] for item in page]
            beyond = last is not None and keys[-1] > last
            self._tell([key for key in keys if key <= last] if beyond and last is not None else keys)
            if beyond or self._stopped:
                return
            last = self._share(keys[-1], last)

    def _share(self, reached: str, last: str | None) -> str | None:
        """Hand the upper half of what is left to an idle reader, if there is one; return the end of what remains."""
        with self._change:
            if self._idle <= len(self._ranges):
                return last
            cut = between(reached, last or f"{self._folder}{chr(_LAST)}")
            if cut is None:
                return last
            self._ranges.append((cut, last))
            self._open += 1
            self._change.notify()
            return cut

    def _tell(self, found: list[str] | BaseException | None) -> None:
        while not self._stopped:
            with suppress(queue.Full):
                self.found.put(found, timeout=0.1)
                return


def between(low: str, high: str) -> str | None:
    """Return a key about half way between ``low`` and ``high``, neither of them; None if none is easily found."""
    same = next((at for at, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), len(low))
    for position in range(same, len(low) + 1):
        bottom = ord(low[position]) if position < len(low) else _FIRST
        top = ord(high[position]) if position == same and position < len(high) else _LAST
        middle = (bottom + top) // 2
        if chr(middle) in "./":  # a key cannot end in a slash or in a part that is only a dot
            middle = ord("0")
        if bottom < middle < top:
            return low[:position] + chr(middle)
    return None
