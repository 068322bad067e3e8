"""Nested shapes: dicts, lists and tuples of simulations, and the same with something else in their places."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


def leaves(shape: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what is in a nested shape, with its keys and indices on the way, in order."""
    if isinstance(shape, Mapping):
        for key, item in shape.items():
            yield from leaves(item, (*path, str(key)))
    elif isinstance(shape, list | tuple):
        for index, item in enumerate(shape):
            yield from leaves(item, (*path, str(index)))
    else:
        yield path, shape


def replaced(shape: Any, new: Callable[[], Any]) -> Any:
    """Return the same shape with ``new()`` in place of each leaf, in the order of ``leaves``."""
    if isinstance(shape, Mapping):
        return {key: replaced(item, new) for key, item in shape.items()}
    if isinstance(shape, list | tuple):
        items = [replaced(item, new) for item in shape]
        if isinstance(shape, list):
            return items
        return type(shape)(*items) if hasattr(shape, "_fields") else tuple(items)
    return new()


def pack_shape(shape: Any) -> Any:
    """Return a shape as JSON, without its leaves; tuples and dicts are told apart from lists.

    Keys that JSON has no word for, and that are no tuples, become text.
    """
    if isinstance(shape, Mapping):
        return {"dict": [[_pack_key(key), pack_shape(item)] for key, item in shape.items()]}
    if isinstance(shape, list | tuple):
        kind = "list" if isinstance(shape, list) else "tuple"
        return {kind: [pack_shape(item) for item in shape]}
    return None


def _pack_key(key: Any) -> Any:
    if isinstance(key, tuple):
        return {"tuple": [_pack_key(each) for each in key]}
    return key if key is None or isinstance(key, str | bool | int | float) else str(key)


def unpack_shape(packed: Any) -> Any:
    """Return the shape that was packed, with None for each leaf."""
    if packed is None:
        return None
    ((kind, items),) = packed.items()
    if kind == "dict":
        return {_unpack_key(key): unpack_shape(item) for key, item in items}
    found = [unpack_shape(item) for item in items]
    return found if kind == "list" else tuple(found)


def _unpack_key(packed: Any) -> Any:
    return tuple(_unpack_key(each) for each in packed["tuple"]) if isinstance(packed, dict) else packed


def file_name(task_name: str, path: tuple[str, ...]) -> str:
    """Return a name for files of the simulation at a place, e.g. ``sweep_wide_0``."""
    return _UNFIT.sub("-", "_".join((task_name, *path)))[:200].lstrip(".") or "task"
