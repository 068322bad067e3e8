"""What the owner of a job manager decides: where it listens, who may do what, and what may be run."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import BeforeValidator, Field, ValidationError
from pydantic.functional_validators import AfterValidator

from simcampaign.errors import ABSENT, ConfigError, LocationError, Problem
from simcampaign.fields import STRICT, Count, Positive, Text, reader
from simcampaign.mistakes import explain
from simcampaign.service.core.limits import Caps, ResourceLimits
from simcampaign.service.solver.settings import SolverConfig

ROLES = ("viewer", "submitter", "admin")
"""Who may do more comes later: look; submit, and change one's own jobs; everything."""

SHORTEST_TOKEN = 20
"""Characters of a token; shorter ones can be guessed."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _check_digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise ValueError("must be the 64 hexadecimal digits that `printf %s TOKEN | sha256sum` prints")
    return text


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 - what pydantic turns into a mistake
    return value


Share = Annotated[float, BeforeValidator(_no_bool), Field(gt=0, allow_inf_nan=False)]
Amount = Annotated[float, BeforeValidator(_no_bool), Field(ge=0, allow_inf_nan=False)]
Percent = Annotated[float, BeforeValidator(_no_bool), Field(gt=0, le=100, allow_inf_nan=False)]


@dataclass(kw_only=True)
class UserConfig:
    """A person or program that may use the service."""

    __pydantic_config__ = STRICT

    token_sha256: Annotated[str, AfterValidator(_check_digest)]
    """The SHA-256 of its token, as `printf %s "$TOKEN" | sha256sum` prints it."""

    role: Literal["viewer", "submitter", "admin"] = "submitter"
    """viewer may look, submitter may also submit and change its own jobs, admin may do everything."""


@dataclass(kw_only=True)
class LimitsConfig:
    """What jobs may use of this host."""

    __pydantic_config__ = STRICT

    max_concurrent_jobs: Count = 1
    """Jobs that run on this host at a time."""

    max_cpu_percent: Percent = 80.0
    """No job is started here while more than this is in use; 100 for no limit."""

    min_memory_gb: Amount = 2.0
    """No job is started here while less memory than this is free."""

    min_disk_gb: Amount = 2.0
    """No job is started here while less disk than this is free."""


@dataclass(kw_only=True)
class CapsConfig:
    """Who may run how much at a time."""

    __pydantic_config__ = STRICT

    site_jobs: dict[str, Count] = field(default_factory=dict)
    """Jobs at a time per site."""

    user_jobs: dict[str, Count] = field(default_factory=dict)
    """Jobs at a time per user; under "*" that of each user who is not named."""

    weights: dict[str, Share] = field(default_factory=dict)
    """Shares of users, 1 for each who is not named."""


@dataclass(kw_only=True)
class FieldConfig:
    """What a client may say to an application."""

    __pydantic_config__ = STRICT

    type: Literal["text", "integer", "number", "boolean", "path", "choice"] = "text"
    """path is a file or folder of the service's host, below one of the roots."""

    default: str | int | float | bool | None = None
    """Taken if the client says nothing; without one the field must be given."""

    choices: list[str] = field(default_factory=list)
    """What a choice may be."""

    at_least: float | None = None
    """Smallest number."""

    at_most: float | None = None
    """Largest number."""


