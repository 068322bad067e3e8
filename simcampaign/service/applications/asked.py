"""What clients ask for: the parts that all kinds of jobs share, and how text and paths of theirs are checked."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError
from pydantic.functional_validators import AfterValidator

from simcampaign.errors import ConfigError, Problem
from simcampaign.fields import STRICT, Count, Positive, reader
from simcampaign.jobs import Resources
from simcampaign.mistakes import explain
from simcampaign.series import key_fault

JOB_ID = re.compile(r"[A-Za-z0-9_-]+")
LONGEST_ID = 100
ID_FAULT = "Job ID can only contain letters, numbers, underscores, and hyphens"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MOST_CORES, MOST_MEMORY_MB, MOST_SECONDS = 10**6, 2**31 - 1, 10**9


def has_control(text: str) -> bool:
    """Tell whether a text has characters that end lines or command terminals."""
    return bool(_CONTROL.search(text))


def _check_id(text: str) -> str:
    if not JOB_ID.fullmatch(text):
        raise ValueError(ID_FAULT)
    if len(text) > LONGEST_ID:
        raise ValueError(f"is longer than {LONGEST_ID} characters")
    return text


def check_word(text: str) -> str:
    """Return a name that a person chose. Raises ValueError if it is long or has control characters."""
    if len(text) > 120:
        raise ValueError("is longer than 120 characters")
    if has_control(text):
        raise ValueError("has control characters")
    return text


def _whole(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, float) and value != int(value)):
        raise ValueError("must be an integer")
    return value


JobId = Annotated[str, AfterValidator(_check_id)]
Word = Annotated[str, AfterValidator(check_word)]
Natural = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=10**6)]


@dataclass(kw_only=True)
class ResourcesAsked:
    """What a job needs."""

    __pydantic_config__ = STRICT

    cpus: Annotated[Positive, Field(le=MOST_CORES)] = 1.0
    """Cores of each rank."""

    ranks: Annotated[Count, Field(le=MOST_CORES)] = 1
    """Processes that share the work."""

    memory_mb: Annotated[Count, Field(le=MOST_MEMORY_MB)] | None = None
    """Memory of the job in MiB; more is the end of it."""

    wall_time_in_seconds: Annotated[Positive, Field(le=MOST_SECONDS)] | None = None
    """Longest time."""

    gpus: Natural = 0
    """GPUs of the job."""

    def resources(self) -> Resources:
        """Return them in the words of sites."""
        return Resources(
            cpus=self.cpus,
            ranks=self.ranks,
            memory_mb=self.memory_mb,
            timeout_seconds=self.wall_time_in_seconds,
            gpus=self.gpus,
        )


@dataclass(kw_only=True)
class Common:
    """What may be said of every job."""

    __pydantic_config__ = STRICT

    jobid: JobId | None = None
    """Its id; made up by default."""

    user: Word | None = None
    """Whose job it is; where tokens are needed, that of the token."""

    application: Word = ""
    group: Word = "default"
    series: Word = ""
    after: list[JobId] = field(default_factory=list)
    """Jobs that must have ended before."""

    after_ok: list[JobId] = field(default_factory=list)
    """Jobs that must have finished well before."""

    held: bool = False
    """Whether it waits until it is released."""


COMMON = tuple(Common.__dataclass_fields__)


def read(kind: type[Any], data: Mapping[str, Any], root: str = "config") -> Any:
    """Return ``data`` as a ``kind``. Raises ``ConfigError`` with every mistake."""
    try:
        return reader(kind).validate_python(dict(data))
    except ValidationError as error:
        raise ConfigError(explain(error, root, kind, dict(data))) from error


def new_id(prefix: str) -> str:
    """Return an id that no job has."""
    return f"{prefix}-{secrets.token_hex(5)}"


def confined(path: str, roots: Sequence[str]) -> Path | None:
    """Return the real path of what is there below one of the roots; None if it is not there, or elsewhere."""
    if not path or has_control(path) or not Path(path).is_absolute():
        return None
    try:
        real = Path(os.path.realpath(path, strict=True))
    except (OSError, ValueError):
        return None
    return real if any(real.is_relative_to(root) for root in roots) else None


def file_name_problems(names: Sequence[str], at: str) -> list[Problem]:
    """Return what is wrong with names of files in a job's folder."""
    problems = []
    for name in names:
        faults = [fault for part in name.split("/") if (fault := key_fault(part))]
        if faults:
            problems.append(Problem(at, name, faults[0]))
    return problems
