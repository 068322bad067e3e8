"""The job manager: a service that queues jobs of many clients and runs them on the configured sites."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simcampaign.service.client import AsyncClient, Client

_HOMES = {
    "AsyncClient": "simcampaign.service.client",
    "Client": "simcampaign.service.client",
}
"""Where the public names live: each module is imported when it is first asked for."""

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
