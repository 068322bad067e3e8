"""Jobs of simcampaign's own kind: a command, or an input file that the site's executable is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from simcampaign.api.inputs import environment_problems
from simcampaign.errors import ABSENT, ConfigError, Problem
from simcampaign.fields import Command, split_command
from simcampaign.service.applications.asked import (
    Common,
    ResourcesAsked,
    Word,
    confined,
    file_name_problems,
    has_control,
    read,
)
from simcampaign.service.core.work import Work
from simcampaign.service.settings import Settings
from simcampaign.service.sites import usable
from simcampaign.sites.registry import ConfiguredSite

NOT_ALLOWED = "is not allowed: this server's owner decides what is run"
REMEDY = "name an application, or have the owner set allow_commands = true"


@dataclass(kw_only=True)
class PlainConfig(Common):
    """A job as a client describes it."""

    site: Word = "local"
    command: Command | None = None
    """Program and arguments, where the server's owner allows it; left out: the site's executable."""

    input: str = ""
    """The file that ``{input}`` stands for; by default the only one."""

    files: dict[str, str] = field(default_factory=dict)
    """Files that it finds where it is started: name and text."""

    paths: dict[str, str] = field(default_factory=dict)
    """Files of the service's host, below its roots: name and path."""

    resources: ResourcesAsked = field(default_factory=ResourcesAsked)
    environment: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the site for this job alone, e.g. its partition."""


def build(config: Mapping[str, Any], settings: Settings) -> tuple[PlainConfig, str, Work]:
    """Return what is asked for, its site, and what is to be run. Raises ``ConfigError`` with every mistake."""
    asked: PlainConfig = read(PlainConfig, config)
    configured = usable(asked.site)
    paths, problems = _paths(asked.paths, settings)
    problems += file_name_problems(list({**asked.files, **asked.paths}), "config.files")
    problems += environment_problems(asked.environment, "config.environment")
    if not settings.allow_commands:
        problems += _forbidden(asked, settings)
    problems += [
        Problem("config.outputs", each, "must be text without control characters")
        for each in asked.outputs
        if has_control(each) or each.startswith("/") or ".." in each.split("/")
    ]
    names = [*asked.files, *asked.paths]
    chosen = asked.input or (names[0] if len(names) == 1 else "")
    if chosen and chosen not in names:
        problems.append(Problem("config.input", chosen, "is none of the files"))
    command, found = _command(asked, configured, chosen)
    if problems + found:
        raise ConfigError(problems + found)
    work = Work(
        command=command,
        files=asked.files,
        paths=paths,
        input=chosen,
        environment={**configured.environment, **asked.environment},
        outputs=tuple(asked.outputs),
        resources=asked.resources.resources(),
        options=asked.options,
    )
    return asked, asked.site, work


def shown(asked: PlainConfig) -> dict[str, Any]:
    """Return the config as lists show it: values of the environment may be secrets."""
    return {**asdict(asked), "environment": dict.fromkeys(asked.environment, "(not shown)")}


def _paths(paths: Mapping[str, str], settings: Settings) -> tuple[dict[str, str], list[Problem]]:
    real = {name: confined(path, settings.roots) for name, path in paths.items()}
    problems = [
        Problem(f"config.paths.{name}", paths[name], "is no file below one of this server's roots")
        for name, path in real.items()
        if path is None or not path.is_file()
    ]
    return {name: str(path) for name, path in real.items()}, problems


def _forbidden(asked: PlainConfig, settings: Settings) -> list[Problem]:
    """Return what only clients may say who may run anything: each of these can lead to a program of their choice."""
    problems = []
    if asked.command is not None:
        problems.append(Problem("config.command", ABSENT, NOT_ALLOWED, REMEDY))
    problems += [Problem(f"config.environment.{name}", ABSENT, NOT_ALLOWED, REMEDY) for name in asked.environment]
    for name, value in asked.options.items():
        if name not in settings.job_options:
            allowed = ", ".join(settings.job_options)
            problems.append(Problem(f"config.options.{name}", ABSENT, "is not allowed here", f"one of: {allowed}"))
        elif not isinstance(value, (str, int, float)) or has_control(str(value)):
            problems.append(Problem(f"config.options.{name}", value, "must be text without control characters"))
    return problems


def _command(asked: PlainConfig, site: ConfiguredSite, chosen: str) -> tuple[tuple[str, ...], list[Problem]]:
    if asked.command is not None:
        words = split_command(asked.command)
        return words, [] if words else [Problem("config.command", asked.command, "must not be empty")]
    if not site.executable:
        reason = f"is missing, and site {site.name} has no executable for input files"
        return (), [Problem("config.command", ABSENT, reason, REMEDY)]
    if not chosen:
        return (), [Problem("config.input", ABSENT, "is missing: it is what the site's executable is started with")]
    return (*(site.mpirun if asked.resources.ranks > 1 else ()), *site.executable), []
