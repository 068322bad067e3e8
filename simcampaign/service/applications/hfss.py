"""The application ``hfss``: simulation configs as clients of PyEDB's job manager send them.

What they say of the program itself is not heard: it is the server's. Fields that are not known are left out, as there.
"""

from __future__ import annotations

import dataclasses
import glob
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.functional_validators import AfterValidator

from simcampaign.errors import ConfigError, Problem
from simcampaign.jobs import Resources
from simcampaign.service.applications.asked import Common, Natural, confined, has_control, read
from simcampaign.service.applications.declared import chosen_site
from simcampaign.service.core.work import Work
from simcampaign.service.settings import ApplicationConfig, Settings
from simcampaign.service.sites import cores_here, usable
from simcampaign.sites.registry import ConfiguredSite

LENIENT = ConfigDict(extra="ignore")
SUFFIXES = {".aedt", ".aedb"}
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_SCHEDULERS = ("none", "lsf", "slurm", "pbs", "windows_hpc")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_UNITS = {"K": 2**-10, "": 1.0, "M": 1.0, "G": 2.0**10, "T": 2.0**20}
"""Sizes in MiB; a bare number is in MiB, as schedulers have it."""


def _check_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("must be the name of a host")
    return text


def _check_name(text: str) -> str:
    """Names go into arguments that the program takes apart again."""
    if has_control(text) or any(each in text for each in "'\":") or text.startswith("-") or len(text) > 200:
        raise ValueError("must be at most 200 characters, without quotes, colons and control characters")
    return text


def _check_scheduler(text: str) -> str:
    if text.lower() not in _SCHEDULERS:
        raise ValueError(f"{text!r} is not a valid SchedulerType")
    return text.lower()


Name = Annotated[str, AfterValidator(_check_name)]


@dataclass(kw_only=True)
class MachineNode:
    """A host that takes part."""

    __pydantic_config__ = LENIENT

    hostname: Annotated[str, AfterValidator(_check_host)] = "localhost"
    cores: Annotated[int, Field(ge=-1, le=10**6)] = -1
    max_cores: Annotated[int, Field(ge=1, le=10**6)] = 20
    utilization: Annotated[int, Field(ge=1, le=100)] = 90

    def __str__(self) -> str:
        return f"{self.hostname}:{self.cores}:{self.max_cores}:{self.utilization}%"


@dataclass(kw_only=True)
class SchedulerOptions:
    """What is asked of a cluster's scheduler."""

    __pydantic_config__ = LENIENT

    queue: Name = "default"
    time: str = "24:00:00"
    """H:MM:SS, D.HH:MM:SS or minutes."""

    nodes: Annotated[int, Field(ge=1, le=10**5)] = 1
    tasks_per_node: Annotated[int, Field(ge=1, le=10**5)] = 1
    cores_per_node: Natural = 0
    memory: str = "4GB"
    account: Name | None = None
    reservation: Name | None = None
    qos: Name | None = None
    constraints: Name | None = None
    exclusive: bool = False
    gpus: Natural = 0
    gpu_type: Name | None = None
    priority: Literal["Low", "BelowNormal", "Normal", "AboveNormal", "High"] = "Normal"
    email_notification: Name | None = None
    run_as_administrator: bool = False

    def resources(self) -> Resources:
        """Return them in the words of sites. Raises ``ConfigError``."""
        cores = self.nodes * (self.cores_per_node or self.tasks_per_node)
        return Resources(
            cpus=cores, memory_mb=_mebibytes(self.memory), timeout_seconds=_seconds(self.time), gpus=self.gpus
        )


@dataclass(kw_only=True)
class LayoutOptions:
    """Options of HFSS 3D Layout."""

    __pydantic_config__ = LENIENT

    create_starting_mesh: bool = False
    default_process_priority: Literal["Normal", "Low", "High", "Idle"] = "Normal"
    enable_gpu: bool = False
    mpi_vendor: Literal["Microsoft", "Intel", "Open MPI"] = "Intel"
    mpi_version: Name = "Default"
    remote_spawn_command: Name = "Scheduler"
    solve_adaptive_only: bool = False
    validate_only: bool = False
    temp_directory: str = ""

    def text(self) -> str:
        """Return them as the program takes them: ``'name'='value'``, with blanks between."""
        values = {_camel(each): getattr(self, each) for each in self.__dataclass_fields__ if each != "temp_directory"}
        named = {f"HFSS 3D Layout Design/{name}": value for name, value in values.items()}
        if self.temp_directory:
            named["TempDirectory"] = self.temp_directory
        return " ".join(
            f"'{name}'='{int(value) if isinstance(value, bool) else value}'" for name, value in named.items()
        )


@dataclass(kw_only=True)
class HfssConfig(Common):
    """A simulation as a client describes it."""

    __pydantic_config__ = LENIENT

    solver: Name = "Hfss3DLayout"
    distributed: bool = True
    machine_nodes: Annotated[list[MachineNode], Field(max_length=10_000)] = field(default_factory=list)
    auto: bool = True
    non_graphical: bool = True
    monitor: bool = True
    layout_options: LayoutOptions = field(default_factory=LayoutOptions)
    project_path: str = ""
    design_name: Name = "main"
    design_mode: Name = "Nominal"
    setup_name: Name = "Setup1"
    scheduler_type: Annotated[str, AfterValidator(_check_scheduler)] = "none"
    scheduler_options: SchedulerOptions = field(default_factory=SchedulerOptions)


