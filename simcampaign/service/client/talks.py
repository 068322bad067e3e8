"""Talks: what takes several requests. Each yields what to ask, wait for or hand on, and is sent the answers.

So the client that waits and the one that is awaited have them from one place.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from simcampaign.service.client import calls
from simcampaign.service.client.calls import Call, Page
from simcampaign.service.client.records import Job

T = TypeVar("T")

LONGEST_PAUSE = 1.0
"""Seconds between two looks at a job that is waited for."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """Hand something on to whoever iterates."""

    value: T


Talk = Generator[Call[Any] | Pause | Item[T], Any, None]


def pages(page: Callable[[str | None], Call[Page[T]]]) -> Talk[T]:
    """Hand on a list, page by page."""
    cursor: str | None = None
    while True:
        found: Page[T] = yield page(cursor)
        for each in found.items:
            yield Item(each)
        cursor = found.cursor
        if cursor is None:
            return


def whole_log(job_id: str, offset: int) -> Talk[str]:
    """Hand on all parts of what a job printed so far."""
    while True:
        text, following = yield calls.log(job_id, offset)
        if following == offset:
            return
        offset = following
        yield Item(text)


def until_over(job_ids: Iterable[str], timeout: float | None, clock: Callable[[], float]) -> Talk[Job]:
    """Hand on jobs as they are once they are over, in the order given. Raises ``TimeoutError`` after ``timeout``."""
    deadline = None if timeout is None else clock() + timeout
    for job_id in job_ids:
        pause = 0.05
        while True:
            job: Job = yield calls.get(job_id)
            if job.over:
                break
            left = pause if deadline is None else deadline - clock()
            if left <= 0:
                raise TimeoutError(f"job {job_id} did not end within {timeout:g} s; it is {job.status}, and goes on")
            yield Pause(min(pause, left))
            pause = min(LONGEST_PAUSE, 1.5 * pause)
        yield Item(job)
