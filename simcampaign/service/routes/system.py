"""The service about itself: status, health, metrics, events, and its own description."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from simcampaign import __version__
from simcampaign.ledger.queuerows import QueueState
from simcampaign.service import wire
from simcampaign.service.figures import gauge
from simcampaign.service.news import News
from simcampaign.service.routes.asking import REFUSALS, Asking, Serving, need
from simcampaign.service.routes.hosting import cluster_backend, pool

router = APIRouter(tags=["system"], responses=REFUSALS)

_GIB = 2**30


@router.get("/health")
def get_health(service: Serving) -> JSONResponse:
    """Say whether the queue works: the ledger can be read, and sites can be asked."""
    service.book.last_event()
    return JSONResponse({"status": "ok", "version": __version__, "uptime_seconds": wire.uptime(service.started)})


@router.get("/system/status")
def get_status(service: Serving) -> dict[str, Any]:
    """Return what this service is and does."""
    mode = cluster_backend()
    sample = wire.resources(service.telemetry.latest)
    return {
        "scheduler_detection": {
            "active_scheduler": mode.upper(),
            "detected_by": "JobManager",
            "backend_available": True,
        },
        "resource_monitoring": {"active": service.telemetry.active, "last_update": sample["timestamp"], **sample},
        "mode": mode,
        "local_pool": pool(service),
        "version": __version__,
    }


@router.post("/system/start_monitoring")
def start_monitoring(service: Serving, identity: Asking) -> dict[str, Any]:
    """Look at the host regularly, if that is not done already."""
    need(identity, "admin")
    fresh = service.telemetry.start()
    return {
        "success": True,
        "message": "Resource monitoring started" if fresh else "Resource monitoring already active",
    }


@router.get("/api/scheduler_type")
def get_scheduler_type() -> dict[str, str]:
    """Return the backend of the first cluster that is configured."""
    return {"scheduler_type": cluster_backend()}


@router.get("/api/me")
def get_me(service: Serving, identity: Asking) -> dict[str, str]:
    """Return who asks; without tokens that is whoever runs this service."""
    return {"username": identity.user or service.user, "role": identity.role}


@router.get("/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def get_events(
    request: Request,
    since: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    job: Annotated[str | None, Query(max_length=200)] = None,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> StreamingResponse:
    """Tell events as they happen, as server-sent events; with a sequence number, also those behind it."""
    news: News = request.app.state.news
    if last_event_id is not None and last_event_id.isdecimal():
        since = int(last_event_id)
    behind = request.app.state.service.book.last_event() if since is None else since
    return StreamingResponse(news.stream(behind, job), media_type="text/event-stream")


@router.get("/metrics", response_class=PlainTextResponse)
def get_metrics(service: Serving) -> Response:
    """Return figures in Prometheus' text format, in its base units."""
    counts, sample, limits = service.book.counts(), service.telemetry.latest, service.dispatcher.limits
    states = [(f'{{state="{state}"}}', counts.get(state, 0)) for state in QueueState]
    values: Sequence[tuple[str, str, float]] = (
        ("start_time_seconds", "When the service started, in seconds since the epoch", service.started),
        ("last_event", "Sequence number of the newest event", service.book.last_event()),
        ("host_cpu_ratio", "CPU in use", sample.cpu_percent / 100),
        ("host_memory_ratio", "Memory in use", sample.memory_percent / 100),
        ("host_memory_free_bytes", "Memory left", sample.memory_free_gb * _GIB),
        ("host_disk_free_bytes", "Disk left", sample.disk_free_gb * _GIB),
        ("limit_concurrent_jobs", "Jobs that may run on this host at a time", limits.max_concurrent_jobs),
        ("limit_cpu_ratio", "No job starts here while more is in use", limits.max_cpu_percent / 100),
        ("limit_memory_free_bytes", "No job starts here while less is free", limits.min_memory_gb * _GIB),
        ("limit_disk_free_bytes", "No job starts here while less is free", limits.min_disk_gb * _GIB),
    )
    lines = [*gauge("simcampaign_jobs", "Jobs per state", states), *service.figures.lines()]
    for name, text, value in values:
        lines += gauge(f"simcampaign_{name}", text, [("", value)])
    return PlainTextResponse("\n".join([*lines, ""]), media_type="text/plain; version=0.0.4; charset=utf-8")
