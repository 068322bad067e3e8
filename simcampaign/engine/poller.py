"""Looking after requests: one look at the site for all that this process waits for, ever more rarely."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from simcampaign.engine.pace import REST, SHORTEST_INTERVAL, SLICE
from simcampaign.engine.reconcile import look
from simcampaign.engine.sending import settle
from simcampaign.engine.workplace import Workplace
from simcampaign.errors import NetworkError, SiteError
from simcampaign.ledger import ArrayState, PartRow, RequestRow

logger = logging.getLogger("simcampaign")

GROWTH = 1.6
"""Factor by which the interval grows from look to look."""

LONGEST_INTERVAL = 15.0
"""Seconds between two looks at the most, unless the person says otherwise."""


def look_at(place: Workplace, request_ids: Collection[int]) -> None:
    """Bring the ledger up to date about requests, in one look at the site.

    Intents that nobody is at work on are settled first. Raises ``SiteError`` or ``NetworkError`` if the site cannot be
    asked; states stay then.
    """
    parts = place.requests.parts(request_ids)
    if any(part.array.state is ArrayState.INTENT for part in parts):
        for request_id in sorted({part.request_id for part in parts if part.array.state is ArrayState.INTENT}):
            row = place.requests.get(request_id)
            if row is not None:
                settle(place, row)
        parts = place.requests.parts(request_ids)
    if look(place, [part.array for part in parts]):
        parts = place.requests.parts(request_ids)
    for part in parts:
        if part.array.state is ArrayState.OVER and not part.array.collected:
            place.ledger.complete(part.array.id, place.site.details(str(part.array.remote_id)))
            place.ledger.collected(part.array.id)


@dataclass(eq=False)
class Waiter:
    """Somebody who waits for the end of a job, or of all jobs of an array."""

    request: RequestRow
    index: int | None
    """The job's index; None for all."""

    interval: float | None
    """Seconds between looks; None for an interval that grows."""

    ended: Future[None]


class Poller:
    """One thread that looks after a site as long as somebody waits."""

    def __init__(self, place: Workplace) -> None:
        """Look after requests at ``place``; no thread is started before somebody waits."""
        self._place = place
        self._lock = threading.Lock()
        self._waiters: list[Waiter] = []
        self._thread: threading.Thread | None = None
        self._interval = SHORTEST_INTERVAL
        self._new = threading.Event()
        self._glances: dict[int, tuple[float, float]] = {}

    def wait(self, request: RequestRow, index: int | None = None, interval: float | None = None) -> Waiter:
        """Start to wait; the future of what is returned is done when the job, or all jobs, have ended."""
        waiter = Waiter(request, index, interval, Future())
        with self._lock:
            self._waiters.append(waiter)
            self._interval = SHORTEST_INTERVAL
            self._new.set()
            if self._thread is None:
                name = f"simcampaign-{self._place.site.name}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()
        return waiter

    def glance(self, request: RequestRow) -> None:
        """Look at a request, but not more often than if somebody waited for it; a look that fails is left out."""
        now = time.monotonic()
        with self._lock:
            due, interval = self._glances.get(request.id, (now, SHORTEST_INTERVAL))
            if now < due:
                return
            self._glances[request.id] = (now + interval, min(interval * GROWTH, LONGEST_INTERVAL))
        try:
            look_at(self._place, [request.id])
        except (SiteError, NetworkError) as error:
            logger.warning("A look at site %s failed; states stay. %s", self._place.site.name, error)

    def forget(self, waiter: Waiter) -> None:
        """Wait no longer."""
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _run(self) -> None:
        failing = False
        while waiters := self._next_round():
            try:
                look_at(self._place, {waiter.request.id for waiter in waiters})
                failing = False
            except (SiteError, NetworkError) as error:
                if not failing:
                    logger.warning("A look at site %s failed; states stay. %s", self._place.site.name, error)
                failing = True
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
                self._fail(waiters, error)
                continue
            try:
                self._tell(waiters)
                self._pause(failing)
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(waiters, error)

    def _next_round(self) -> list[Waiter]:
        """Return who waits; if nobody does, the thread ends."""
        with self._lock:
            self._new.clear()
            if not self._waiters:
                self._thread = None
            return list(self._waiters)

    def _tell(self, waiters: Sequence[Waiter]) -> None:
        """Tell those whose jobs have ended."""
        states = self._place.requests.states({waiter.request.id for waiter in waiters})
        active = {key for key, state in states.items() if state.active}
        requests = {request_id for request_id, _ in active}
        for waiter in waiters:
            request = waiter.request.id
            busy = request in requests if waiter.index is None else (request, waiter.index) in active
            if not busy:
                self.forget(waiter)
                _resolve(waiter, None)

    def _fail(self, waiters: Sequence[Waiter], error: Exception) -> None:
        for waiter in waiters:
            self.forget(waiter)
            _resolve(waiter, error)

    def _pause(self, failing: bool) -> None:
        """Wait for news, for the interval to pass, or for another waiter."""
        with self._lock:
            left = list(self._waiters)
            own = [waiter.interval for waiter in left if waiter.interval is not None]
            seconds = min([*own, *([self._interval] if len(own) < len(left) else [])], default=0.0)
            self._interval = min(self._interval * GROWTH, LONGEST_INTERVAL)
        # A site whose look failed has news that it cannot tell: waiting for news would not wait at all.
        parts = [] if failing else self._place.requests.parts({waiter.request.id for waiter in left})
        remote_ids = [_remote_id(part) for part in parts if part.array.state is ArrayState.SUBMITTED]
        end = time.monotonic() + seconds
        while (remaining := end - time.monotonic()) > 0 and self._waiters and not self._new.is_set():
            slice_seconds = min(remaining, SLICE)
            before = time.monotonic()
            try:
                if remote_ids:
                    self._place.site.wait(remote_ids, slice_seconds)
                else:
                    self._new.wait(slice_seconds)
            except (SiteError, NetworkError):  # the next look says so
                remote_ids = []
                continue
            if time.monotonic() - before < slice_seconds * 0.9:
                self._new.wait(min(remaining, REST))
                return


def _remote_id(part: PartRow) -> str:
    return str(part.array.remote_id)


def _resolve(waiter: Waiter, error: Exception | None) -> None:
    if waiter.ended.set_running_or_notify_cancel():
        if error is None:
            waiter.ended.set_result(None)
        else:
            waiter.ended.set_exception(error)
