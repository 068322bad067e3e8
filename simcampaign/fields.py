"""The types that fields of configs and of sites' options share."""

from __future__ import annotations

import shlex
import threading
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic.functional_validators import AfterValidator

STRICT = ConfigDict(use_attribute_docstrings=True, extra="forbid", revalidate_instances="always")
"""How every config is validated: docstrings are the help, unknown fields are refused, instances are checked again."""


_READING = threading.Lock()
_READERS: dict[type[Any], TypeAdapter[Any]] = {}


def reader(kind: type[Any]) -> TypeAdapter[Any]:
    """Return what validates data as a ``kind``, made once.

    Reading the docstrings of fields from several threads at once makes Python 3.11 stumble, so it is done by one.
    """
    with _READING:
        if kind not in _READERS:
            _READERS[kind] = TypeAdapter(kind)
        return _READERS[kind]


def _refuse_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 - what pydantic turns into a mistake
    return value


def told(pattern: str, wanted: str) -> Any:
    """Return what makes forms refuse text that does not match ``pattern``, and say what is ``wanted`` instead.

    A JSON schema has no messages of its own. Text that does not match is held against a constant, and what checks it
    says that this constant was expected. Python's own checks are apart: this one may let more pass, never less.
    """
    return Field(json_schema_extra={"if": {"not": {"pattern": pattern}}, "then": {"const": wanted}})


Count = Annotated[int, Field(ge=1), BeforeValidator(_refuse_bool)]
"""An integer, 1 or more."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_refuse_bool)]
"""A finite number greater than 0."""

Price = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_refuse_bool)]
"""A finite number, 0 or more."""

Text = Annotated[str, Field(min_length=1)]
"""Text that is not empty."""


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
