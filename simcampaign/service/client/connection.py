"""What the client that waits and the one that is awaited share: where the service is, retries, and errors."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import httpx
import stamina

from simcampaign.errors import ABSENT, ConfigError, NetworkError, Problem
from simcampaign.service.client.calls import Answer, Call
from simcampaign.service.client.errors import BusyError, meaning, refuse
from simcampaign.service.client.streams import QUIET_SECONDS

H = TypeVar("H", httpx.Client, httpx.AsyncClient)

DEFAULT_URL = "http://127.0.0.1:8080"
ATTEMPTS = 6
LONGEST_PAUSE = 5.0
"""Seconds between two tries."""

__all__ = ["BusyError", "Connection", "retrying"]


class Connection(Generic[H]):
    """Where a service is, and how one speaks to it."""

    def __init__(self, base_url: str | None, token: str | None, timeout: float) -> None:
        """See ``Client``. Raises ``ConfigError`` if ``base_url`` is none."""
        self.url = (base_url or os.environ.get("SIMCAMPAIGN_SERVICE_URL") or DEFAULT_URL).rstrip("/")
        try:
            is_url = httpx.URL(self.url).scheme in {"http", "https"} and httpx.URL(self.url).host != ""
        except httpx.InvalidURL:
            is_url = False
        if not is_url:
            problem = Problem("base_url", self.url, "is no address like http://127.0.0.1:8080")
            raise ConfigError([problem], "give base_url=…, or set SIMCAMPAIGN_SERVICE_URL")
        shown = token or os.environ.get("SIMCAMPAIGN_SERVICE_TOKEN", "")
        headers = {"authorization": f"Bearer {shown}"} if shown else {}
        if not shown.isprintable() or not shown.isascii():
            raise ConfigError([Problem("token", ABSENT, "must be printable ASCII characters")])
        self.options: dict[str, Any] = {"base_url": self.url, "headers": headers, "timeout": timeout}
        self.patience = httpx.Timeout(timeout, read=QUIET_SECONDS)
        """Time limits for a connection that stays open."""

    @staticmethod
    def request(http: H, call: Call[Any]) -> httpx.Request:
        """Return the request of a call."""
        return http.build_request(
            call.method, call.path, params=dict(call.params), json=call.body, headers=dict(call.headers)
        )

    @staticmethod
    def checked(response: httpx.Response) -> Answer:
        """Return an answer. Raises ``BusyError``, or what a refusal means."""
        text = response.text if response.is_closed else ""
        answer = Answer(response.status_code, response.headers, text)
        refuse(answer)
        return answer

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """Raise errors of simcampaign for what went wrong on the way."""
        try:
            yield
        except BusyError as error:
            raise meaning(error.answer) from None
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            message = f"the job manager at {self.url} cannot be reached: {reason}"
            raise NetworkError(message, "start it: simcampaign serve") from error


def retrying(call: Call[Any]) -> Any:
    """Return what a request is tried in: again after a while if the service was busy or the connection was cut."""
    return stamina.retry_context(
        on=_may_repeat if call.repeatable else _never_arrived,
        attempts=ATTEMPTS,
        timeout=None,
        wait_initial=0.1,
        wait_max=LONGEST_PAUSE,
    )


def _may_repeat(error: Exception) -> bool | float:
    if isinstance(error, BusyError):
        return _pause_of(error.answer) or True
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)


def _never_arrived(error: Exception) -> bool | float:
    """Tell whether a request was refused before it did anything."""
    if isinstance(error, BusyError):
        return error.answer.status == 429 and (_pause_of(error.answer) or True)
    return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))


def _pause_of(answer: Answer) -> float:
    """Return how many seconds the service wants to be left alone; 0 if it does not say."""
    wanted = answer.headers.get("retry-after", "")
    return min(LONGEST_PAUSE, float(wanted)) if wanted.isdecimal() else 0.0
