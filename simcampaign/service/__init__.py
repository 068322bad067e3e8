"""The job manager: a service that queues jobs of many clients and runs them on the configured sites."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simcampaign.service.applications.hfss import LayoutOptions, MachineNode, SchedulerOptions
    from simcampaign.service.client import AsyncClient, Client
    from simcampaign.service.core.limits import ResourceLimits
    from simcampaign.service.facade.config import SimulationConfig
    from simcampaign.service.facade.handler import JobManagerHandler
    from simcampaign.service.facade.manager import JobManager

_HOMES = {
    "AsyncClient": "simcampaign.service.client",
    "Client": "simcampaign.service.client",
    "JobManager": "simcampaign.service.facade.manager",
    "JobManagerHandler": "simcampaign.service.facade.handler",
    "LayoutOptions": "simcampaign.service.applications.hfss",
    "MachineNode": "simcampaign.service.applications.hfss",
    "ResourceLimits": "simcampaign.service.core.limits",
    "SchedulerOptions": "simcampaign.service.applications.hfss",
    "SimulationConfig": "simcampaign.service.facade.config",
}
"""Where the public names live: each module is imported when it is first asked for."""

__all__ = [
    "AsyncClient",
    "Client",
    "JobManager",
    "JobManagerHandler",
    "LayoutOptions",
    "MachineNode",
    "ResourceLimits",
    "SchedulerOptions",
    "SimulationConfig",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
