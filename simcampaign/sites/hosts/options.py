"""What a person writes about the host of a site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from simcampaign.fields import STRICT, Count, Positive, Text


@dataclass(kw_only=True)
class HostOptions:
    """Where a site's commands are run: on this host, or on one that is reached by SSH."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    host: Text | None = None
    """Name, address or alias of `~/.ssh/config` of the host that is reached by SSH. Left out: this host."""

    user: Text | None = None
    """User name there; by default what `config_file` says, or else your name here."""

    port: Annotated[Count, Field(le=65535)] | None = None
    """Port of the SSH server; by default what `config_file` says, or else 22."""

    identity_file: Text | None = None
    """File of the private key; by default what `config_file` says, or else the agent's keys and those in `~/.ssh`."""

    config_file: Text = "~/.ssh/config"
    """OpenSSH's client configuration: aliases, users, keys, `ProxyJump`. It need not exist."""

    known_hosts: Text | None = None
    """File of the host keys that are trusted; by default what `config_file` says, or else `~/.ssh/known_hosts`."""

    connect_timeout: Positive = 30.0
    """Seconds after which a connection that cannot be made is given up."""
