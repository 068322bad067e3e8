"""Whether containers can run at a site: the daemon, what it can keep to, and the disks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from simcampaign.errors import NetworkError, SiteError
from simcampaign.sites.base import Finding
from simcampaign.sites.docker.nature import Nature

if TYPE_CHECKING:
    from simcampaign.sites.docker.daemon import Daemon

_LOW_BYTES = 2 * 2**30
_GIB = 2**30


def examine(connect: Callable[[], Daemon], image: str | None) -> Iterator[Finding]:
    """Yield what is found; without a daemon nothing else is asked of it."""
    try:
        daemon = connect()
        daemon.ping()
        nature = daemon.nature
    except (SiteError, NetworkError) as error:
        yield Finding("daemon", False, str(error))
        return
    yield Finding("daemon", True, f"{nature.title} at {daemon.address}, {nature.cores} cores")
    yield _memory(nature)
    yield _cpus(nature)
    yield _owner(nature)
    yield _disk("disk of the daemon", Path(nature.root))
    if image:
        yield _image(daemon, image)


def _memory(nature: Nature) -> Finding:
    if nature.limits_memory:
        return Finding("memory limit", True, f"kept, by control groups v{nature.cgroup}")
    if nature.podman and nature.rootless and nature.cgroup == "1":
        reason = "podman without root cannot keep memory limits with control groups v1, and ignores them"
        return Finding("memory limit", None, f"{reason}; use a host with v2, or podman as root")
    return Finding("memory limit", None, "the daemon has no control group for memory, so limits are not kept")


def _cpus(nature: Nature) -> Finding:
    if nature.limits_cpus:
        return Finding("cpu limit", True, "kept")
    return Finding("cpu limit", None, "the daemon has no control group for CPUs: a job may use more than it asked for")


def _owner(nature: Nature) -> Finding:
    how = "the daemon runs as you" if nature.rootless else "processes run with your numbers"
    return Finding("outputs", True, f"belong to user {os.getuid()}: {how}")


def _disk(subject: str, folder: Path) -> Finding:
    """Return how much room there is where a daemon keeps its files, if that is on this host and may be seen."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return Finding(subject, None, f"are kept in {folder}, which cannot be seen from here")
    shown = f"{free / _GIB:.1f} GiB free in {folder}"
    return Finding(subject, free >= _LOW_BYTES, shown if free >= _LOW_BYTES else f"only {shown}; docker system prune")


def _image(daemon: Daemon, image: str) -> Finding:
    try:
        there = daemon.has_image(image)
    except (SiteError, NetworkError) as error:
        return Finding("image", False, str(error))
    program = "podman" if daemon.nature.podman else "docker"
    return Finding("image", there, f"{image} is there" if there else f"{image} is not there; {program} pull {image}")
