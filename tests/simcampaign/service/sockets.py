"""A Socket.IO client of the job manager, as a person's program is one."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator
from typing import Any

import engineio
import socketio

from tests.simcampaign.service.server import Server

KINDS = (
    "job_queued",
    "job_scheduled",
    "job_started",
    "job_changed",
    "job_completed",
    "job_cancelled",
    "limits_updated",
    "job_log",
    "job_progress",
)
LAST = {"job_completed", "job_cancelled"}


class InOrder(engineio.Client):
    """Hands messages on in the order in which they come; the library has a thread for each, and they overtake."""

    def _trigger_event(self, event: str, *args: Any, **more: Any) -> Any:
        return super()._trigger_event(event, *args, **{**more, "run_async": False})


class Client(socketio.Client):
    """A client that hears everything in order."""

    def _engineio_client_class(self) -> type[engineio.Client]:
        return InOrder


class Ear:
    """Keeps what it is told, in order."""

    def __init__(self, server: Server, **auth: Any) -> None:
        self.server = server
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self._new: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        self.client = Client(
            request_timeout=60, reconnection_delay=0.1, reconnection_delay_max=0.5, randomization_factor=0.2
        )
        for kind in KINDS:
            self.client.on(kind, self._hear(kind))
        self.auth = auth

    def connect(self, **options: Any) -> Ear:
        """Connect; one that is connected again asks for what it missed."""
        url = str(self.server.http.base_url).rstrip("/")
        self.client.connect(url, auth=self._auth, wait_timeout=30, **options)
        return self

    def _auth(self) -> dict[str, Any]:
        return {**self.auth, **({"since": self.seq} if self.heard else {})}

    def _hear(self, kind: str) -> Any:
        return lambda payload: self._new.put((kind, payload))

    @property
    def seq(self) -> int:
        """The last sequence number that was told."""
        return max((payload["seq"] for _, payload in self.heard if "seq" in payload), default=0)

    def until(self, kind: str, job_id: str = "") -> dict[str, Any]:
        """Listen until an event comes, and return what it says."""
        while True:
            found, payload = self._new.get(timeout=60)
            self.heard.append((found, payload))
            if found == kind and job_id in {"", payload.get("job_id")}:
                return payload

    def until_over(self, *job_ids: str) -> None:
        """Listen until all these jobs are over."""
        left = set(job_ids) - {each["job_id"] for kind, each in self.heard if kind in LAST}
        while left:
            found, payload = self._new.get(timeout=60)
            self.heard.append((found, payload))
            if found in LAST:
                left.discard(payload["job_id"])

    def of(self, job_id: str) -> list[str]:
        """Return the kinds of the events of a job."""
        return [kind for kind, payload in self.heard if payload.get("job_id") == job_id]

    def ask(self, what: str, said: Any) -> dict[str, Any]:
        """Say something and return the answer."""
        answer: dict[str, Any] = self.client.call(what, said, timeout=30)
        return answer


@contextlib.contextmanager
def listening(server: Server, *, options: dict[str, Any] | None = None, **auth: Any) -> Iterator[Ear]:
    """Listen to a job manager."""
    ear = Ear(server, **auth)
    try:
        yield ear.connect(**(options or {}))
    finally:
        ear.client.disconnect()
