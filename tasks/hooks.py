"""What Prefect calls around a flow run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import FlowStateHook
from pydantic import TypeAdapter

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.watch import cancel
from tasks.deployment import pause_schedule


def cancel_jobs_of(
    open_campaign: Callable[[Any, Any, Any], Campaign], context: Any, series: type[Any], parameters: type[Any]
) -> FlowStateHook[..., Any]:
    """Return a hook that ends what a cancelled flow run started, and its schedule, unless ``terminate_jobs`` is false.

    A crashed flow run leaves its jobs running, so that the next one attaches to them.
    """

    def cancel_jobs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
        given = flow_run.parameters
        kinds = {"context": context, "series": series, "parameters": parameters}
        values = [TypeAdapter(kind).validate_python(given[name]) for name, kind in kinds.items()]
        campaign = open_campaign(*values)
        if campaign.settings.terminate_jobs:
            cancel(campaign, campaign.ledger.arrays(campaign.id, open_only=True))
            # Otherwise the next tick would go on with what is missing.
            pause_schedule("The jobs were cancelled with the flow run.", flow_run.deployment_id)

    return cancel_jobs
