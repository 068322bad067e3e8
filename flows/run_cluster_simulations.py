"""Run a campaign on a cluster or on a host that is reached by SSH.

Every (condition, seed) of the series whose files the manifest lacks, and that no earlier job holds, is rendered into
an input, packed into jobs, and handed to the site, which does not need this command to stay. Start the command again
at any time: it attaches to what is running and runs only what is missing. Where the site's host does not share files
with this one, inputs are put there before and outputs are fetched when their jobs have ended.

Working location:

    (name)/YYYY-MM-DD/inits/(name)_(group)_(seed).(extension)
    (name)/YYYY-MM-DD/inputs/(name)_(group)_(index).(template's extension)
    (name)/YYYY-MM-DD/outputs/(name)_(condition key)_(seed).(extension)
    (name)/YYYY-MM-DD/logs/(job id).log
    (name)/YYYY-MM-DD/(name).PLAN.json, (name).SUMMARY.txt, (name).SUMMARY.html

On a host that shares no files, for each job array:

    (scratch)/campaigns/(name)-(digest)/(array)/inits/, inputs/, outputs/
"""

from __future__ import annotations

import sys

from configs.cluster import ClusterContextConfig as ContextConfig
from configs.contexts import open_campaign
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig

if __name__ == "__main__":
    # Help, dry runs and errors must not wait for Prefect; the command imports this module again under its own name.
    from flows.command import FlowCommand, main

    name = "run_cluster_simulations"
    sys.exit(main(FlowCommand(name, __doc__, ContextConfig, SeriesConfig, ParametersConfig, open_campaign)))

from prefect import State, flow

from tasks.body import final_state, run_campaign
from tasks.hooks import cancel_jobs_of
from tasks.naming import flow_run_name
from tasks.outcome import Outcome


@flow(
    name="run-cluster-simulations",
    flow_run_name=flow_run_name,
    on_cancellation=[cancel_jobs_of(open_campaign, ContextConfig, SeriesConfig, ParametersConfig)],
)
def run_flow(context: ContextConfig, series: SeriesConfig, parameters: ParametersConfig) -> State[Outcome]:
    """Run a campaign on a cluster or on a host that is reached by SSH."""
    return final_state(run_campaign(open_campaign(context, series, parameters)))
