"""The dispatcher: it takes jobs into the queue, and hands them to their lanes when it is their turn."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

import sqlalchemy as sa

from simcampaign.errors import ConfigError, Problem, SimcampaignError
from simcampaign.ledger.queuerows import ArrayRow, Change, Event, NewArray, NewJob, QueueRow, QueueState
from simcampaign.queueing import Queue, Waiting, hopeless_from_start
from simcampaign.service.core.book import Book
from simcampaign.service.core.lane import Lane
from simcampaign.service.core.limits import Caps, ResourceLimits, is_short, room
from simcampaign.service.core.telemetry import Telemetry

logger = logging.getLogger("simcampaign")

ROUND_SECONDS = 1.0
"""How often the queue is looked at if nothing happens: the host may have room again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the queue looks like."""

    waiting: Sequence[Waiting]
    """In the order in which they come by priority and age."""

    active: Sequence[QueueRow]
    held_back: str
    """Why nothing starts on this host just now; empty if something may."""


class Dispatcher:
    """One queue over all sites. Safe to use from many threads; every answer is on the disk."""

    def __init__(
        self,
        book: Book,
        telemetry: Telemetry,
        open_lane: Callable[[str, Callable[[Sequence[Change]], None]], Lane],
        here: Mapping[str, float],
        limits: ResourceLimits | None = None,
        caps: Caps | None = None,
    ) -> None:
        """Describe the queue.

        ``open_lane`` makes the lane to a site, from its name and what is to be called with written changes; ``here``
        are the sites on this host with their cores.
        """
        self.book = book
        self.telemetry = telemetry
        self.caps = caps or Caps()
        self.others_here: Callable[[], int] = lambda: 0
        """How many jobs run on this host that are not of the queue."""
        self._limits = limits or ResourceLimits()
        self._open_lane = open_lane
        self._here = dict(here)
        self._lock = threading.RLock()
        self._queue = Queue(self.caps.weights)
        self._active: dict[str, QueueRow] = {}
        self._leaving: set[str] = set()
        self._coming = 0
        """Jobs that are being written down, and do not wait yet."""

        self._lanes: dict[str, Lane] = {}
        self._bell = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    # Life

    def start(self) -> None:
        """Take up what an earlier service left: waiting jobs wait, running ones are attached to."""
        rows = self.book.not_over()
        waiting = [row for row in rows if row.state is QueueState.QUEUED]
        handed: dict[str, list[QueueRow]] = {}
        for row in rows:
            if row.state is not QueueState.QUEUED:
                handed.setdefault(row.site, []).append(row)
                self._active[row.id] = row
        over = self.book.ended_well({each for row in waiting for each in (*row.after, *row.after_ok)})
        for row in waiting:
            self._line_up(row, over)
        for site in {*handed, *self._here}:
            self._lane(site, handed.get(site, ()))
        self._thread.start()

    def stop(self) -> None:
        """Hand nothing more over; jobs that run go on."""
        self._stopping = True
        self._bell.set()
        if self._thread.is_alive():
            self._thread.join()
        for lane in list(self._lanes.values()):
            lane.stop()

    # What clients ask for

    def submit(self, job: NewJob) -> Future[tuple[QueueRow, bool]]:
        """Put a job into the queue; returns its row, and whether it is new.

        Raises ``ConfigError`` if it waits for jobs that are unknown or did not finish well.
        """
        over = self._check_order(job)
        with self._lock:
            self._coming += 1
            written = self.book.submit(job, len(self._queue) + self._coming)

        def enqueue(done: Future[tuple[QueueRow, bool]]) -> None:
            with self._lock:
                self._coming -= 1
                if done.exception() is None and done.result()[1]:
                    self._line_up(done.result()[0], over)
            self._bell.set()

        written.add_done_callback(enqueue)
        return written

    def submit_array(self, array: NewArray, jobs: Sequence[NewJob]) -> Future[tuple[ArrayRow, list[QueueRow]]]:
        """Put an array into the queue, all of it or nothing; returns it, and its jobs if it is new.

        Raises ``ConfigError`` if one of its jobs waits for jobs that are unknown or did not finish well.
        """
        over: dict[str, bool] = {}
        for job in {(each.after, each.after_ok): each for each in jobs}.values():
            over |= self._check_order(job)
        written = self.book.submit_array(array, jobs)

        def enqueue(done: Future[tuple[ArrayRow, list[QueueRow]]]) -> None:
            if done.exception() is None:
                with self._lock:
                    for row in done.result()[1]:
                        self._line_up(row, over)
                self._bell.set()

        written.add_done_callback(enqueue)
        return written

    def submit_with(
        self, write: Callable[[sa.Connection, int], tuple[list[QueueRow], list[Event]]]
    ) -> Future[list[QueueRow]]:
        """Put jobs into the queue in a transaction that writes more beside them.

        ``write`` is told how many jobs are ahead, submits its own, and returns their rows and all events; jobs that
        wait for others are not its matter.
        """
        with self._lock:
            ahead = len(self._queue) + self._coming
        written = self.book.write(lambda connection: write(connection, ahead))

        def enqueue(done: Future[list[QueueRow]]) -> None:
            if done.exception() is None:
                with self._lock:
                    for row in done.result():
                        self._line_up(row, {})
                self._bell.set()

        written.add_done_callback(enqueue)
        return written

    def _check_order(self, job: NewJob) -> dict[str, bool]:
        needed = {*job.after, *job.after_ok}
        if not needed:
            return {}
        with self._lock:
            known = {each for each in needed if self._is_here(each)}
        over = self.book.ended_well(needed)
        asked = Waiting(job.id, 0, 0.0, after=frozenset(job.after), after_ok=frozenset(job.after_ok))
        if vain := hopeless_from_start(asked, over, known):
            reasons = {each: "did not finish well" if each in over else "there is no such job" for each in vain}
            raise ConfigError([Problem("after", each, reason) for each, reason in reasons.items()])
        return over

    def cancel(self, job_id: str) -> Future[QueueRow]:
        """Cancel a job: one that waits at once, one that was handed over as soon as its site has ended it.

        The row is that of before. Raises ``KeyError`` if there is none.
        """
        written = self.book.cancel(job_id)

        def follow(done: Future[QueueRow]) -> None:
            if done.exception() is not None:
                return
            row = done.result()
            if row.state is QueueState.QUEUED:
                self._over([Change(job_id, QueueState.CANCELLED)])
            elif not row.state.over:
                self._lane(row.site).end(row)

        written.add_done_callback(follow)
        return written

    def reorder(self, job_id: str, *, priority: int | None = None, held: bool | None = None) -> Future[QueueRow]:
        """Move, hold or release a job that waits. Raises ``KeyError``, or ``ConflictError`` if it does not wait."""
        written = self.book.reorder(job_id, priority=priority, held=held)

        def follow(done: Future[QueueRow]) -> None:
            if done.exception() is None:
                row = done.result()
                with self._lock:
                    if job_id in self._queue:
                        moved = replace(self._queue[job_id], priority=row.priority, held=row.held)
                        self._queue.move(moved)
                self._bell.set()

        written.add_done_callback(follow)
        return written

    @property
    def limits(self) -> ResourceLimits:
        """What may be used of this host."""
        return self._limits

    def set_limits(self, values: Mapping[str, object]) -> Future[None]:
        """Change limits, all or none. Raises ``ConfigError``."""
        with self._lock:
            old, new = self._limits, self._limits.changed(values)
            self._limits = new
        self._bell.set()
        before, after = old.as_dict(), new.as_dict()
        changed = {name: before[name] for name in values if before[name] != after[name]}
        return self.book.note("limits_updated", {"old_limits": changed, "new_limits": after})

    def standing(self) -> Standing:
        """Return what the queue looks like now."""
        with self._lock:
            held_back = is_short(self._limits, self.telemetry.latest)
            return Standing(list(self._queue), list(self._active.values()), held_back)

    def lane(self, site: str) -> Lane:
        """Return the lane to a site. Raises ``ConfigError`` if there is no such site, ``SiteError`` if it is unfit."""
        return self._lane(site)

    # The queue

    def _line_up(self, row: QueueRow, over: Mapping[str, bool]) -> None:
        waiting = Waiting(
            id=row.id,
            order=row.seq,
            since=row.created,
            user=row.user,
            site=row.site,
            priority=row.priority,
            cores=row.cores,
            memory_mb=row.memory_mb,
            after=frozenset(row.after),
            after_ok=frozenset(row.after_ok),
            held=row.held,
        )
        # A job may have ended between the look at the ledger and now: what is neither here nor known is over.
        still = {each for each in {*row.after, *row.after_ok} if each not in over}
        gone = {each for each in still if not self._is_here(each)}
        ended = {**over, **(self.book.ended_well(gone) if gone else {})}
        self._queue.add(waiting, ended)
        if vain := [each for each in row.after_ok if ended.get(each) is False]:
            self._give_up(row.id, vain[0])

    def _is_here(self, job_id: str) -> bool:
        """Tell whether a job waits or was handed over, or is on its way from the one to the other."""
        return job_id in self._queue or job_id in self._active or job_id in self._leaving

    def _lane(self, site: str, rows: Sequence[QueueRow] = ()) -> Lane:
        with self._lock:
            lane = self._lanes.get(site)
            if lane is None:
                lane = self._lanes[site] = self._open_lane(site, self._over)
                lane.start(rows)
            return lane

    def _over(self, changes: Sequence[Change]) -> None:
        """Let those go on that waited for jobs that ended, and line up again what was handed back."""
        hopeless: dict[str, str] = {}
        back = [change.id for change in changes if change.state is QueueState.QUEUED]
        with self._lock:
            rows = self.book.get_all(back) if back else ()  # this is called with every change, and few are handed back
            waiting = {row.id: row for row in rows if not row.state.over}
            for change in changes:
                if change.id in waiting:
                    self._active.pop(change.id, None)
                    self._line_up(waiting[change.id], {})
                elif change.state.over or change.state is QueueState.QUEUED:
                    self._active.pop(change.id, None)
                    self._queue.remove(change.id)
                    for each in self._queue.ended(change.id, change.state is QueueState.COMPLETED):
                        hopeless[each] = change.id
                elif change.id in self._active:
                    self._active[change.id] = replace(self._active[change.id], state=change.state)
        for job_id, cause in hopeless.items():
            self._give_up(job_id, cause)
        self._bell.set()

    def give_up(self, change: Change) -> None:
        """End a job that waits and can never start."""
        self._write([change])

    def _give_up(self, job_id: str, forerunner: str) -> None:
        """Cancel a job that waited for one that did not finish well."""
        why = f"job {forerunner}, which it waited for, did not finish well"
        self._write([Change(job_id, QueueState.CANCELLED, message=why)])

    def _write(self, changes: Sequence[Change]) -> None:
        self.book.change(changes).add_done_callback(lambda _done: self._over(changes))

    def _run(self) -> None:
        while not self._stopping:
            self._bell.wait(ROUND_SECONDS)
            self._bell.clear()
            try:
                self._round()
            except Exception:
                logger.exception("The dispatcher stumbled; it goes on")

    def _round(self) -> None:
        with self._lock:
            if self._stopping or not len(self._queue):
                return
            active = self._active.values()
            others = self.others_here()
            ahead = {site: lane.ahead for site, lane in self._lanes.items() if lane.ahead and site in self._here}
            space = room(self._limits, self.caps, self.telemetry.latest, active, self._here, others, ahead)
            taken: dict[str, float] = {}
            for row in active:
                taken[row.user] = taken.get(row.user, 0.0) + row.cores
            picked = self._queue.pick(space, taken, self.book.clock())
            for job in picked:
                self._queue.remove(job.id)
            self._leaving = {job.id for job in picked}
        by_site: dict[str, list[QueueRow]] = {}
        for row in self.book.get_all(job.id for job in picked) if picked else ():
            if row.state is not QueueState.QUEUED:
                continue  # cancelled in this instant
            with self._lock:
                self._active[row.id] = row
                self._leaving.discard(row.id)
            by_site.setdefault(row.site, []).append(row)
        for site, rows in by_site.items():
            try:
                self._lane(site).hand_over(rows)
            except SimcampaignError as error:
                why = f"site {site} cannot be used: {error.args[0]}"
                self._write([Change(row.id, QueueState.FAILED, cause="infrastructure", message=why) for row in rows])
