"""What the owner of a job manager decides about its solver."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from simcampaign.fields import STRICT, Count, Positive, Text


@dataclass(kw_only=True)
class SolverConfig:
    """The solver of this service."""

    __pydantic_config__ = STRICT

    enabled: bool = False
    """Whether clients may have simulations solved; `simcampaign serve --solver` says so, too."""

    location: str = ""
    """Directory where simulations and results are kept; by default `solver` in the folder of the ledger."""

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

    max_file_bytes: Count = 2**30
    """Largest file of a simulation."""
