"""Help about a config: every field with its type, default and docstring."""

from __future__ import annotations

import dataclasses
import shutil
import textwrap
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt
from pydantic.fields import FieldInfo
from typing_extensions import Doc

from configs.documents import write_yaml
from configs.kinds import members
from simcampaign.docstrings import field_docstrings

_WORDS = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null", Any: "anything"}
_INDENT = "    "


def describe(context: type[Any], series: type[Any], parameters: type[Any], *, width: int | None = None) -> str:
    """Return every field of the three configs, as plain text ``width`` columns wide (the terminal's if None)."""
    width = width or min(shutil.get_terminal_size().columns, 100)
    parts = (("context", context), ("series", series), ("parameters", parameters))
    return "\n\n".join(describe_fields(name, member, width) for name, kind in parts for member in members(kind))


def describe_fields(name: str, kind: type[Any], width: int) -> str:
    """Return what a config is, and every field of it, as plain text ``width`` columns wide."""
    meanings = field_docstrings(kind)
    hints = get_type_hints(kind, include_extras=True)
    title = f"{name}: {' '.join((kind.__doc__ or '').split())}"
    lines = textwrap.wrap(title, width, subsequent_indent=_INDENT)
    for entry in dataclasses.fields(kind):
        head = f"{name}.{entry.name} ({_name_type(hints[entry.name])}; {_default(entry)})"
        lines.append("")
        lines += textwrap.wrap(head, width, initial_indent="  ", subsequent_indent=_INDENT, break_on_hyphens=False)
        text = meanings[entry.name]
        lines += textwrap.wrap(text, width, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False)
    return "\n".join(lines)


def _default(entry: dataclasses.Field[Any]) -> str:
    if entry.default is not dataclasses.MISSING:
        value = entry.default
    elif entry.default_factory is not dataclasses.MISSING:
        value = entry.default_factory()
    else:
        return "required"
    if isinstance(value, dict):
        return "default {" + ", ".join(f"{name}: {_scalar(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "default [" + ", ".join(map(_scalar, value)) + "]"
    return f"default {_scalar(value)}"


def _scalar(value: object) -> str:
    return '""' if value == "" else write_yaml(value).removesuffix("...\n").strip()


def _name_type(kind: Any) -> str:
    """Return a type in plain words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        words = [item.documentation for item in arguments[1:] if isinstance(item, Doc)]
        return words[0] if words else _name_type(arguments[0]) + "".join(_limit(item) for item in arguments[1:])
    if origin in {Union, types.UnionType, Literal}:
        return " or ".join(each if isinstance(each, str) else _name_type(each) for each in arguments)
    if origin is list:
        return f"list of {_name_type(arguments[0])}"
    if origin is dict:
        return f"mapping of {_name_type(arguments[0])} to {_name_type(arguments[1])}"
    if dataclasses.is_dataclass(kind):
        return "{" + ", ".join(entry.name for entry in dataclasses.fields(kind)) + "}"
    return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))


def _limit(item: object) -> str:
    limits = item.metadata if isinstance(item, FieldInfo) else [item]
    words = [f" ({limit.ge} or more)" for limit in limits if isinstance(limit, Ge)]
    words += [f" (more than {limit.gt})" for limit in limits if isinstance(limit, Gt)]
    return "".join(words)
