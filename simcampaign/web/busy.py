"""What is to be tried again: a service that cannot answer just now, a connection that was cut."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

TRIES = 12
"""Tries of one request: a service may be away for a minute and more."""

LONGEST_PAUSE = 15.0

T = TypeVar("T")


class BusyError(Exception):
    """The service cannot answer just now, or the connection was cut."""

    def __init__(self, message: str, after: float | None = None) -> None:
        """Say why; ``after`` are the seconds after which the service wants to be asked again."""
        super().__init__(message)
        self.after = after


def _pause(error: Exception) -> bool | float:
    if not isinstance(error, BusyError):
        return False
    return True if error.after is None else min(max(error.after, 0.05), 4 * LONGEST_PAUSE)


async def trying(once: Callable[[], Awaitable[T]]) -> T:
    """Do something again and again while it raises ``BusyError``, with pauses that grow; in the end raise that."""
    retrying = stamina.retry_context(
        on=_pause, attempts=TRIES, timeout=300, wait_initial=0.2, wait_max=LONGEST_PAUSE, wait_jitter=0.5
    )
    async for attempt in retrying:
        with attempt:
            return await once()
    raise AssertionError("there is at least one try")
