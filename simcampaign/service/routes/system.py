"""The service about itself: status, health, metrics, events, and its own description."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from simcampaign import __version__
from simcampaign.ledger.queuerows import QueueState
from simcampaign.service import wire
from simcampaign.service.news import News
from simcampaign.service.routes.asking import REFUSALS, Asking, Serving, need
from simcampaign.service.routes.hosting import cluster_backend, pool

router = APIRouter(tags=["system"], responses=REFUSALS)


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


METRICS = (
    ("simcampaign_cpu_percent", "cpu_percent", "CPU in use"),
    ("simcampaign_memory_percent", "memory_percent", "Memory in use"),
    ("simcampaign_memory_free_gb", "memory_free_gb", "Memory left, in GiB"),
    ("simcampaign_disk_free_gb", "disk_free_gb", "Disk left, in GiB"),
)


@router.get("/metrics", response_class=PlainTextResponse)
def get_metrics(service: Serving) -> Response:
    """Return figures in Prometheus' text format."""
    counts = service.book.counts()
    lines = ["# HELP simcampaign_jobs Jobs per state", "# TYPE simcampaign_jobs gauge"]
    lines += [f'simcampaign_jobs{{state="{state}"}} {counts.get(state, 0)}' for state in QueueState]
    sample = service.telemetry.latest
    values = [(name, getattr(sample, field), text) for name, field, text in METRICS]
    values.append(("simcampaign_uptime_seconds", wire.uptime(service.started), "Seconds since the service started"))
    values.append(("simcampaign_last_event", service.book.last_event(), "Sequence number of the newest event"))
    values += [
        (f"simcampaign_limit_{name}", value, "Limit") for name, value in service.dispatcher.limits.as_dict().items()
    ]
    for name, value, text in values:
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value}"]
    return PlainTextResponse("\n".join([*lines, ""]), media_type="text/plain; version=0.0.4; charset=utf-8")
