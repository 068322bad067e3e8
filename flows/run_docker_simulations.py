"""Run a campaign in containers on this machine.

Every (condition, seed) of the series whose files the manifest lacks, and that no earlier job holds, is rendered into
an input, packed into jobs, and run in containers of docker or podman, which do not need this command to stay. Start
the command again at any time: it attaches to what is running and runs only what is missing.

Working location:

    (name)/YYYY-MM-DD/inits/(name)_(group)_(seed).(extension)
    (name)/YYYY-MM-DD/inputs/(name)_(group)_(index).(template's extension)
    (name)/YYYY-MM-DD/outputs/(name)_(condition key)_(seed).(extension)
    (name)/YYYY-MM-DD/logs/(job id).log
    (name)/YYYY-MM-DD/(name).PLAN.json, (name).SUMMARY.txt, (name).SUMMARY.html

A container sees (name)/YYYY-MM-DD as /mnt, and is told by its environment: BATCH_WORKING_URL, which is /mnt/, and
FILE_SET_NAME and AWS_BATCH_JOB_ARRAY_INDEX, the first and last part of its input's name.
"""

from __future__ import annotations

import sys

from configs.contexts import open_campaign
from configs.docker import DockerContextConfig as ContextConfig
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig

if __name__ == "__main__":
    # Help, dry runs and errors must not wait for Prefect; the command imports this module again under its own name.
    from flows.command import FlowCommand, main

    name = "run_docker_simulations"
    sys.exit(main(FlowCommand(name, __doc__, ContextConfig, SeriesConfig, ParametersConfig, open_campaign)))

from prefect import State, flow

from tasks.body import final_state, run_campaign
from tasks.hooks import cancel_jobs_of
from tasks.naming import flow_run_name
from tasks.outcome import Outcome


@flow(
    name="run-docker-simulations",
    flow_run_name=flow_run_name,
    on_cancellation=[cancel_jobs_of(open_campaign, ContextConfig, SeriesConfig, ParametersConfig)],
)
def run_flow(context: ContextConfig, series: SeriesConfig, parameters: ParametersConfig) -> State[Outcome]:
    """Run a campaign in containers on this machine."""
    return final_state(run_campaign(open_campaign(context, series, parameters)))
