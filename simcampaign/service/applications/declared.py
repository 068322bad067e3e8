"""Jobs of applications that the server's owner declared: clients fill in fields, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simcampaign.errors import ABSENT, ConfigError, Problem
from simcampaign.jobs import Resources
from simcampaign.mistakes import did_you_mean
from simcampaign.service.applications.asked import MOST_CORES, Common, Word, confined, has_control, read
from simcampaign.service.core.work import Work
from simcampaign.service.settings import ApplicationConfig, FieldConfig, Settings
from simcampaign.service.sites import usable

LONGEST_TEXT = 4096


@dataclass(kw_only=True)
class DeclaredConfig(Common):
    """A job of an application as a client describes it."""

    site: Word = ""
    fields: dict[str, Any] = field(default_factory=dict)
    """Values of the fields that the application has."""


def build(config: Mapping[str, Any], name: str, settings: Settings) -> tuple[DeclaredConfig, str, Work]:
    """Return what is asked for, its site, and what is to be run. Raises ``ConfigError`` with every mistake."""
    application = settings.applications[name]
    asked: DeclaredConfig = read(DeclaredConfig, config)
    site = chosen_site(asked.site, application)
    usable(site)
    values, problems = _values(asked.fields, application, settings)
    if problems:
        raise ConfigError(problems)
    cores = float(values[application.cores_field]) if application.cores_field else application.cores
    if not 0 < cores <= MOST_CORES:
        raise ConfigError([Problem(f"config.fields.{application.cores_field}", cores, "must be 1 or more")])
    words = {each: _text(value) for each, value in values.items()} | {"cores": f"{cores:g}"}
    directory = ""
    if application.directory:
        path = confined(words[application.directory], settings.roots)
        directory = "" if path is None else str(path if path.is_dir() else path.parent)
    work = Work(
        command=(application.executable, *(_filled(each, words) for each in application.arguments)),
        directory=directory,
        environment=application.environment,
        outputs=tuple(application.outputs),
        resources=Resources(
            cpus=cores, memory_mb=application.memory_mb, timeout_seconds=application.wall_time_in_seconds
        ),
    )
    return asked, site, work


def chosen_site(wanted: str, application: ApplicationConfig) -> str:
    """Return the site of a job of an application. Raises ``ConfigError`` if it may not run there."""
    allowed = [application.site, *application.sites]
    if wanted and wanted not in allowed:
        remedy = did_you_mean(wanted, allowed)
        raise ConfigError([Problem("config.site", wanted, "is no site of this application", remedy)])
    return wanted or application.site


def _values(
    given: Mapping[str, Any], application: ApplicationConfig, settings: Settings
) -> tuple[dict[str, Any], list[Problem]]:
    problems = [
        Problem(f"config.fields.{name}", value, "there is no such field", did_you_mean(name, application.fields))
        for name, value in given.items()
        if name not in application.fields
    ]
    values: dict[str, Any] = {}
    for name, each in application.fields.items():
        value = given.get(name, each.default)
        if value is None:
            problems.append(Problem(f"config.fields.{name}", ABSENT, "is missing"))
        elif fault := _fault(value, each, settings):
            problems.append(Problem(f"config.fields.{name}", value, fault))
        else:
            values[name] = str(confined(value, settings.roots)) if each.type == "path" else value
    return values, problems


def _fault(value: Any, kind: FieldConfig, settings: Settings) -> str:
    if kind.type == "boolean":
        return "" if isinstance(value, bool) else "must be true or false"
    if kind.type in {"integer", "number"}:
        return _number_fault(value, kind)
    if not isinstance(value, str) or has_control(value) or len(value) > LONGEST_TEXT:
        return f"must be text without control characters, at most {LONGEST_TEXT} long"
    if kind.type == "choice":
        return "" if value in kind.choices else f"must be one of: {', '.join(kind.choices)}"
    if kind.type == "path":
        return "" if confined(value, settings.roots) else "is nothing below one of this server's roots"
    return "must not start with '-', as the program would take it for an option" if value.startswith("-") else ""


def _number_fault(value: Any, kind: FieldConfig) -> str:
    allowed = (int,) if kind.type == "integer" else (int, float)
    if isinstance(value, bool) or not isinstance(value, allowed) or not abs(value) <= 1e300:
        return f"must be {'an integer' if kind.type == 'integer' else 'a number'}"
    if kind.at_least is not None and value < kind.at_least:
        return f"must be {kind.at_least:g} or more"
    if kind.at_most is not None and value > kind.at_most:
        return f"must be {kind.at_most:g} or less"
    return ""


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _filled(argument: str, words: Mapping[str, str]) -> str:
    """Fill an argument in, in one go, so that what a client says is not looked at again."""
    return re.sub(r"\{([a-z0-9_]+)\}", lambda match: words.get(match[1], match[0]), argument)
