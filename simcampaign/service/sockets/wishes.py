"""Wishes: what a Socket.IO client wants to hear, as it says it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simcampaign.ledger.queuerows import Event

LONGEST_ID = 200
HIGHEST = 2**62
ROOMS = ("job", "campaign", "log", "progress")
"""What there is to listen to: one job or campaign; what a job prints; how far it says it is."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that a client wants to hear, or no more."""

    room: str
    id: str
    offset: int = 0
    """Where a log begins, in bytes."""


class WishError(ValueError):
    """What a client said is no wish; the message says why."""


def read_since(said: Any) -> int | None:
    """Return the sequence number that a client saw last; None if it says none. Raises ``WishError``."""
    value = said.get("since") if isinstance(said, Mapping) else None
    return None if value is None else _natural("since", value)


def read_wishes(said: Any) -> list[Wish]:
    """Return the wishes in what a client says: an object such as ``{"job": ID}``, or a list of them.

    Raises ``WishError``.
    """
    if isinstance(said, list):
        if len(said) > 100:
            raise WishError("at most 100 rooms can be named at once")
        return [wish for each in said for wish in _read_one(each)]
    return _read_one(said)


def _read_one(said: Any) -> list[Wish]:
    if not isinstance(said, Mapping):
        raise WishError('must be an object such as {"job": ID}')
    known = {*ROOMS, "since", "offset"}
    if unknown := [str(name)[:LONGEST_ID] for name in said if name not in known]:
        raise WishError(f"{unknown[0]!r} is nothing to listen to; there are: {', '.join(ROOMS)}, since")
    offset = _natural("offset", said.get("offset", 0))
    return [Wish(room, _id(room, said[room]), offset) for room in ROOMS if room in said]


def _id(room: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
        raise WishError(f"{room} must be an id, at most {LONGEST_ID} characters long")
    return value


def _natural(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= HIGHEST:
        raise WishError(f"{name} must be a whole number, 0 or more")
    return value


def concerns(event: Event, jobs: set[str], campaigns: set[str]) -> bool:
    """Tell whether an event is for a client of these jobs and campaigns; one who named none hears everything."""
    if not (jobs or campaigns) or not (event.job_id or "campaign_id" in event.payload):
        return True
    return event.job_id in jobs or event.payload.get("campaign_id") in campaigns
