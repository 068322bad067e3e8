"""The arguments of the API's calls, checked all at once."""

from __future__ import annotations

import dataclasses
import re
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Annotated, Any, TypedDict, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic.functional_validators import AfterValidator

from simcampaign.api.inputs import Collected, Collector, Input, Simulation, environment_problems
from simcampaign.engine.requests import DEFAULT_GROUP, Request
from simcampaign.errors import ConfigError, Problem
from simcampaign.fields import STRICT, Count, Positive, reader
from simcampaign.jobs import Resources
from simcampaign.ledger import ARCHIVE
from simcampaign.mistakes import explain
from simcampaign.series import key_fault
from simcampaign.sites.registry import ConfiguredSite, open_site


class More(TypedDict, total=False):
    """What else can be said of a job, or of each job of an array."""

    memory_mb: int | None
    """Memory of the whole job in MiB; more is the end of it."""

    cpus: float | None
    """Cores of each rank; 1 by default."""

    gpus: int | None
    """GPUs of the whole job."""

    job_name: str | None
    """What the job is found again by, unique at its site; made up by default."""

    group: str
    """The group that it belongs to."""

    environment: Mapping[str, str]
    """Extra environment variables."""

    options: Mapping[str, object]
    """What this job alone asks of its site, e.g. ``{"partition": "long"}``."""


class RunMore(More, total=False):
    """What else can be said of a job that is waited for."""

    verbose: bool
    """Whether to print what is done; true by default."""


