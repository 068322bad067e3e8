"""The host and its queue: standing, limits, resources, telemetry, sites and partitions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi.responses import JSONResponse

from simcampaign.errors import ConfigError, SimcampaignError
from simcampaign.service import wire
from simcampaign.service.assembly import Service
from simcampaign.service.routes.asking import REFUSALS, Asking, Serving, need, written
from simcampaign.service.sites import clusters
from simcampaign.sites.registry import open_site, read_tables, site_names

router = APIRouter(tags=["host"], responses=REFUSALS)


@router.get("/queue")
@router.get("/api/queue", include_in_schema=False)
def get_queue(service: Serving) -> dict[str, Any]:
    """Return how much waits and runs, and why nothing starts on this host if that is so."""
    return wire.queue(service.dispatcher.standing(), service.dispatcher.limits.max_concurrent_jobs)


@router.get("/resources")
@router.get("/api/resources", include_in_schema=False)
def get_resources(service: Serving) -> dict[str, Any]:
    """Return what the host has left."""
    return wire.resources(service.telemetry.latest)


@router.get("/telemetry")
def get_telemetry(service: Serving, samples: Annotated[int, Query(ge=1, le=2000)] = 300) -> list[dict[str, Any]]:
    """Return the newest looks at the host, oldest first; times are seconds since the epoch."""
    return [asdict(each) for each in service.telemetry.history[-samples:]]


@router.get("/pool/limits")
def get_limits(service: Serving) -> dict[str, Any]:
    """Return what jobs may use of this host."""
    return service.dispatcher.limits.as_dict()


@router.put("/pool/limits")
async def set_limits(service: Serving, identity: Asking, body: Annotated[dict[str, Any], Body()]) -> JSONResponse:
    """Change limits, all or none."""
    need(identity, "admin")
    if not body:
        return JSONResponse({"error": "No data provided"}, 400)
    try:
        await written(service.dispatcher.set_limits(body))
    except ConfigError as error:
        return JSONResponse({**wire.error(error), "error": "Failed to update limits"}, 400)
    limits = service.dispatcher.limits.as_dict()
    message = "Concurrent job limits updated successfully"
    return JSONResponse({"success": True, "message": message, "limits": limits})


@router.get("/sites")
def get_sites() -> list[dict[str, Any]]:
    """Return the sites that jobs can be sent to, and why one cannot be used."""
    tables = read_tables()
    listed = []
    for name in site_names():
        table = tables.get(name, {})
        backend = table.get("backend", name) if isinstance(table, dict) else ""
        broken = ""
        try:
            site = open_site(name).site
            broken = "" if site.host is not None else "keeps no files for single jobs"
        except SimcampaignError:
            broken = "its table has mistakes: simcampaign sites"
        listed.append({"name": name, "backend": str(backend), "broken": broken})
    return listed


@router.get("/scheduler/partitions")
def get_partitions() -> JSONResponse:
    """Return the partitions of the clusters that are configured, with what they have and use."""
    found = list(_partitions())
    if not found:
        return JSONResponse({"error": "Scheduler not supported"}, 400)
    return JSONResponse(wire.partitions(found))


@router.get("/api/cluster_partitions")
def get_cluster_partitions() -> JSONResponse:
    """Return the partitions of the clusters that are configured; none is no error."""
    return JSONResponse(wire.partitions(list(_partitions())))


def _partitions() -> Any:
    for each in clusters():
        for queue in each.site.queues():
            yield each.name, each.backend, queue


def cluster_backend() -> str:
    """Return the backend of the first cluster that is configured, or ``none``."""
    return next((each.backend for each in clusters()), "none")


def pool(service: Service) -> dict[str, int]:
    """Return how much of this host's pool is taken."""
    standing = service.dispatcher.standing()
    return {
        "running_jobs": len(standing.active),
        "queued_jobs": len(standing.waiting),
        "max_concurrent": service.dispatcher.limits.max_concurrent_jobs,
    }
