"""What a person writes about a cluster in ``sites.toml``, and what one array alone may ask of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import ClassVar, Literal, TypeVar

from pydantic import ConfigDict, ValidationError

from simcampaign.errors import ConfigError, Problem
from simcampaign.fields import STRICT, Count, Positive, Price, Text, reader
from simcampaign.mistakes import did_you_mean, explain
from simcampaign.sites.hosts import HostOptions


@dataclass(kw_only=True)
class ClusterOptions(HostOptions):
    """Options of every scheduler's sites; each scheduler adds its own."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    scratch: Text = "~/.simcampaign"
    """Directory for scripts, logs and exit codes that login and compute nodes share; absolute, or below `~`."""

    shell: Text = "/bin/sh"
    """What runs the job script, e.g. `/bin/bash -l` where `module` is only known to a login shell."""

    account: Text | None = None
    """Account or project that pays."""

    exclusive: bool = False
    """True if a job shares its nodes with no other."""

    mail: Text | None = None
    """Address that the scheduler writes to."""

    mail_events: list[Literal["begin", "end", "fail"]] = field(default_factory=lambda: ["end", "fail"])
    """When the scheduler writes to `mail`: `begin`, `end`, `fail`."""

    modules: list[Text] = field(default_factory=list)
    """Environment modules to load before the command, in this order."""

    prologue: str = ""
    """Lines of shell that each job runs before its command, after the modules are loaded."""

    directives: list[Text] = field(default_factory=list)
    """Further options for the scheduler, each the text of one directive line, e.g. `--reservation=spring`."""

    max_array_size: Count | None = None
    """Most jobs in one array. Without it the scheduler is asked."""

    max_running: Count | None = None
    """Most jobs of one array that run at a time. Without it there is no limit but the cluster's."""

    poll_seconds: Positive = 20.0
    """Seconds between two questions to the scheduler, whatever the number of arrays."""

    price_per_core_hour: Price = 0.0
    """What an hour of one core costs."""


Options = TypeVar("Options", bound=ClusterOptions)

SITE_ONLY = frozenset(each.name for each in fields(HostOptions)) | {"scratch", "poll_seconds", "prologue", "shell"}
"""Options that belong to the site: an array cannot ask for another host, nor for lines of shell."""


def with_array_options(options: Options, wanted: dict[str, object], site: str) -> Options:
    """Return the site's options with those that one array overrides.

    Raises ``ConfigError`` for a name that is not an option, or a value that does not fit.
    """
    if not wanted:
        return options
    free = [each.name for each in fields(options) if each.name not in SITE_ONLY]
    problems = [
        Problem(f"options.{name}", value, f"site {site} has no such option for an array", did_you_mean(name, free))
        for name, value in wanted.items()
        if name not in free
    ]
    if problems:
        raise ConfigError(problems)
    merged = asdict(options) | wanted
    try:
        validated: Options = reader(type(options)).validate_python(merged)
    except ValidationError as error:
        raise ConfigError(explain(error, "options", type(options), merged)) from error
    return validated
