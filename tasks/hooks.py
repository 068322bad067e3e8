"""What Prefect calls around a flow run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import Flow, runtime
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import FlowStateHook
from pydantic import TypeAdapter

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.watch import cancel


def flow_run_name() -> str:
    """Name a flow run after its series."""
    series = runtime.flow_run.parameters.get("series")
    return str(series["name"] if isinstance(series, dict) else getattr(series, "name", "campaign"))


def cancel_jobs_of(
    open_campaign: Callable[[Any, Any, Any], Campaign], context: type[Any], series: type[Any], parameters: type[Any]
) -> FlowStateHook[..., Any]:
    """Return a hook that cancels a cancelled flow run's jobs, unless ``terminate_jobs`` is false.

    A crashed flow run leaves its jobs running, so that the next one attaches to them.
    """

    def cancel_jobs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
        given = flow_run.parameters
        kinds = {"context": context, "series": series, "parameters": parameters}
        values = [TypeAdapter(kind).validate_python(given[name]) for name, kind in kinds.items()]
        campaign = open_campaign(*values)
        if campaign.settings.terminate_jobs:
            cancel(campaign, campaign.ledger.arrays(campaign.id, open_only=True))

    return cancel_jobs