@dataclass(kw_only=True)
class ApplicationConfig:
    """A program that clients may run, with what they may say to it."""

    __pydantic_config__ = STRICT

    executable: Text
    """Path of the program on the hosts where it runs; clients cannot choose it."""

    kind: Literal["fields", "hfss"] = "fields"
    """hfss takes the simulation configs of PyEDB and needs no arguments or fields here."""

    arguments: list[str] = field(default_factory=list)
    """Arguments, each with {field} where a value goes, and {job_id}, {cores}. A value never becomes two arguments."""

    fields: dict[str, FieldConfig] = field(default_factory=dict)
    """What a client may say, by name."""

    environment: dict[str, str] = field(default_factory=dict)
    """Environment of its jobs."""

    site: Text = "local"
    """Where it runs, if the client names no other site."""

    sites: list[str] = field(default_factory=list)
    """Where it may run; empty for its own site only."""

    cores: Positive = 1.0
    """Cores that a job takes."""

    cores_field: str = ""
    """The integer field that says how many cores a job takes; empty for none."""

    memory_mb: Count | None = None
    """Memory of a job in MiB; more is the end of it."""

    wall_time_in_seconds: Positive | None = None
    """Longest time of a job."""

    directory: str = ""
    """The path field whose folder the program is started in; empty for a folder of the job's own."""

    outputs: list[str] = field(default_factory=list)
    """Patterns of the files that are outputs; empty for all that the job writes."""


@dataclass(kw_only=True)
class Settings:
    """What `service.toml` says."""

    __pydantic_config__ = STRICT

    host: Text = "127.0.0.1"
    """Address to listen at; any other than this host's own needs tokens."""

    port: Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=65535)] = 8080
    """Port to listen at; 0 for any that is free."""

    allowed_hosts: list[str] = field(default_factory=list)
    """Names by which clients may call this service, beside its address, e.g. that of a reverse proxy."""

    ledger: str = ""
    """URL of the ledger; by default SIMCAMPAIGN_LEDGER_URL or the user's own."""

    token_file: str = ""
    """A file with one token; whoever has it may do everything, as the user `admin`."""

    users: dict[str, UserConfig] = field(default_factory=dict)
    """Who may use the service. Without users and token_file everybody on this host may."""

    allow_commands: bool = False
    """Whether clients may send commands, environment variables and any option of a site. Whoever may submit can then
    run everything that this service's user can."""

    job_options: list[str] = field(default_factory=lambda: ["partition", "queue", "account", "qos", "project"])
    """Options of a site that clients may set for a job where commands are not allowed."""

    roots: list[str] = field(default_factory=list)
    """Directories of this host whose files jobs may name. By default none."""

    limits: LimitsConfig = field(default_factory=LimitsConfig)
    """What jobs may use of this host."""

    caps: CapsConfig = field(default_factory=CapsConfig)
    """Who may run how much at a time."""

    applications: dict[str, ApplicationConfig] = field(default_factory=dict)
    """Programs that clients may run, by name."""

    contexts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Where and how campaigns of clients run, by name: kind (local, docker, cluster or batch), the fields of the
    context of its flow, shared = true if all users share their files, and parameters that clients cannot change.
    manifest_location is left out: manifests lie with the files."""

    solver: SolverConfig = field(default_factory=SolverConfig)
    """Simulations that clients upload and have solved here."""

    max_body_bytes: Count = 4 * 2**20
    """Largest request."""

    body_seconds: Positive = 10.0
    """Longest time that a request may take to arrive."""

    requests_per_second: Positive = 1000.0
    """Requests that one client may send, on average; in a burst twice as many at once."""

    max_connections: Count = 500
    """Connections at a time."""

    idle_minutes: Positive | None = None
    """The service ends by itself when no client asked, and nothing ran or waited, for so long. By default it stays."""

    @property
    def resource_limits(self) -> ResourceLimits:
        """The limits, as the dispatcher takes them."""
        kept = self.limits
        return ResourceLimits(
            kept.max_concurrent_jobs, kept.max_cpu_percent, float(kept.min_memory_gb), float(kept.min_disk_gb)
        )

    @property
    def shares(self) -> Caps:
        """The caps, as the dispatcher takes them."""
        return Caps(self.caps.site_jobs, self.caps.user_jobs, self.caps.weights)

    @property
    def guarded(self) -> bool:
        """True if a token is needed."""
        return bool(self.users or self.token_file)


def settings_file() -> Path:
    """Return the path of the settings: ``SIMCAMPAIGN_SERVICE``, or below ``SIMCAMPAIGN_HOME``, or the platform's."""
    if file := os.environ.get("SIMCAMPAIGN_SERVICE"):
        return Path(file).expanduser().absolute()
    if home := os.environ.get("SIMCAMPAIGN_HOME"):
        return Path(home).expanduser().absolute() / "service.toml"
    return platformdirs.user_config_path("simcampaign") / "service.toml"


