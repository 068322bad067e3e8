"""An array as its jobs see it inside their containers, and what all these containers have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from simcampaign.errors import SiteError
from simcampaign.jobs import ArraySpec, JobSpec, Resources
from simcampaign.sites.docker.container import MOUNT
from simcampaign.sites.docker.nature import Nature
from simcampaign.sites.docker.options import DockerOptions

_NANO = 10**9
_MIB = 2**20


@dataclass(frozen=True)
class _View(Sequence[JobSpec]):
    """Jobs with their inputs' paths as containers see them, made when asked for."""

    jobs: Sequence[JobSpec]
    working_url: str

    def __len__(self) -> int:
        return len(self.jobs)

    @overload
    def __getitem__(self, index: int) -> JobSpec: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[JobSpec]: ...
    def __getitem__(self, index: int | slice) -> JobSpec | Sequence[JobSpec]:
        if isinstance(index, slice):
            return _View(self.jobs[index], self.working_url)
        return self._seen(self.jobs[index])

    def __iter__(self) -> Iterator[JobSpec]:
        return map(self._seen, self.jobs)

    def _seen(self, job: JobSpec) -> JobSpec:
        return replace(job, input_path=_seen(job.input_path, self.working_url))


def working_directory(array: ArraySpec) -> Path:
    """Return the directory that is mounted. Raises ``SiteError`` if the location is none of this host."""
    if "://" in array.working_url:
        raise SiteError(
            f"working_location = {array.working_url}: containers at this site reach a directory of this host only",
            "give a directory, or use the flow run_batch_simulations",
        )
    return Path(array.working_url).absolute()


def seen_inside(array: ArraySpec) -> ArraySpec:
    """Return the array with paths as its containers see them: its location is at ``/mnt``.

    What is not below the location stays as it is. Raises ``SiteError`` for a directory of jobs that is not.
    """
    if array.directory and not array.directory.startswith(array.working_url):
        raise SiteError(
            f"directory = {array.directory}: jobs in containers start below {array.working_url}, which is all they see"
        )
    return replace(
        array,
        working_url=f"{MOUNT}/",
        output=_seen(array.output, array.working_url),
        directory=_seen(array.directory, array.working_url),
        jobs=_View(array.jobs, array.working_url),
    )


def _seen(path: str, working_url: str) -> str:
    return f"{MOUNT}/{path.removeprefix(working_url)}" if path.startswith(working_url) else path


def check_resources(resources: Resources, nature: Nature) -> None:
    """Raise ``SiteError`` if a job needs more than the daemon's host has, or than the daemon hands out."""
    if resources.gpus and nature.podman:
        reason = "podman hands out no GPUs through docker's interface"
        raise SiteError(f"gpus = {resources.gpus}: {reason}", "use docker with NVIDIA's container toolkit")
    if nature.cores and resources.cores > nature.cores:
        raise SiteError(
            f"cpus = {resources.cores:g}: the host of {nature.title} has {nature.cores} cores", "give fewer"
        )
    if nature.memory_bytes and (resources.memory_mb or 0) * _MIB > nature.memory_bytes:
        there = nature.memory_bytes // _MIB
        raise SiteError(f"memory = {resources.memory_mb} MiB: the host of {nature.title} has {there} MiB", "give less")


def container_of(array: ArraySpec, image: str, options: DockerOptions, nature: Nature) -> dict[str, Any]:
    """Return what the daemon is told about all containers of an array alike.

    ``array`` is as the submitter sees it. Raises ``SiteError`` if something that is to be mounted is not there.
    """
    resources = array.resources
    mounts = [(working_directory(array), MOUNT, "rw")]
    mounts += [(Path(outside).expanduser(), inside, "ro") for inside, outside in options.mounts.items()]
    host: dict[str, Any] = {
        "NetworkMode": options.network,
        "SecurityOpt": _security(nature),
        **_mounted(mounts),
    }
    if nature.limits_cpus:
        host["NanoCpus"] = round(resources.cores * _NANO)
    if resources.memory_mb and nature.limits_memory:
        host["Memory"] = resources.memory_mb * _MIB
        if nature.limits_swap:
            host["MemorySwap"] = host["Memory"]  # of memory and swap together: no swap
    if resources.gpus:
        host["DeviceRequests"] = [{"Count": resources.gpus, "Capabilities": [["gpu"]]}]
    return {"Image": image, **_user(options.user, nature, host), "HostConfig": host}


def _user(given: str | None, nature: Nature, host: dict[str, Any]) -> dict[str, str]:
    """Return as whom a container runs; by default as whoever started it, by this host's reckoning."""
    if given is not None:
        return {"User": given} if given else {}
    if nature.rootless and nature.podman:
        host["UsernsMode"] = "keep-id"  # the same number inside as outside
        return {}
    if nature.rootless:
        return {"User": "0:0"}  # which is the person outside
    if "name=userns" in nature.security:
        host["UsernsMode"] = "host"
    return {"User": f"{os.getuid()}:{os.getgid()}"}


def _security(nature: Nature) -> list[str]:
    """Return what containers are denied; where SELinux rules, they may read unlabelled files, as all of ours are."""
    options = ["no-new-privileges"]
    if any(each.startswith("name=selinux") for each in nature.security):
        options.append("label=disable")
    return options


def _mounted(mounts: list[tuple[Path, str, str]]) -> dict[str, Any]:
    """Return mounts as a daemon takes them: podman cannot take a comma in one way, neither can a colon in the other."""
    for outside, _, _ in mounts:
        if not outside.exists():
            # Podman, and docker in the one way, would make the directory, as root.
            raise SiteError(f"{outside} is to be mounted into containers, but it is not there", f"mkdir -p {outside}")
    binds = [f"{outside}:{inside}:{mode}" for outside, inside, mode in mounts if not _has_colon(outside, inside)]
    others = [
        {"Type": "bind", "Source": str(outside), "Target": inside, "ReadOnly": mode == "ro"}
        for outside, inside, mode in mounts
        if _has_colon(outside, inside)
    ]
    return {"Binds": binds, **({"Mounts": others} if others else {})}


def _has_colon(outside: Path, inside: str) -> bool:
    return ":" in str(outside) or ":" in inside
