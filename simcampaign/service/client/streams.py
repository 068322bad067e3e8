"""Streams: server-sent events that go on where they were after a break. Nothing is received here."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from simcampaign.errors import NetworkError
from simcampaign.service.client.calls import job_path
from simcampaign.service.client.records import Event

T = TypeVar("T")

QUIET_SECONDS = 45.0
"""The service gives a sign of life every 15 s; a connection without one for so long is given up."""

GIVE_UP_SECONDS = 600.0
"""A service that cannot be reached for so long is given up."""

LONGEST_PAUSE = 5.0
"""Seconds before a connection is tried again, at most."""


class Stream(ABC, Generic[T]):
    """Takes the lines of a stream, and says where to go on when it was cut."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._over = False
        self._kind = ""
        self._data = ""
        self._pause = 0.0
        self._cut_since = 0.0

    def is_over(self) -> bool:
        """Tell whether nothing more comes."""
        return self._over

    def begin(self) -> None:
        """A new connection begins, with a new line."""
        self._kind = self._data = ""
        self._cut_since = self._pause = 0.0

    def take(self, line: str) -> T | None:
        """Take a line, and return what came with it, if it ends something."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data = value
        elif not line and self._data:
            kind, data = self._kind, json.loads(self._data)
            self._kind = self._data = ""
            return self.item(kind, data)
        return None

    def cut(self, url: str, error: Exception) -> None:
        """The connection was cut, or refused. Raises ``NetworkError`` if that goes on for too long."""
        now = time.monotonic()
        self._cut_since = self._cut_since or now
        if now - self._cut_since > GIVE_UP_SECONDS:
            reason = str(error) or type(error).__name__
            message = f"the job manager at {url} cannot be reached: {reason}"
            raise NetworkError(message, "start it: simcampaign serve") from error

    def pause(self) -> float:
        """Return how many seconds to wait before the next connection."""
        self._pause = min(LONGEST_PAUSE, max(0.1, 2 * self._pause))
        return self._pause

    @abstractmethod
    def params(self) -> dict[str, str | int]:
        """Return what says where to go on."""

    @abstractmethod
    def item(self, kind: str, data: Mapping[str, Any]) -> T | None:
        """Return what an event stands for."""


class Events(Stream[Event]):
    """The events of the queue."""

    def __init__(self, since: int, job_id: str | None = None) -> None:
        """Begin behind the sequence number ``since``; with the events of all jobs or of one."""
        super().__init__("/events")
        self._since = since
        self._job_id = job_id

    def params(self) -> dict[str, str | int]:
        """Return the last number that was seen."""
        return {"since": self._since} | ({} if self._job_id is None else {"job": self._job_id})

    def item(self, kind: str, data: Mapping[str, Any]) -> Event:
        """Return an event."""
        self._since = int(data["seq"])
        return Event(seq=self._since, kind=kind, data=data)


class LogLines(Stream[str]):
    """What a job prints, until it is over."""

    def __init__(self, job_id: str, offset: int = 0) -> None:
        """Begin ``offset`` bytes behind the beginning."""
        super().__init__(f"{job_path(job_id)}/log/events")
        self._offset = offset

    def params(self) -> dict[str, str | int]:
        """Return how far the log was told."""
        return {"offset": self._offset}

    def item(self, kind: str, data: Mapping[str, Any]) -> str | None:
        """Return a part of the log."""
        self._offset = int(data["next_offset"])
        self._over = kind == "log_end"
        return str(data["text"]) or None
