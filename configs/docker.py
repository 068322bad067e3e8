"""The context of campaigns that run in containers on this machine."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Annotated, Literal

import psutil
from pydantic.functional_validators import AfterValidator

from configs.local import Directory, check_model_command
from simcampaign.errors import ABSENT, ConfigError, Problem
from simcampaign.fields import STRICT, Command, Count, Positive, Price, Text, split_command
from simcampaign.jobs import Resources
from simcampaign.places import data_folder
from simcampaign.sites.docker import DockerSite
from simcampaign.sites.docker.options import DaemonAddress, DockerOptions, Mounts, User

_SITE = "docker"


def _check_inside(command: str | list[str]) -> str | list[str]:
    """Refuse what means nothing inside a container; an empty command is the image's own."""
    if not split_command(command):
        return command
    if any("{python}" in argument for argument in split_command(command)):
        raise ValueError("{python} is this machine's interpreter, which a container does not have; write python")
    return check_model_command(command)


@dataclass
class DockerContextConfig:
    """Where files are, what is run in which kind of container, and how much of this machine it may take."""

    __pydantic_config__ = STRICT

    kind: Literal["docker"] = field(default="docker", kw_only=True)
    """Where jobs run: in containers on this machine."""

    working_location: Directory
    """Directory that holds the series' files, a directory per series; containers see the dated one as /mnt."""

    manifest_location: Text
    """Directory or s3:// address that holds the manifest."""

    template_location: Text
    """Directory or s3:// address that holds the templates."""

    command: Annotated[Command, AfterValidator(_check_inside)] = ""
    """Program and arguments of one job inside its container, as text (split as a shell would, but given to none) or as
    a list. These are filled in, with paths as containers see them: {input} {output} {seeds} {index} {job_id} {model}
    {image} {working}. Empty: what the image runs by itself."""

    slots: Count | None = None
    """Containers that run at the same time; null takes as many as CPUs and memory allow."""

    cpus_per_job: Positive = 1.0
    """CPU cores that one job may use."""

    memory_per_job: Count | None = None
    """MiB of memory that one job may use, without any swap; null sets no limit."""

    timeout: Positive | None = None
    """Seconds after which a job is stopped; null sets no limit."""

    attempts: Count = 1
    """How often a run is tried before it is given up. One that ran out of memory or time is tried again with twice as
    much; one that was lost is tried as it was; one whose model failed is not tried again."""

    docker_host: DaemonAddress | None = None
    """Address of the daemon of docker or podman; null: DOCKER_HOST, or docker's current context, or the socket that is
    there."""

    user: User | None = None
    """USER or USER:GROUP that a job runs as; null: you, so that outputs belong to you. Empty: what the image says."""

    network: Text = "none"
    """Network of the containers: none, bridge, host, or the name of one."""

    mounts: Mounts = field(default_factory=dict)
    """More of this machine that containers may read: path in the container → path here."""

    pull_image: bool = False
    """Pull the image if it is not there."""

    remove_containers: bool = False
    """Remove each container once its end and its log are saved; otherwise you remove them."""

    price_per_core_hour: Price = 0.0
    """Price of a core for an hour, in any currency; for estimates, costs and the budget."""

    def slot_count(self) -> int:
        """Return how many containers run at the same time: ``slots``, or as many as cores and memory allow."""
        if self.slots is not None:
            return self.slots
        allowed = int((os.cpu_count() or 1) / self.cpus_per_job)
        if self.memory_per_job is not None:
            allowed = min(allowed, psutil.virtual_memory().total // (self.memory_per_job * 2**20))
        return max(1, allowed)

    def arguments(self) -> tuple[str, ...]:
        """Return the command as an argument list, placeholders still in place."""
        return split_command(self.command)

    def resources(self) -> Resources:
        """Return what one job needs."""
        return Resources(self.cpus_per_job, self.memory_per_job, self.timeout)

    def site(self) -> DockerSite:
        """Return the site that this context describes."""
        options = DockerOptions(
            base_url=self.docker_host,
            slots=self.slot_count() * math.ceil(self.cpus_per_job),
            user=self.user,
            network=self.network,
            mounts=self.mounts,
            remove=self.remove_containers,
            pull=self.pull_image,
            price_per_core_hour=self.price_per_core_hour,
        )
        return DockerSite(name=_SITE, options=options, root=data_folder() / _SITE)


def check_image(image: str) -> None:
    """Raise ``ConfigError`` if there is no image to run jobs in."""
    if not image:
        raise ConfigError(
            [
                Problem(
                    "parameters.image", ABSENT, "is missing: jobs run in containers of it", "give one, e.g. model:1.0"
                )
            ]
        )
