"""How a campaign is run: the parameters that all run flows share."""

from __future__ import annotations

from dataclasses import dataclass, field

from configs.names import Name
from simcampaign.fields import STRICT, Command, Count, Positive, split_command


@dataclass
class ParametersConfig:
    """The model, how long to watch it, and what to do with what its jobs leave."""

    __pydantic_config__ = STRICT

    model: Name
    """Name of the model; initial files are looked for under it, and estimates are learned per model."""

    image: str = ""
    """Container image that holds the model; not used by sites that run a command directly."""

    retries: Count = 1440
    """How many times jobs are looked at before they are given up; times retry_delay, it bounds the watching."""

    retry_delay: Positive = 60.0
    """Seconds between two looks."""

    seeds_per_job: Count = 1
    """Largest number of seeds that one job simulates."""

    log_filter: str = ""
    """Keep only log lines that hold this text; empty keeps all."""

    terminate_jobs: bool = True
    """Terminate jobs that are still active after the last look; otherwise they go on running."""

    save_logs: bool = True
    """Save the jobs' logs to the location."""

    clean_jobs: bool = True
    """Remove the files of jobs once their logs are saved."""

    update_manifest: bool = True
    """List the location before planning and after the last job; otherwise the manifest is taken as it is."""

    rerun_stale: bool = False
    """Run again what was simulated from an input that differs from today's."""

    only: list[str] = field(default_factory=list)
    """Keys of runs, such as colony_rich_0003: only these are run. Empty: all."""

    budget: Positive | None = None
    """The most that the campaign may cost, in the currency of the context's prices; arrays that could exceed it are
    held back. null: no limit."""

    seconds_per_run: Positive | None = None
    """Declared seconds per run, for estimates until earlier jobs of the model have been measured."""

    report: Command = ""
    """Command run here, in the current directory, once the last job has ended; {working} is the dated location and
    {python} this interpreter. Pictures it writes to pictures/ there are shown on the summary page. Empty: none."""

    def report_arguments(self) -> tuple[str, ...]:
        """Return the report command as an argument list; empty if there is none."""
        return split_command(self.report)
