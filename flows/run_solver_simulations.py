"""Have the runs of a campaign solved in the cloud, or by the solver of this machine.

Every (condition, seed) of the series whose result the manifest lacks, and that no earlier task holds, is rendered into
a simulation, uploaded, quoted, held against the budget, and started. Tasks are polled every retry_delay seconds, at
most retries times; results are downloaded to outputs/, logs saved, tasks deleted (clean_jobs). Start the command again
at any time: it attaches to what is being solved, and has only that solved which is missing.

Working location:

    (name)/YYYY-MM-DD/inputs/(name)_(group)_(index).(template's extension)
    (name)/YYYY-MM-DD/outputs/(name)_(condition key)_(seed).hdf5
    (name)/YYYY-MM-DD/logs/(job id).log
    (name)/YYYY-MM-DD/(name).PLAN.json, (name).SUMMARY.txt, (name).SUMMARY.html
"""

from __future__ import annotations

import sys

from configs.contexts import open_campaign
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig
from configs.solver import SolverContextConfig as ContextConfig

if __name__ == "__main__":
    # Help, dry runs and errors must not wait for Prefect; the command imports this module again under its own name.
    from flows.command import FlowCommand, main

    name = "run_solver_simulations"
    sys.exit(main(FlowCommand(name, __doc__, ContextConfig, SeriesConfig, ParametersConfig, open_campaign)))

from prefect import State, flow

from tasks.body import final_state, run_campaign
from tasks.hooks import cancel_jobs_of
from tasks.naming import flow_run_name
from tasks.outcome import Outcome


@flow(
    name="run-solver-simulations",
    flow_run_name=flow_run_name,
    on_cancellation=[cancel_jobs_of(open_campaign, ContextConfig, SeriesConfig, ParametersConfig)],
)
def run_flow(context: ContextConfig, series: SeriesConfig, parameters: ParametersConfig) -> State[Outcome]:
    """Have the runs of a campaign solved in the cloud, or by the solver of this machine."""
    return final_state(run_campaign(open_campaign(context, series, parameters)))
