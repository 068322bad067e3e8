"""Names of flow runs: ``NAME: 37 of 128 to do``."""

from __future__ import annotations

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from simcampaign.plan import Plan
from simcampaign.runs import RunState


def flow_run_name() -> str:
    """Name a flow run after its series, until its plan is made."""
    series = runtime.flow_run.parameters.get("series")
    return str(series["name"] if isinstance(series, dict) else getattr(series, "name", "campaign"))


def name_flow_run(series: str, plan: Plan) -> None:
    """Name the flow run that we are in after what is to do."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    with get_client(sync_client=True) as client:
        client.update_flow_run(context.flow_run.id, name=f"{series}: {to_do(plan)}")


def to_do(plan: Plan) -> str:
    """Say how many runs are not done yet: ``37 of 128 to do``."""
    planned = plan.series.size - plan.skipped
    done = plan.counts.get(RunState.DONE.label, 0) + plan.counts.get(RunState.STALE.label, 0)
    return f"{max(0, planned - done):,} of {planned:,} to do"
