"""What a person writes about a site of containers."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict

from simcampaign.fields import STRICT, Count, Price, Text
from simcampaign.sites.docker.container import MOUNT
from simcampaign.sites.local import Grace

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
_SCHEMES = ("unix://", "tcp://", "http://", "https://", "ssh://", "npipe://")


def _check_address(address: str) -> str:
    if not address.startswith(_SCHEMES):
        raise ValueError("is no address of a daemon, such as unix:///var/run/docker.sock")
    return address


def _check_user(user: str) -> str:
    if user and not _USER.fullmatch(user):
        raise ValueError("must be USER or USER:GROUP, as names or numbers; empty for the image's own")
    return user


def _check_mounts(mounts: dict[str, str]) -> dict[str, str]:
    for inside, outside in mounts.items():
        if not inside.startswith("/") or posixpath.normpath(inside) in {"/", MOUNT}:
            raise ValueError(f"{inside}: must be an absolute path other than / and {MOUNT}")
        if not outside.startswith(("/", "~")):
            raise ValueError(f"{outside}: must be an absolute path of this host")
    return mounts


DaemonAddress = Annotated[Text, AfterValidator(_check_address)]
"""Address of a daemon."""

User = Annotated[str, AfterValidator(_check_user)]
"""User, and group, of the processes in a container."""

Mounts = Annotated[dict[str, str], AfterValidator(_check_mounts)]
"""Paths in a container, and the directories or files of this host that are seen there."""


@dataclass(kw_only=True)
class DockerOptions:
    """Which daemon runs the containers, and what they may do."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    root: Text | None = None
    """Directory of the site's own files; by default `docker` in simcampaign's data folder."""

    base_url: DaemonAddress | None = None
    """Address of the daemon of docker or podman, which must see the same files as this host. Left out: DOCKER_HOST, or
    docker's current context, or the socket of docker or podman that is there."""

    image: Text | None = None
    """Image of jobs that name none, such as those of the API."""

    slots: Count | None = None
    """Cores that containers may take at the same time, over all arrays of the site; left out: all of this host. A job
    takes as many as it asks for, at least one."""

    user: User | None = None
    """USER or USER:GROUP that the processes in a container run as. Left out: you, so that outputs belong to you. Empty:
    what the image says."""

    network: Text = "none"
    """Network of the containers: none, bridge, host, or the name of one."""

    mounts: Mounts = field(default_factory=dict)
    """More of this host that containers may read: path in the container → path here."""

    remove: bool = False
    """Remove each container once its end and its log are saved; otherwise containers are kept until you remove them."""

    pull: bool = False
    """Pull an image that is not there; otherwise an array that needs it is refused."""

    grace_seconds: Grace = 10.0
    """Seconds between asking a container to end (TERM) and killing it."""

    price_per_core_hour: Price = 0.0
    """Price of a core for an hour, in any currency."""
