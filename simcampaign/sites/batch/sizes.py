"""Which resources a job may ask for."""

from __future__ import annotations

from simcampaign.errors import SiteError
from simcampaign.jobs import Resources
from simcampaign.sites.batch.definition import Platform

SHORTEST_TIMEOUT_SECONDS = 60
"""The service takes no shorter one."""

FARGATE_MEMORY_MB = {
    0.25: (512, 1024, 2048),
    0.5: tuple(range(1024, 4096 + 1, 1024)),
    1.0: tuple(range(2048, 8192 + 1, 1024)),
    2.0: tuple(range(4096, 16384 + 1, 1024)),
    4.0: tuple(range(8192, 30720 + 1, 1024)),
    8.0: tuple(range(16384, 61440 + 1, 4096)),
    16.0: tuple(range(32768, 122880 + 1, 8192)),
}
"""MiB of memory that Fargate offers with each number of vCPUs (ResourceRequirement in the API reference of Batch)."""


def check_resources(resources: Resources, platform: Platform) -> None:
    """Raise ``SiteError`` if the service would refuse jobs with these resources."""
    cpus, memory, timeout = resources.cores, resources.memory_mb, resources.timeout_seconds
    if memory is None:
        raise SiteError("memory: a job of AWS Batch needs a limit", "give MiB, e.g. memory: 2048")
    if timeout is not None and timeout < SHORTEST_TIMEOUT_SECONDS:
        raise SiteError(f"timeout = {timeout:g}: AWS Batch takes none below 60 s", "give 60 or more, or none")
    if platform == "FARGATE":
        if resources.gpus:
            raise SiteError(f"gpus = {resources.gpus}: Fargate has none", "use EC2")
        _check_fargate(cpus, memory)
    elif cpus < 1 or cpus != int(cpus):
        raise SiteError(f"vcpus = {cpus:g}: machines of EC2 give whole ones only", "give 1 or more, or use FARGATE")
    elif memory < 4:
        raise SiteError(f"memory = {memory}: AWS Batch takes no less than 4 MiB", "give MiB, e.g. memory: 2048")


def _check_fargate(cpus: float, memory: int) -> None:
    sizes = FARGATE_MEMORY_MB.get(cpus)
    if sizes is None:
        offered = ", ".join(f"{each:g}" for each in FARGATE_MEMORY_MB)
        raise SiteError(f"vcpus = {cpus:g}: Fargate does not offer that", f"give one of {offered}")
    if memory not in sizes:
        nearest = min((size for size in sizes if size >= memory), default=sizes[-1])
        reason = f"Fargate with {cpus:g} vCPUs offers {sizes[0]} to {sizes[-1]} MiB in steps of {sizes[1] - sizes[0]}"
        raise SiteError(f"memory = {memory}: {reason}", f"give e.g. memory: {nearest}")
