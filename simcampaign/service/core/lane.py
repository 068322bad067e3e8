"""Lanes: the way of queued jobs to one site, and the news back from it. Each lane works in a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from simcampaign.errors import SimcampaignError
from simcampaign.jobs import JobReport, JobState
from simcampaign.ledger import JobRow
from simcampaign.ledger.queuerows import Change, QueueRow, QueueState
from simcampaign.service.core.book import Book

logger = logging.getLogger("simcampaign")

STATES = {
    JobState.QUEUED: QueueState.SCHEDULED,
    JobState.RUNNING: QueueState.RUNNING,
    JobState.FINISHED: QueueState.COMPLETED,
    JobState.FAILED: QueueState.FAILED,
    JobState.CANCELLED: QueueState.CANCELLED,
    JobState.LOST: QueueState.LOST,
}
"""What a job that was handed over is in the queue's words."""

TROUBLE_SECONDS = 2.0
"""Shortest pause after a site could not be asked; it doubles up to a minute."""


def change_of(job_id: str, seen: JobReport | JobRow) -> Change:
    """Return what a site, or the ledger, says of a job in the queue's words."""
    return Change(
        job_id,
        STATES[seen.state],
        started=seen.started,
        ended=seen.ended,
        return_code=seen.exit_code,
        cause=None if seen.cause is None else str(seen.cause),
        message=seen.message,
        cpu_seconds=seen.cpu_seconds,
        peak_memory_bytes=seen.peak_memory_bytes,
    )


class Lane(ABC):
    """Hands jobs to one site, watches them there, and says when their ends are written down."""

    log_seconds = 5.0
    """How often a log is looked at while somebody follows it."""

    def __init__(self, site_name: str, book: Book, ended: Callable[[Sequence[Change]], None]) -> None:
        """Lead to the site of this name; ``ended`` is called with changes that are written down."""
        self.site_name = site_name
        self.book = book
        self._ended = ended
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._bell = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"lane to {site_name}", daemon=True)
        self.ahead = 0
        """How many more jobs than the site runs at a time it may be handed, so that it need not wait for the next."""

        self.trouble = ""
        """Why the site cannot be asked just now; empty if it can."""

    def start(self, rows: Sequence[QueueRow]) -> None:
        """Go to work; ``rows`` were handed over before this service started."""
        self._inbox.put(lambda: self.recover(rows))
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; jobs go on."""
        self._stopping = True
        self._bell.set()
        if self._thread.is_alive():
            self._thread.join()

    def hand_over(self, rows: Sequence[QueueRow]) -> None:
        """Hand jobs to the site soon."""
        self._do(lambda: self.send(rows))

    def end(self, row: QueueRow) -> None:
        """End a job that was handed over, soon."""
        self._do(lambda: self.cancel(row))

    def _do(self, action: Callable[[], None]) -> None:
        self._inbox.put(action)
        self._bell.set()

    def report(self, changes: Sequence[Change]) -> None:
        """Say that changes are on the disk."""
        if changes:
            self._ended(changes)

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping:
            self._bell.clear()
            try:
                self._work_off()
                nap = self.look()
                pause, self.trouble = 0.0, ""
            except SimcampaignError as error:
                if not self.trouble:
                    logger.warning("Site %s cannot be asked; jobs stay as they were. %s", self.site_name, error)
                self.trouble = str(error.args[0])
                pause = nap = min(60.0, max(TROUBLE_SECONDS, pause * 2))
            except Exception:
                logger.exception("The lane to site %s stumbled; it goes on", self.site_name)
                self.trouble = "an error of this service, see its log"
                pause = nap = min(60.0, max(TROUBLE_SECONDS, pause * 2))
            self._bell.wait(nap)

    def _work_off(self) -> None:
        """Do what is wanted; what cannot be done now is done again later, in order."""
        while True:
            try:
                action = self._inbox.get_nowait()
            except queue.Empty:
                return
            try:
                action()
            except Exception:
                waiting = [action]
                while not self._inbox.empty():
                    waiting.append(self._inbox.get_nowait())
                for each in waiting:
                    self._inbox.put(each)
                raise

    # What differs from site to site

    @abstractmethod
    def recover(self, rows: Sequence[QueueRow]) -> None:
        """Bring in order what was handed over before: nothing twice, nothing forgotten. May be called again."""

    @abstractmethod
    def send(self, rows: Sequence[QueueRow]) -> None:
        """Hand jobs over, after writing down where; one that the site refuses has failed. May be called again."""

    @abstractmethod
    def look(self) -> float:
        """Look at the jobs, write down and report what changed; returns seconds until the next look."""

    @abstractmethod
    def cancel(self, row: QueueRow) -> None:
        """Ask the site to end a job; its end is seen by a look."""

    @abstractmethod
    def log(self, row: QueueRow, offset: int = 0, most: int = -1) -> bytes:
        """Return what a job printed so far, from an offset in bytes on, at most so many. Called from any thread."""

    def log_size(self, row: QueueRow) -> int:
        """Return how many bytes a job printed so far. Called from any thread."""
        return len(self.log(row))

    def tail(self, row: QueueRow, most: int) -> bytes:
        """Return the last bytes that a job printed so far, at most so many. Called from any thread."""
        return self.log(row)[-most:]

    @abstractmethod
    def files(self, row: QueueRow) -> Mapping[str, int]:
        """Return the files in a job's folder with their sizes. Called from any thread."""

    @abstractmethod
    def fetch(self, row: QueueRow, copies: Mapping[str, Path]) -> None:
        """Copy files out of a job's folder, by their names there. Called from any thread.

        Raises ``LocationError`` if one is not there.
        """

    @abstractmethod
    def remove(self, row: QueueRow) -> None:
        """Remove what a job that is over has left. Called from any thread."""
