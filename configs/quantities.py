"""The types that fields of several configs share."""

from __future__ import annotations

import shlex
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.functional_validators import AfterValidator

from simcampaign.series import key_fault

STRICT = ConfigDict(use_attribute_docstrings=True, extra="forbid", revalidate_instances="always")
"""How every config is validated: docstrings are the help, unknown fields are refused, instances are checked again."""


def _refuse_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 - what pydantic turns into a mistake
    return value


def _check_path_key(key: str) -> str:
    for part in key.split("/"):
        fault = key_fault(part)
        if fault:
            raise ValueError(f"{part!r} {fault}" if part else "must not be empty, start or end with '/', or hold '//'")
    return key


def _check_name(name: str) -> str:
    fault = key_fault(name)
    if fault:
        raise ValueError(fault)
    return name


Count = Annotated[int, BeforeValidator(_refuse_bool), Field(ge=1)]
"""An integer, 1 or more."""

Positive = Annotated[float, BeforeValidator(_refuse_bool), Field(gt=0, allow_inf_nan=False)]
"""A finite number greater than 0."""

Text = Annotated[str, Field(min_length=1)]
"""Text that is not empty."""

Name = Annotated[str, AfterValidator(_check_name)]
"""Text that is safe as part of a file name."""

PathKey = Annotated[str, AfterValidator(_check_path_key)]
"""The place of a file below a location: names joined by ``/``."""


def split_command(command: str | list[str]) -> tuple[str, ...]:
    """Return ``command`` as an argument list; text is split as a shell would, but never given to one.

    Raises ValueError if a quotation is not closed.
    """
    return tuple(shlex.split(command)) if isinstance(command, str) else tuple(command)


def _check_command(command: str | list[str]) -> str | list[str]:
    try:
        arguments = split_command(command)
    except ValueError as error:
        raise ValueError(f"cannot be split into arguments: {str(error).lower()}") from error
    if any("\0" in argument for argument in arguments):
        raise ValueError("must not hold a null character")
    return command


Command = Annotated[str | list[str], AfterValidator(_check_command)]
"""A program and its arguments, as text or as a list."""
