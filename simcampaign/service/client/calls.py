"""Calls: each request that a job manager knows, and how its answer is read. Nothing is sent here."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from simcampaign.errors import SiteError
from simcampaign.service.client.records import (
    Array,
    Campaign,
    CampaignMap,
    Job,
    Limits,
    Partition,
    QueueStanding,
    Resources,
    Status,
    Submitted,
    SubmittedArray,
    read,
    read_list,
)

T = TypeVar("T")

PAGE = 1000
"""Jobs in one answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def data(self) -> Any:
        """The body, from JSON. Raises ``SiteError`` if it is none."""
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise SiteError("the job manager answered no JSON", "is this the address of a job manager?") from error


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[Answer], T]
    params: Mapping[str, str | int | float] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    """Whether it may be sent again if it is not known whether it arrived."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list."""

    items: Sequence[T]
    cursor: str | None
    """Where the next one begins; None for the last."""


def _one(kind: type[T]) -> Callable[[Answer], T]:
    return lambda answer: read(kind, answer.data)


def _many(kind: type[T]) -> Callable[[Answer], list[T]]:
    return lambda answer: read_list(kind, answer.data)


def _page(kind: type[T]) -> Callable[[Answer], Page[T]]:
    return lambda answer: Page(read_list(kind, answer.data), answer.headers.get("x-next-cursor"))


def _success(answer: Answer) -> bool:
    data = answer.data
    return bool(data.get("success")) if isinstance(data, dict) else False


def _text(name: str) -> Callable[[Answer], str]:
    def named(answer: Answer) -> str:
        data = answer.data
        if not isinstance(data, dict) or name not in data:
            raise SiteError(f"the job manager answered no {name}")
        return str(data[name])

    return named


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given."""
    return {name: value for name, value in values.items() if value is not None}


def _keyed(key: str | None) -> dict[str, str]:
    return {"idempotency-key": key or uuid.uuid4().hex}


# Jobs


def submit(config: Mapping[str, Any], priority: int, user: str | None, key: str | None) -> Call[Submitted]:
    """Queue a job; sent twice, it is queued once."""
    body = _known({"config": dict(config), "priority": priority, "user": user})
    return Call("POST", "/jobs/submit", _one(Submitted), body=body, headers=_keyed(key))


def dry_run(config: Mapping[str, Any], priority: int = 0) -> Call[dict[str, Any]]:
    """Ask what would be run."""
    body = {"config": dict(config), "priority": priority, "dry_run": True}
    return Call("POST", "/jobs/submit", lambda answer: dict(answer.data), body=body)


def get(job_id: str) -> Call[Job]:
    """Return a job."""
    return Call("GET", job_path(job_id), _one(Job))


def jobs(filters: Mapping[str, Any], cursor: str | None, limit: int = PAGE) -> Call[Page[Job]]:
    """Return a page of jobs."""
    given = {
        name: ",".join(value) if isinstance(value, (list, tuple, set, frozenset)) else value
        for name, value in filters.items()
    }
    return Call("GET", "/jobs", _page(Job), _flat({**given, "limit": limit, "cursor": cursor}))


def cancel(job_id: str) -> Call[bool]:
    """Cancel a job."""
    return Call("POST", f"{job_path(job_id)}/cancel", _success)


def set_priority(job_id: str, priority: int) -> Call[bool]:
    """Give a job that waits another priority."""
    return Call("POST", f"{job_path(job_id)}/priority", _success, body={"priority": priority})


def hold(job_id: str) -> Call[bool]:
    """Hold a job that waits back."""
    return Call("POST", f"{job_path(job_id)}/hold", _success)


def release(job_id: str) -> Call[bool]:
    """Let a job that was held go on."""
    return Call("POST", f"{job_path(job_id)}/release", _success)


def retry(job_id: str) -> Call[Submitted]:
    """Queue a job that did not finish well once more."""
    return Call("POST", f"{job_path(job_id)}/retry", _one(Submitted))


def delete(job_id: str) -> Call[bool]:
    """Forget a job that is over."""
    return Call("DELETE", job_path(job_id), _success, repeatable=False)


def log(job_id: str, offset: int) -> Call[tuple[str, int]]:
    """Return a part of what a job printed, from an offset in bytes on, and the offset of what comes next."""

    def part(answer: Answer) -> tuple[str, int]:
        return answer.text, int(answer.headers.get("x-next-offset", offset))

    return Call("GET", f"{job_path(job_id)}/log", part, {"offset": offset})


def files(job_id: str) -> Call[dict[str, int]]:
    """Return the files of a job with their sizes."""
    return Call(
        "GET",
        f"{job_path(job_id)}/files",
        lambda answer: {str(each["name"]): int(each["size"]) for each in answer.data},
    )


def job_path(job_id: str) -> str:
    """Return the path of a job."""
    return f"/jobs/{quote(job_id, safe='')}"


def _flat(values: Mapping[str, Any]) -> dict[str, str | int | float]:
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in _known(values).items()}


# The service and its host


def queue() -> Call[QueueStanding]:
    """Return how much waits and runs."""
    return Call("GET", "/queue", _one(QueueStanding))


def resources() -> Call[Resources]:
    """Return what the host has left."""
    return Call("GET", "/resources", _one(Resources))


def limits() -> Call[Limits]:
    """Return what jobs may use."""
    return Call("GET", "/pool/limits", _one(Limits))


def set_limits(values: Mapping[str, float]) -> Call[Limits]:
    """Change limits."""
    return Call("PUT", "/pool/limits", lambda answer: read(Limits, answer.data.get("limits")), body=dict(values))


def partitions() -> Call[list[Partition]]:
    """Return the partitions of clusters."""
    return Call("GET", "/api/cluster_partitions", _many(Partition))


def last_event() -> Call[int]:
    """Return the sequence number of the newest event."""
    return Call("GET", "/api/overview", lambda answer: int(answer.data["last_event"]))


def status() -> Call[Status]:
    """Return what the service is."""
    return Call("GET", "/system/status", _one(Status))


# Campaigns and arrays


def submit_campaign(
    context: str | Mapping[str, Any],
    series: Mapping[str, Any],
    parameters: Mapping[str, Any] | None,
    kind: str | None,
    key: str | None,
) -> Call[str]:
    """Have a campaign kept going; sent twice, there is one."""
    body = _known({"context": context, "series": series, "parameters": parameters, "kind": kind})
    return Call("POST", "/campaigns", _text("campaign_id"), body=body, headers=_keyed(key))


def campaign(campaign_id: str) -> Call[Campaign]:
    """Return a campaign."""
    return Call("GET", _campaign(campaign_id), _one(Campaign))


def campaigns(filters: Mapping[str, Any], cursor: str | None, limit: int = PAGE) -> Call[Page[Campaign]]:
    """Return a page of campaigns."""
    return Call("GET", "/campaigns", _page(Campaign), _flat({**filters, "limit": limit, "cursor": cursor}))


def campaign_map(campaign_id: str, window: Mapping[str, int]) -> Call[CampaignMap]:
    """Return a window of a campaign's conditions × seeds."""
    return Call("GET", f"{_campaign(campaign_id)}/map", _one(CampaignMap), _flat(window))


