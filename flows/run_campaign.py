"""Do one tick of a campaign, wherever its jobs run; this is the flow to schedule.

A tick looks at the jobs in flight, collects what ended since the last one, submits what is missing and neither in
flight nor over its tries or the budget, publishes the summary, and returns. Between two ticks no process is needed: let
a Prefect deployment run it every few minutes (--deploy NAME --cron "*/10 * * * *"), or type it again. A series that is
complete says so and pauses the schedule. With --until-complete, tick follows tick here.

The context is that of any other run flow; its field kind tells which.

Working location:

    (name)/YYYY-MM-DD/inits/(name)_(group)_(seed).(extension)
    (name)/YYYY-MM-DD/inputs/(name)_(group)_(index).(template's extension)
    (name)/YYYY-MM-DD/outputs/(name)_(condition key)_(seed).(extension)
    (name)/YYYY-MM-DD/logs/(job id).log
    (name)/YYYY-MM-DD/(name).PLAN.json, (name).SUMMARY.txt, (name).SUMMARY.html
"""

from __future__ import annotations

import sys

from configs.contexts import AnyContextConfig as ContextConfig
from configs.contexts import open_campaign
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig

if __name__ == "__main__":
    # Help, dry runs and errors must not wait for Prefect; the command imports this module again under its own name.
    from flows.command import FlowCommand, main

    name = "run_campaign"
    sys.exit(main(FlowCommand(name, __doc__, ContextConfig, SeriesConfig, ParametersConfig, open_campaign, ticks=True)))

from prefect import State, flow

from tasks.body import final_state
from tasks.hooks import cancel_jobs_of
from tasks.naming import flow_run_name
from tasks.outcome import Outcome
from tasks.ticks import run_ticks


@flow(
    name="run-campaign",
    flow_run_name=flow_run_name,
    on_cancellation=[cancel_jobs_of(open_campaign, ContextConfig, SeriesConfig, ParametersConfig)],
)
def run_flow(context: ContextConfig, series: SeriesConfig, parameters: ParametersConfig) -> State[Outcome]:
    """Do one tick of a campaign, wherever its jobs run."""
    return final_state(run_ticks(lambda: open_campaign(context, series, parameters)))
