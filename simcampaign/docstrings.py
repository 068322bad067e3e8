"""What the docstrings under the fields of a dataclass say, those of its bases included."""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import TypeAdapter


def field_docstrings(kind: type[Any]) -> dict[str, str]:
    """Return the docstring of each field of a dataclass that has ``use_attribute_docstrings``, as one line.

    Pydantic reads only the source of the class itself, so each base is asked for its own.
    """
    found = dict.fromkeys((each.name for each in dataclasses.fields(kind)), "")
    for base in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        properties = TypeAdapter(base).json_schema().get("properties", {})
        for name, said in properties.items():
            text = " ".join(said.get("description", "").replace("``", "").split())
            if text and name in found:
                found[name] = text
    return found