def change_campaign(campaign_id: str, deed: str) -> Call[bool]:
    """Cancel, pause, resume or retry a campaign."""
    return Call("POST", f"{_campaign(campaign_id)}/{deed}", _success)


def delete_campaign(campaign_id: str) -> Call[bool]:
    """Forget a campaign that is over."""
    return Call("DELETE", _campaign(campaign_id), _success, repeatable=False)


def submit_array(
    config: Mapping[str, Any],
    overrides: Sequence[Mapping[str, Any]],
    priority: int,
    user: str | None,
    key: str | None,
) -> Call[SubmittedArray]:
    """Queue many jobs that differ in a few fields."""
    jobs = [dict(each) for each in overrides]
    body = _known({"config": dict(config), "jobs": jobs, "priority": priority, "user": user})

    return Call("POST", "/arrays", _one(SubmittedArray), body=body, headers=_keyed(key))


def array(array_id: str) -> Call[Array]:
    """Return an array."""
    return Call("GET", _array(array_id), _one(Array))


def arrays(filters: Mapping[str, Any], cursor: str | None, limit: int = PAGE) -> Call[Page[Array]]:
    """Return a page of arrays."""
    return Call("GET", "/arrays", _page(Array), _flat({**filters, "limit": limit, "cursor": cursor}))


def cancel_array(array_id: str) -> Call[bool]:
    """Cancel the jobs of an array."""
    return Call("POST", f"{_array(array_id)}/cancel", _success)


def retry_array(array_id: str) -> Call[SubmittedArray]:
    """Queue the jobs of an array that did not finish well once more."""
    return Call("POST", f"{_array(array_id)}/retry", _one(SubmittedArray))


def _campaign(campaign_id: str) -> str:
    return f"/campaigns/{quote(campaign_id, safe='')}"


def _array(array_id: str) -> str:
    return f"/arrays/{quote(array_id, safe='')}"
