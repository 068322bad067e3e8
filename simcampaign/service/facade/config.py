"""Simulation configs of HFSS 3D Layout, and the program that solves them, as users of PyEDB write them."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from simcampaign.errors import ConfigError, Problem
from simcampaign.service.applications.hfss import SUFFIXES, HfssConfig, MachineNode

_ROOT = re.compile(r"ANSYSEM_ROOT(\d{3})")
_VERSION = re.compile(r"(?:20)?(\d\d)\.?([1-9])")
_NO_ID = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(kw_only=True)
class SimulationConfig(HfssConfig):
    """A simulation; its fields can be changed until it is submitted, and are checked then."""

    ansys_edt_path: str = ""
    """The program that solves it; empty for that of the job manager."""

    machine_nodes: list[MachineNode] = field(default_factory=lambda: [MachineNode(cores=1, max_cores=1)])

    def to_dict(self) -> dict[str, Any]:
        """Return it as it is sent."""
        values = {name: value for name, value in asdict(self).items() if value is not None and value != ""}
        return {**values, "project_path": os.fspath(self.project_path)}


def make_config(
    project_path: str | os.PathLike[str],
    ansys_edt_path: str | os.PathLike[str] | None = None,
    jobid: str | None = None,
    scheduler_type: str | None = None,
    cpu_cores: int = 1,
    user: str | None = None,
) -> SimulationConfig:
    """Return the config of a project on one node of this host, or for a cluster. Raises ``ConfigError``.

    ``scheduler_type`` is ``"none"``, this host, by default; ``user`` is whoever runs this program.
    """
    project = Path(project_path).absolute()
    if not project.exists():
        raise ConfigError([Problem("project_path", str(project_path), f"Project file not found: {project}")])
    if project.suffix not in SUFFIXES:
        raise ConfigError([Problem("project_path", str(project_path), "Project path must be a .aedt or .aedb file")])
    return SimulationConfig(
        project_path=str(project),
        ansys_edt_path=os.fspath(ansys_edt_path) if ansys_edt_path else "",
        jobid=jobid or f"{_NO_ID.sub('_', project.stem)[:80]}_{secrets.token_hex(3)}",
        user=user,
        scheduler_type=str(scheduler_type or "none"),
        machine_nodes=[MachineNode(cores=cpu_cores, max_cores=cpu_cores)],
    )


def find_ansysedt(version: str = "") -> str:
    """Return the path of the installed program, by ``ANSYSEM_ROOTnnn``: of a version, e.g. 2025.2, or the newest.

    Empty if there is none and no version is asked for. Raises ``ConfigError`` if that version is not there.
    """
    roots = {match[1]: root for name, root in os.environ.items() if (match := _ROOT.fullmatch(name))}
    if not version:
        newest = max(roots, default="")
        return str(Path(roots[newest]) / "ansysedt") if newest else ""
    match = _VERSION.fullmatch(version)
    number = f"{match[1]}{match[2]}" if match else version
    if number not in roots:
        reason = f"is not installed here: ANSYSEM_ROOT{number} is not set"
        raise ConfigError([Problem("version", version, reason, "give ansys_path")])
    return str(Path(roots[number]) / "ansysedt")