def _whole(value: object) -> object:
    """Take integers of other libraries, too, but neither true nor false."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 - what pydantic turns into a mistake
    return value.__index__() if hasattr(value, "__index__") else value


def _check_key(key: str) -> str:
    if fault := key_fault(key):
        raise ValueError(f"{fault}; use letters, digits and . _ + = , @ -")
    return key


def _check_group(group: str) -> str:
    if group == ARCHIVE:
        raise ValueError("is where delete() moves jobs to; choose another group")
    return _check_key(group)


Whole = Annotated[Count, BeforeValidator(_whole)]
Number = Annotated[Positive, BeforeValidator(lambda value: value.item() if hasattr(value, "item") else value)]
Natural = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
Key = Annotated[str, AfterValidator(_check_key)]


@dataclass(kw_only=True)
class Asked:
    """What is said of jobs beside their inputs."""

    __pydantic_config__ = STRICT

    memory_mb: Whole | None = None
    cpus: Number | None = None
    gpus: Natural | None = None
    job_name: Key | None = None
    group: Annotated[str, AfterValidator(_check_group)] = DEFAULT_GROUP
    environment: dict[Any, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    verbose: bool = True


@dataclass(kw_only=True)
class AskedOne(Asked):
    """What is said of one job."""

    ranks: Whole | None = None
    wall_time_in_seconds: Number | None = None


@dataclass(kw_only=True)
class AskedMany(Asked):
    """What is said of each job of an array."""

    ranks_per_job: Whole | None = None
    wall_time_in_seconds_per_job: Number | None = None


@dataclass(frozen=True)
class Prepared:
    """A request with all that it needs, and the site it is for."""

    request: Request
    site: ConfiguredSite
    collected: Collected
    verbose: bool


@dataclass(frozen=True)
class Call:
    """A call of the API: what was given, under the names that it has there."""

    function: str
    site_name: object
    inputs: Sequence[Input]
    many: bool
    output_folder: Path | None
    overwrite: bool
    arguments: Mapping[str, object]

    def prepare(self, is_ours: Callable[[Request, Collected], bool]) -> Prepared:
        """Read all inputs and check all arguments. Raises ``ConfigError`` with every mistake; nothing is created.

        ``is_ours`` is asked whether an output folder that exists belongs to the very same request, which is taken up
        again.
        """
        problems: list[Problem] = []
        asked: AskedOne | AskedMany | None
        if self.many:
            asked = _validate(AskedMany, self.function, self.arguments, problems)
        else:
            asked = _validate(AskedOne, self.function, self.arguments, problems)
        site = self._site(problems)
        collected = self._collect(site, asked, problems)
        request = None
        if not problems and asked is not None and collected is not None and site is not None:
            request = self._request(asked, collected, site)
        folder = self.output_folder
        taken = folder is not None and not self.overwrite and folder.exists()
        if taken and not (request is not None and collected is not None and is_ours(request, collected)):
            remedy = "give another folder, or overwrite=True"
            problems.append(Problem("output_folder", str(folder), "exists already", remedy))
        elif folder is not None and folder.exists() and not folder.is_dir():
            problems.append(Problem("output_folder", str(folder), "is no folder"))
        if problems or request is None or site is None or collected is None or asked is None:
            raise ConfigError(problems)
        return Prepared(request, site, collected, asked.verbose)

    def _site(self, problems: list[Problem]) -> ConfiguredSite | None:
        if not isinstance(self.site_name, str):
            problems.append(Problem("site_name", self.site_name, "must be the name of a site", "simcampaign sites"))
            return None
        try:
            return open_site(self.site_name)
        except ConfigError as error:
            problems += error.problems
            return None

    def _collect(
        self, site: ConfiguredSite | None, asked: AskedOne | AskedMany | None, problems: list[Problem]
    ) -> Collected | None:
        given = self.arguments.get("environment")
        environment = given if isinstance(given, Mapping) else {}
        problems += environment_problems(environment, f"{self.function}.environment")
        # Inputs are read even if the rest is wrong: a person hears of all mistakes at once.
        collector = Collector(site, None if asked is None else _ranks(asked), environment)
        if not self.inputs:
            problems.append(Problem("input_files", [], "there is none", "give at least one"))
        for index, each in enumerate(self.inputs):
            collector.add(each, f"input_files[{index}]" if self.many else "input_file")
        unique = {str(problem): problem for problem in collector.found.problems}
        problems += unique.values()
        return collector.found

    def _request(self, asked: AskedOne | AskedMany, collected: Collected, site: ConfiguredSite) -> Request:
        seconds = asked.wall_time_in_seconds if isinstance(asked, AskedOne) else asked.wall_time_in_seconds_per_job
        resources = Resources(
            cpus=asked.cpus or 1.0,
            memory_mb=asked.memory_mb,
            timeout_seconds=seconds,
            ranks=_ranks(asked) or 1,
            gpus=asked.gpus or 0,
        )
        return Request(
            name=asked.job_name or _made_up(self.inputs[0] if self.inputs else ""),
            site=site.name,
            many=self.many,
            jobs=tuple(collected.jobs),
            resources=resources,
            options=asked.options,
            group=asked.group,
            destination="" if self.output_folder is None else str(self.output_folder.expanduser().absolute()),
        )


def _ranks(asked: AskedOne | AskedMany) -> int | None:
    return asked.ranks if isinstance(asked, AskedOne) else asked.ranks_per_job


T = TypeVar("T")


def _validate(kind: type[T], function: str, data: Mapping[str, object], problems: list[Problem]) -> T | None:
    # What is left out and what is None are the same, so that defaults need not be known by a caller.
    given = {name: value for name, value in data.items() if value is not None}
    try:
        asked: T = reader(kind).validate_python(given)
    except ValidationError as error:
        for problem in explain(error, function, kind, given):
            secret = problem.path.startswith(f"{function}.environment")
            problems.append(dataclasses.replace(problem, value="…") if secret else problem)
        return None
    return asked


def _made_up(given: Input) -> str:
    """Return a name for a job: what a person knows its input by, and what no other job has."""
    if isinstance(given, Simulation):
        words = shlex.split(given.command) if isinstance(given.command, str) else list(given.command)
        stem = PurePath(words[0]).stem if words else "simulation"
    elif isinstance(given, (str, PurePath)):
        stem = PurePath(given).stem
    else:
        stem = type(given).__name__.lower()
    readable = re.sub(r"[^A-Za-z0-9-]+", "-", stem).strip("-")[:60]
    return f"{readable or 'job'}-{secrets.token_hex(4)}"