def read_settings(file: Path | None = None, **over: Any) -> Settings:
    """Return the settings of a file, by default ``settings_file()`` if it is there; ``over`` goes before it.

    Raises ``ConfigError`` with every mistake, ``LocationError`` if the file cannot be read.
    """
    data = read_table(file) | {name: value for name, value in over.items() if value is not None}
    return check(data, str(settings_file() if file is None else file))


def read_table(file: Path | None = None) -> dict[str, Any]:
    """Return what a file says, unchecked; by default ``settings_file()`` if it is there. Raises as above."""
    path = settings_file() if file is None else file
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if file is None:
            return {}
        raise LocationError(f"{path} is not there", "simcampaign serve --config FILE") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), ABSENT, f"is no TOML: {error}")], f"edit {path}") from error
    except OSError as error:
        raise LocationError(f"{path} cannot be read: {error.strerror}", f"ls -l {path}") from error


def check(data: dict[str, Any], place: str = "service.toml") -> Settings:
    """Return settings. Raises ``ConfigError`` with every mistake in ``data``."""
    try:
        settings: Settings = reader(Settings).validate_python(data)
    except ValidationError as error:
        raise ConfigError(explain(error, "service", Settings, data), f"edit {place}") from error
    problems = [*_names(settings), *_address(settings), *_applications(settings)]
    if problems:
        raise ConfigError(problems, f"edit {place}")
    return replace(settings, roots=[os.path.realpath(Path(each).expanduser()) for each in settings.roots])


def is_loopback(host: str) -> bool:
    """Tell whether an address is only this host's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _names(settings: Settings) -> list[Problem]:
    named = [(what, name) for what in ("users", "applications", "contexts") for name in getattr(settings, what)]
    reason = "must be 1 to 64 letters, digits and . _ -, and start with a letter or digit"
    return [Problem(f"service.{what}", name, reason) for what, name in named if not NAME.fullmatch(name)]


def _address(settings: Settings) -> list[Problem]:
    problems = []
    if not is_loopback(settings.host) and not settings.guarded:
        reason = "is not this host's own address, and everybody who reaches it could submit jobs"
        problems.append(Problem("service.host", settings.host, reason, "give token_file (--token-file), or users"))
    problems += [
        Problem("service.roots", each, "is no directory")
        for each in settings.roots
        if not Path(each).expanduser().is_dir()
    ]
    return problems


def _applications(settings: Settings) -> list[Problem]:
    problems = []
    for name, each in settings.applications.items():
        at = f"service.applications.{name}"
        known = {*each.fields, "job_id", "cores"}
        for argument in each.arguments:
            unknown = [word for word in re.findall(r"\{([^{}]*)\}", argument) if word not in known]
            if unknown:
                reason = f"there is no field {unknown[0]!r}"
                problems.append(Problem(f"{at}.arguments", argument, reason, f"one of: {', '.join(sorted(known))}"))
        problems += [
            Problem(f"{at}.fields", field_name, "must be small letters, digits and _, and start with a letter")
            for field_name in each.fields
            if not _FIELD.fullmatch(field_name)
        ]
        for what, kind in (("cores_field", "integer"), ("directory", "path")):
            wanted = getattr(each, what)
            if wanted and (wanted not in each.fields or each.fields[wanted].type != kind):
                problems.append(Problem(f"{at}.{what}", wanted, f"there is no {kind} field of this name"))
        if each.kind == "hfss" and (each.arguments or each.fields):
            problems.append(Problem(at, "hfss", "takes neither arguments nor fields: they are those of its clients"))
    return problems
