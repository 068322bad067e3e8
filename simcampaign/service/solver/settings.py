"""What the owner of a job manager decides about its solver."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from simcampaign.fields import STRICT, Count, Positive, Text


@dataclass(kw_only=True)
class Tidy3dConfig:
    """What clients of Tidy3D's cloud, unchanged, find here."""

    __pydantic_config__ = STRICT

    enabled: bool = False
    """Whether their protocol is spoken below `/tidy3d-api`; `simcampaign serve --tidy3d` says so, too."""

    python: str = ""
    """The Python, here and at the solver's site, of an environment that has tidy3d; without one nothing of theirs is
    solved."""

    exchange: str = ""
    """`s3://bucket[/prefix]` where their clients put simulations and fetch results: they know no other way."""

    region: str = ""
    """Region of that bucket; empty for that of this service's AWS configuration."""

    role_arn: str = ""
    """Role that this service takes on to give clients temporary keys for single files; empty for its own user, whose
    federation tokens it then gives."""

    key_minutes: Annotated[int, Field(ge=15, le=720)] = 60
    """How long such keys are good for."""


@dataclass(kw_only=True)
class SolverConfig:
    """The solver of this service."""

    __pydantic_config__ = STRICT

    enabled: bool = False
    """Whether clients may have simulations solved; `simcampaign serve --solver` says so, too."""

    location: str = ""
    """Directory or `s3://bucket[/prefix]` where simulations and results are kept; by default `solver` in the folder of
    the ledger. Of what lies in a bucket, copies are kept in that folder."""

    site: Text = "local"
    """Where simulations are solved."""

    python: Text = sys.executable
    """The Python of that site that has simcampaign with its extra `solver`."""

    cores: Positive = 1.0
    """Cores that a simulation takes."""

    memory_mb: Count | None = None
    """Memory of a simulation in MiB; more is the end of it."""

    wall_time_in_seconds: Positive | None = None
    """Longest time of a simulation."""

    callback_hosts: list[str] = field(default_factory=list)
    """Hosts, each NAME or NAME:PORT, that clients may have told that a task is over; "*" for any. By default none."""

    max_file_bytes: Count = 2**30
    """Largest file of a simulation."""

    tidy3d: Tidy3dConfig = field(default_factory=Tidy3dConfig)
    """Simulations of tidy3d, and clients of its cloud."""
