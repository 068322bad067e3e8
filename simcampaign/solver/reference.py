"""A reference stands in a simulation in place of data that another task computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, Discriminator, Field, Tag

from simcampaign.errors import ConfigError, Problem
from simcampaign.solver.arrays import PART, GridField


class Reference(BaseModel):
    """What the result of the task ``task_id`` calls ``name``."""

    model_config = PART

    task_id: str = Field(min_length=1, max_length=200)
    """The task that computes it."""

    name: str = Field(min_length=1, max_length=200)
    """Name of the data in that task's result, e.g. temperature."""


def _which(value: object) -> str:
    return (
        "reference" if isinstance(value, Reference) or (isinstance(value, Mapping) and "task_id" in value) else "grid"
    )


GridFieldOrReference = Annotated[
    Annotated[GridField, Tag("grid")] | Annotated[Reference, Tag("reference")], Discriminator(_which)
]
"""Values on a grid, or where they come from."""


def find(value: object, path: str = "") -> Iterator[tuple[str, Reference]]:
    """Yield each reference in ``value``, a model or a part of one, with the path of the field that holds it."""
    if isinstance(value, Reference):
        yield path, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from find(getattr(value, name), f"{path}.{name}" if path else name)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from find(item, f"{path}[{index}]")


def put_in(value: object, results: Mapping[str, object], path: str = "") -> object:
    """Return ``value`` with data in place of each reference, as ``model_validate`` takes it.

    ``results`` are the results by task. Raises ConfigError if a task or a name is not there.
    """
    if isinstance(value, Reference):
        return _look_up(value, results, path)
    if isinstance(value, BaseModel):
        names = type(value).model_fields
        return {name: put_in(getattr(value, name), results, f"{path}.{name}" if path else name) for name in names}
    if isinstance(value, tuple | list):
        return [put_in(item, results, f"{path}[{index}]") for index, item in enumerate(value)]
    return value


def _look_up(reference: Reference, results: Mapping[str, object], path: str) -> object:
    if reference.task_id not in results:
        problem = Problem(path, reference.task_id, "the result of this task is not at hand")
        raise ConfigError([problem], "hand it over with --parent TASK_ID=FILE, or by resolved({task_id: result})")
    result = results[reference.task_id]
    fields = type(result).model_fields if isinstance(result, BaseModel) else {}
    if reference.name not in fields:
        reason = f"the result of task {reference.task_id} has no such field"
        raise ConfigError([Problem(path, reference.name, reason, f"one of: {', '.join(fields)}")])
    return getattr(result, reference.name)
