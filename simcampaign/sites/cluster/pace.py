"""How often a scheduler is asked: all users of a cluster share it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

PER_MINUTE = 6
"""Most commands a minute, unless ``poll_seconds`` asks for more."""

_SOON = 2.0
"""Seconds between two questions while something is to be cleared up."""


class Pace:
    """Says when the scheduler may be asked again: each ``poll_seconds``, sooner while there is reason to hope for news.

    ``news()`` makes the next intervals short again; they double with each question that was asked since. Whatever the
    reason, no more than six commands run a minute, but for a person who set a shorter ``poll_seconds``.
    """

    def __init__(self, poll_seconds: float, eager: bool, clock: Callable[[], float]) -> None:
        """Describe the pace; ``eager`` if nothing but the scheduler tells of ends, so that a new array is looked at."""
        self._poll, self._eager, self._clock = poll_seconds, eager, clock
        self._asked: deque[float] = deque(maxlen=PER_MINUTE)
        self._last = clock() - (poll_seconds if eager else 0)
        self._interval = poll_seconds

    def news(self) -> None:
        """Ask sooner: something was just submitted (if nothing else tells of it) or cancelled."""
        self._interval = min(_SOON, self._poll)

    def arrived(self) -> None:
        """Take note of an array that was not known before."""
        if self._eager:
            self.news()

    def due_in(self, urgent: bool = False) -> float:
        """Return seconds until the scheduler may be asked; 0 for now."""
        interval = min(self._interval, _SOON) if urgent else self._interval
        earliest = self._last + min(interval, self._poll)
        if interval < self._poll and len(self._asked) == PER_MINUTE:
            earliest = max(earliest, min(self._asked[0] + 60.0, self._last + self._poll))
        return max(0.0, earliest - self._clock())

    def asked(self) -> None:
        """Take note of a question."""
        self._last = self._clock()
        self._asked.append(self._last)
        self._interval = min(self._interval * 2, self._poll)
