"""The context of campaigns that run at a configured site: a cluster's scheduler, or a host that is reached by SSH."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.functional_validators import AfterValidator

from configs.local import Directory, check_model_command
from simcampaign.engine.jobfiles import fill
from simcampaign.errors import ConfigError, Problem
from simcampaign.fields import STRICT, Command, Count, Positive, Text, split_command
from simcampaign.jobs import Resources
from simcampaign.sites.registry import ConfiguredSite, open_site

_OTHER_FLOWS = {
    "local": "run_local_simulations",
    "docker": "run_docker_simulations",
    "batch": "run_batch_simulations",
}


@dataclass
class ClusterContextConfig:
    """Where files are, what is run, at which site, and what a job needs there."""

    __pydantic_config__ = STRICT

    kind: Literal["cluster"] = field(default="cluster", kw_only=True)
    """Where jobs run: on a cluster or a host that is reached by SSH."""

    working_location: Directory
    """Directory that holds the series' files, a directory per series."""

    manifest_location: Text
    """Directory or s3:// address that holds the manifest."""

    template_location: Text
    """Directory or s3:// address that holds the templates."""

    site: Text
    """Name of a site in sites.toml: a cluster's scheduler, or a host that is reached by SSH."""

    command: Annotated[Command, AfterValidator(check_model_command)]
    """Program and arguments of one job at the site, as text (split as a shell would, but given to none) or as a list.
    These are filled in: {input} {output} {seeds} {index} {job_id} {model} {image} {working} {ranks} {cpus} {gpus}
    {memory_mb} {python}; {python} is python3 where the site is another host. With several ranks the site's mpirun is
    put before it."""

    cpus_per_job: Positive = 1.0
    """CPU cores that one job uses; with several ranks, that each of them uses."""

    memory_per_job: Count | None = None
    """MiB of memory that one job may use; null leaves it to the site."""

    timeout: Positive | None = None
    """Seconds after which a job is stopped; null leaves it to the site."""

    attempts: Count = 1
    """How often a run is tried before it is given up. One that ran out of memory or time is tried again with twice as
    much; one that was lost is tried as it was; one whose model failed is not tried again."""

    ranks: Count = 1
    """Processes that share the work of one job, as by mpirun."""

    gpus: Annotated[int, Field(ge=0, strict=True)] = 0
    """GPUs of one job."""

    options: dict[str, Any] = field(default_factory=dict)
    """Fields of the site's table in sites.toml that this campaign sets otherwise, such as {partition: long}."""

    def resources(self) -> Resources:
        """Return what one job needs."""
        return Resources(self.cpus_per_job, self.memory_per_job, self.timeout, self.ranks, self.gpus)

    def configured_site(self) -> ConfiguredSite:
        """Return the site. Raises ``ConfigError`` if there is none of this name, or it has a flow of its own."""
        configured = open_site(self.site)
        flow = _OTHER_FLOWS.get(configured.backend)
        if flow:
            reason = f"is a site of the backend {configured.backend}, which has a flow of its own"
            raise ConfigError([Problem("context.site", self.site, reason, f"use {flow}")], f"python -m flows.{flow} …")
        return configured

    def arguments(self, configured: ConfiguredSite) -> tuple[str, ...]:
        """Return the command as an argument list, with placeholders that differ between jobs still in place."""
        host = configured.site.host
        started = configured.mpirun if self.ranks > 1 else ()
        python = sys.executable if host is None or host.shared else "python3"
        command = (argument.replace("{python}", python) for argument in split_command(self.command))
        return fill((*started, *command), self.resources())
