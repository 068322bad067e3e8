"""What the owner of a job manager in a Python program says of it, as settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simcampaign.service.core.limits import ResourceLimits
from simcampaign.service.settings import Settings, check, read_table

Source = Mapping[str, Any] | str | os.PathLike[str] | None
"""Settings as a mapping, or the path of a file of them; None for the user's own file, if it is there."""


def owners_settings(
    source: Source = None,
    *,
    resource_limits: ResourceLimits | None = None,
    applications: Mapping[str, Mapping[str, Any]] | None = None,
    ansys_path: str = "",
    **over: Any,
) -> Settings:
    """Return settings; what is given goes before what ``source`` says. Raises ``ConfigError``, ``LocationError``."""
    table = dict(source) if isinstance(source, Mapping) else read_table(None if source is None else Path(source))
    table |= {name: value for name, value in over.items() if value is not None}
    if resource_limits is not None:
        table["limits"] = asdict(resource_limits)
    programs = {**table.get("applications", {}), **(applications or {})}
    if ansys_path:
        name = next((name for name, each in programs.items() if each.get("kind") == "hfss"), "hfss")
        programs[name] = {"kind": "hfss", **programs.get(name, {}), "executable": ansys_path}
    return check({**table, "applications": programs}, "the settings of JobManagerHandler")
