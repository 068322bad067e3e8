"""Mistakes in plain words: what pydantic found wrong, as problems with a path, a reason and a remedy."""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from simcampaign.errors import ABSENT, Problem

_REASONS = {
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "dataclass_type": "must be a mapping",
    "model_type": "must be a mapping",
    "dataclass_exact_type": "must be a mapping",
    "extra_forbidden": "there is no such field",
    "unexpected_keyword_argument": "there is no such field",
    "missing": "is missing",
    "missing_argument": "is missing",
    "finite_number": "must be a finite number",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}
_REMEDIES = {"list_type": "write it in brackets: [a, b]", "bool_type": "true or false", "bool_parsing": "true or false"}
_UNKNOWN = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
_MISSING = frozenset({"missing", "missing_argument"})


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the remedy for an unknown ``name``: the nearest known one, or all of them."""
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean `{nearest[0]}`?" if nearest else f"one of: {', '.join(known)}"


def explain(error: ValidationError, root: str, kind: type, data: object) -> list[Problem]:
    """Return the mistakes that ``error`` holds about ``data``, read as ``kind``, with paths that start at ``root``.

    What a union's branches say about one value becomes one problem, and what they say about its parts wins.
    """
    found: dict[str, Problem] = {}
    for details in error.errors(include_url=False):
        path, place, value = _locate(details, root, data)
        problem = Problem(path, value, _reason(details), _remedy(details, kind, place))
        earlier = found.get(path)
        if earlier is None:
            found[path] = problem
        elif problem.reason not in earlier.reason:
            found[path] = dataclasses.replace(
                earlier, reason=f"{earlier.reason} or {problem.reason.removeprefix('must be ')}"
            )
    deeper = [path for path in found for other in found if other.startswith((f"{path}.", f"{path}["))]
    return [problem for path, problem in found.items() if path not in deeper]


def _locate(details: ErrorDetails, root: str, data: object) -> tuple[str, list[str | int], object]:
    """Return the dotted path, its steps, and the value there; the names of union branches are left out."""
    path, place, value = root, list[str | int](), data
    last = len(details["loc"]) - 1
    for position, step in enumerate(details["loc"]):
        if isinstance(value, Mapping) and step in value:
            path, value = f"{path}.{step}", value[step]
        elif isinstance(value, Sequence) and isinstance(step, int) and step < len(value):
            path, value = f"{path}[{step}]", value[step]
        elif position == last and details["type"] in _MISSING:
            path, value = f"{path}.{step}", ABSENT
        else:
            continue
        place.append(step)
    return path, place, value


def _reason(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind in _REASONS:
        return _REASONS[kind]
    if kind.startswith(("int_", "float_")):
        return "must be an integer" if kind.startswith("int_") else "must be a number"
    if kind == "greater_than":
        return f"must be greater than {context['gt']}"
    if kind == "greater_than_equal":
        return f"must be {context['ge']} or more"
    if kind == "value_error":
        return str(context["error"])
    message = details["msg"]
    return message[:1].lower() + message[1:]


def _remedy(details: ErrorDetails, kind: type, place: Sequence[str | int]) -> str:
    if details["type"] in _UNKNOWN:
        return did_you_mean(str(place[-1]), _fields_at(kind, place[:-1]))
    if details["type"] in _MISSING:
        return f"add `{place[-1]}: …`"
    if details["type"] == "string_type" and isinstance(details["input"], (bool, int, float)):
        return f'put it in quotes: "{details["input"]}"'
    return _REMEDIES.get(details["type"], "")


def _fields_at(kind: Any, place: Sequence[str | int]) -> list[str]:
    """Return the names of the fields of the dataclass or model that lies at ``place`` inside ``kind``."""
    for step in place:
        if isinstance(step, int):
            kind = next(iter(get_args(kind)), None)
        elif fields := _fields(kind):
            kind = fields.get(step)
        for inner in get_args(kind) if get_origin(kind) in {Union, types.UnionType, Annotated} else ():
            if inner is not type(None):
                kind = inner
                break
    return list(_fields(kind))


def _fields(kind: Any) -> Mapping[str, Any]:
    """Return the types of the fields of a dataclass or a model by name; none if it is neither."""
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    return {}