def is_one(config: Mapping[str, Any]) -> bool:
    """Tell whether a config that names no application is one of these."""
    return "application" not in config and ("project_path" in config or "solver" in config)


def new_job_id() -> str:
    """Return an id as PyEDB makes them, and one that no other job has."""
    return f"RSM_{time.strftime('%Y%m%d_%H%M%S')}_{secrets.token_hex(4)}"


def build(config: Mapping[str, Any], name: str, settings: Settings) -> tuple[HfssConfig, str, Work]:
    """Return what is asked for, its site, and what is to be run. Raises ``ConfigError`` with every mistake."""
    application = settings.applications[name]
    asked: HfssConfig = read(HfssConfig, {**config, "layout_options": config.get("layout_options") or {}})
    project = _project(asked.project_path, settings)
    if has_control(asked.layout_options.temp_directory) or "'" in asked.layout_options.temp_directory:
        reason = "must be without quotes and control characters"
        raise ConfigError(
            [Problem("config.layout_options.temp_directory", asked.layout_options.temp_directory, reason)]
        )
    site = _site(asked, application)
    here = cores_here(site.name)
    batch = None if here is not None else asked.scheduler_options
    work = Work(
        command=arguments(asked, application.executable, project),
        environment={**site.environment, **application.environment},
        outputs=tuple(application.outputs),
        resources=_local_resources(asked, application, here) if batch is None else batch.resources(),
        options={} if batch is None else _options(batch, site),
        log=f"{glob.escape(str(project.with_suffix('.aedb')))}.batchinfo*/*.log",
    )
    return asked, site.name, work


def arguments(asked: HfssConfig, executable: str, project: Path) -> tuple[str, ...]:
    """Return the command; the job's id is filled in where it is started."""
    nodes = ",".join(str(node) for node in asked.machine_nodes)
    return (
        executable,
        *("-jobid", "{job_id}"),
        *(("-machinelist", f"list={nodes}") if nodes else ()),
        *(("-ng",) if asked.non_graphical else ()),
        *(("-monitor",) if asked.monitor else ()),
        *("-batchoptions", asked.layout_options.text()),
        *("-batchsolve", f"{asked.design_name}:{asked.design_mode}:{asked.setup_name}", str(project)),
    )


def shown(asked: HfssConfig) -> dict[str, Any]:
    """Return the config as lists show it."""
    nodes = [asdict(node) for node in asked.machine_nodes]
    return {**asdict(asked), "machine_nodes": nodes, "version": "1.0.0"}


def _project(path: str, settings: Settings) -> Path:
    project = confined(path, settings.roots)
    if project is None:
        reason = f"Project file not found: {path}"
        raise ConfigError(
            [Problem("config.project_path", path, reason, "below the roots of this server, as its owner set them")]
        )
    if project.suffix not in SUFFIXES:
        raise ConfigError([Problem("config.project_path", path, "Project path must be a .aedt or .aedb file")])
    return project


def _site(asked: HfssConfig, application: ApplicationConfig) -> ConfiguredSite:
    if asked.scheduler_type == "none":
        return usable(application.site)
    for name in (application.site, *application.sites):
        site = usable(chosen_site(name, application))
        if site.backend == asked.scheduler_type:
            return site
    raise ConfigError([Problem("config.scheduler_type", asked.scheduler_type, "is at no site of this application")])


def _local_resources(asked: HfssConfig, application: ApplicationConfig, most: float | None) -> Resources:
    """Return what is used of this host; all cores (-1) are as many as there are, or the node's ``max_cores``."""
    cores = sum(
        node.cores if node.cores > 0 else min(node.max_cores, int(most or node.max_cores))
        for node in asked.machine_nodes
    )
    return Resources(
        cpus=cores or application.cores,
        memory_mb=application.memory_mb,
        timeout_seconds=application.wall_time_in_seconds,
        gpus=0,
    )


def _options(asked: SchedulerOptions, site: ConfiguredSite) -> dict[str, object]:
    """Return those options that the site has; a queue named ``default`` is the cluster's own."""
    known = {each.name for each in dataclasses.fields(type(site.site).options)}
    queue = None if asked.queue == "default" else asked.queue
    wanted = {
        "partition": queue,
        "queue": queue,
        "account": asked.account,
        "reservation": asked.reservation,
        "qos": asked.qos,
        "constraint": asked.constraints,
        "gpu_type": asked.gpu_type,
        "exclusive": asked.exclusive or None,
    }
    return {name: value for name, value in wanted.items() if value is not None and name in known}


def _mebibytes(text: str) -> int:
    match = _MEMORY.fullmatch(text.strip())
    if match is None or len(text) > 20 or float(match[1]) <= 0:
        raise ConfigError([Problem("config.scheduler_options.memory", text, "is no size, e.g. 4GB")])
    return max(1, int(float(match[1]) * _UNITS[match[2].upper()]))


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(?:(\d{1,3})\.)?(\d{1,4}):([0-5]\d):([0-5]\d)", text)
    if match is not None:
        days, hours, minutes, seconds = (int(each or 0) for each in match.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    if re.fullmatch(r"\d{1,7}", text) and int(text):
        return int(text) * 60.0
    raise ConfigError([Problem("config.scheduler_options.time", text, "is no time: H:MM:SS, D.HH:MM:SS or minutes")])


def _camel(name: str) -> str:
    """``enable_gpu`` → ``EnableGPU``."""
    upper = {"gpu": "GPU", "mpi": "MPI"}
    return "".join(upper.get(word, word.capitalize()) for word in name.split("_"))
