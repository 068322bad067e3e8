"""What routes share: the service, who asks, and what they may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Annotated, Any, Protocol, TypeVar

import sqlalchemy as sa
from fastapi import Depends, HTTPException, Path, Request

from simcampaign.ledger import queuebook
from simcampaign.ledger.queuerows import QueueRow
from simcampaign.service.applications import Asker
from simcampaign.service.assembly import Service
from simcampaign.service.security.access import Identity

T = TypeVar("T")


class Owned(Protocol):
    """What belongs to a user."""

    @property
    def user(self) -> str:
        """Whose it is."""
        ...


R = TypeVar("R", bound=Owned)

REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": {"type": "object"}}}}
    for status, text in {
        400: "Something in the request is wrong; `error` says what.",
        401: "A token is needed.",
        403: "This user may not do that, or the request comes from a page of another site.",
        404: "There is no such thing.",
        405: "There is no such method here.",
        408: "The body came too slowly.",
        409: "It is not in a state for that.",
        413: "The body is too large.",
        415: "The body is not application/json.",
        421: "This service has another name.",
        429: "Too many requests.",
    }.items()
}


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _identity(request: Request) -> Identity:
    identity: Identity = request.state.identity
    return identity


Serving = Annotated[Service, Depends(_service)]
Asking = Annotated[Identity, Depends(_identity)]
JobPath = Annotated[str, Path(max_length=200, description="Id of a job.", examples=["job-1"])]


def need(identity: Identity, role: str) -> None:
    """Refuse who has not a role."""
    if not identity.may(role):
        raise HTTPException(403, f"this needs the role {role}, and {identity.user or 'nobody'} is {identity.role}")


def asker(service: Service, identity: Identity, user: object, priority: int = 0, key: str | None = None) -> Asker:
    """Return who asks for a job, and how. Whoever shows a token is that user; admins may speak for others.

    ``user`` is what the request says, or None.
    """
    need(identity, "submitter")
    if identity.user:
        name = str(user) if user and identity.may("admin") else identity.user
    else:
        name = user if isinstance(user, str) else ""
    return Asker(user=name, default_user=service.user, priority=priority, key=key)


def found(service: Service, read: Callable[[sa.Connection, str], T], what: str, name: str, missing: str = "") -> T:
    """Return what ``read`` finds in the ledger under a name, or answer that there is none; ``what`` is its kind."""
    try:
        return service.book.read(lambda connection: read(connection, name))
    except KeyError:
        raise HTTPException(404, missing or f"{what.capitalize()} {name} not found") from None


def own(
    service: Service,
    identity: Identity,
    read: Callable[[sa.Connection, str], R],
    what: str,
    name: str,
    missing: str = "",
) -> R:
    """Return what the one who asks may change, or answer why not."""
    need(identity, "submitter")
    row = found(service, read, what, name, missing)
    if not identity.owns(row.user):
        raise HTTPException(403, f"{what} {name} is of another user")
    return row


def find(service: Service, job_id: str, missing: str = "") -> QueueRow:
    """Return a job, or answer that there is none."""
    return found(service, queuebook.get, "job", job_id, missing)


def find_own(service: Service, identity: Identity, job_id: str, missing: str = "") -> QueueRow:
    """Return a job that the one who asks may change, or answer why not."""
    return own(service, identity, queuebook.get, "job", job_id, missing)


async def written(future: Future[T]) -> T:
    """Wait until something is on the disk; it is written whether or not the client still waits."""
    return await asyncio.shield(asyncio.wrap_future(future))
