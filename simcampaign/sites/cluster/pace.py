"""How often a scheduler is asked: all users of a cluster share it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

PER_MINUTE = 6
"""Most commands in any minute, unless ``poll_seconds`` asks for more."""

_SOON = 2.0
"""Seconds until the next question when there is reason to hope for news; each one after it takes twice as long."""

_MINUTE = 60.0


class Pace:
    """Says when the scheduler may be asked again: each ``poll_seconds``, sooner while there is reason to hope for news.

    Whatever the reason, no more than six commands run in any minute, but for a person who set a ``poll_seconds`` that
    is shorter than that.
    """

    def __init__(self, poll_seconds: float, eager: bool, clock: Callable[[], float]) -> None:
        """Describe the pace; ``eager`` if nothing but the scheduler tells of ends, so that a new array is looked at."""
        self._poll, self._eager, self._clock = poll_seconds, eager, clock
        self._asked: deque[float] = deque(maxlen=PER_MINUTE)
        self._last = clock() - (poll_seconds if eager else 0)
        self._interval = poll_seconds

    def news(self) -> None:
        """Ask sooner, at once if nothing was asked yet: something was cancelled, or two witnesses disagree."""
        self._interval = min(_SOON, self._poll) if self._asked else 0.0

    def arrived(self) -> None:
        """Take note of an array that was not known before."""
        if self._eager:
            self.news()

    def due_in(self) -> float:
        """Return seconds until the scheduler may be asked; 0 for now."""
        now = self._clock()
        lately = [moment for moment in self._asked if moment > now - _MINUTE]
        # One command fewer than may be is kept for the questions that come in any case.
        interval = self._interval if len(lately) < PER_MINUTE - 1 else self._poll
        earliest = self._last + interval
        if len(lately) == PER_MINUTE and self._poll >= _MINUTE / PER_MINUTE:
            earliest = max(earliest, lately[0] + _MINUTE)
        return max(0.0, earliest - now)

    def asked(self) -> None:
        """Take note of a question."""
        self._last = self._clock()
        self._asked.append(self._last)
        self._interval = min(max(self._interval, _SOON / 2) * 2, self._poll)

    def accounted(self) -> None:
        """Take note of a question to accounting, which is put between those to the scheduler."""
        self._asked.append(self._clock())
