"""The deployment that a flow run belongs to."""

from __future__ import annotations

import logging
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

logger = logging.getLogger("simcampaign")


def pause_schedule(reason: str, deployment_id: UUID | None = None) -> int:
    """Pause the schedules of a deployment, by default of that of the present flow run; returns how many.

    A flow run that belongs to no deployment has none.
    """
    context = FlowRunContext.get()
    if deployment_id is None and context is not None and context.flow_run is not None:
        deployment_id = context.flow_run.deployment_id
    if deployment_id is None:
        return 0
    with get_client(sync_client=True) as client:
        active = [each for each in client.read_deployment_schedules(deployment_id) if each.active]
        for schedule in active:
            client.update_deployment_schedule(deployment_id, schedule.id, active=False)
    if active:
        logger.warning("%s The schedule of this deployment is paused; its page in Prefect resumes it.", reason)
    return len(active)
