"""The context of campaigns that run on this machine."""

from __future__ import annotations

import difflib
import math
import os
import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

import psutil
from pydantic.functional_validators import AfterValidator

from simcampaign.fields import STRICT, Command, Count, Positive, Text, split_command, told

PLACEHOLDERS = ("input", "output", "seeds", "index", "job_id", "model", "image", "working", "python")
"""What a command may name in braces, filled in per job; ``python`` is the interpreter that runs the flow."""

_BRACED = re.compile(r"\{([A-Za-z_-]+)\}")


def check_directory(location: str) -> str:
    """Refuse addresses of object stores."""
    if "://" in location:
        raise ValueError("must be a directory of this machine; for s3:// use the flow run_batch_simulations")
    return location


Directory = Annotated[
    Text,
    AfterValidator(check_directory),
    told("^(?!.*://)", "a directory of this machine; for s3:// use a context of the kind batch"),
]
"""A directory, not an address."""


def check_model_command(command: str | list[str]) -> str | list[str]:
    """Refuse an empty command and misspelt placeholders; other braces are left alone, as programs use them."""
    arguments = split_command(command)
    if not arguments or not arguments[0]:
        raise ValueError("must name a program")
    for argument in arguments:
        for name in _BRACED.findall(argument):
            nearest = difflib.get_close_matches(name, PLACEHOLDERS, n=1, cutoff=0.8)
            if name not in PLACEHOLDERS and nearest:
                raise ValueError(f"{{{name}}} is no placeholder, did you mean {{{nearest[0]}}}?")
    return command


@dataclass
class LocalContextConfig:
    """Where files are, what is run, and how much of this machine it may take."""

    __pydantic_config__ = STRICT

    kind: Literal["local"] = field(default="local", kw_only=True)
    """Where jobs run: on this machine."""

    working_location: Directory
    """Directory that holds the series' files, a directory per series."""

    manifest_location: Text
    """Directory or s3:// address that holds the manifest."""

    template_location: Text
    """Directory or s3:// address that holds the templates."""

    command: Annotated[Command, AfterValidator(check_model_command)]
    """Program and arguments of one job, as text (split as a shell would, but given to none) or as a list. These are
    filled in: {input} {output} {seeds} {index} {job_id} {model} {image} {working} {python}."""

    slots: Count | None = None
    """Jobs that run at the same time; null takes as many as CPUs and memory allow."""

    cpus_per_job: Positive = 1.0
    """CPU cores that one job uses."""

    memory_per_job: Count | None = None
    """MiB of memory that one job may use; null sets no limit."""

    timeout: Positive | None = None
    """Seconds after which a job is stopped; null sets no limit."""

    attempts: Count = 1
    """How often a run is tried before it is given up. One that ran out of memory or time is tried again with twice as
    much; one that was lost is tried as it was; one whose model failed is not tried again."""

    def slot_count(self) -> int:
        """Return how many jobs run at the same time: ``slots``, or as many as cores and memory allow, at least one."""
        if self.slots is not None:
            return self.slots
        allowed = int((os.cpu_count() or 1) / self.cpus_per_job)
        if self.memory_per_job is not None:
            allowed = min(allowed, psutil.virtual_memory().total // (self.memory_per_job * 2**20))
        return max(1, allowed)

    def core_slots(self) -> int:
        """Return how many cores jobs may take at the same time: each job takes its own rounded up."""
        return self.slot_count() * math.ceil(self.cpus_per_job)

    def arguments(self) -> tuple[str, ...]:
        """Return the command as an argument list, placeholders still in place."""
        return split_command(self.command)
