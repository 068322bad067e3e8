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


def file_name(task_name: str, path: tuple[str, ...]) -> str:
    """Return a name for files of the simulation at a place, e.g. ``sweep_wide_0``."""
    return _UNFIT.sub("-", "_".join((task_name, *path)))[:200].lstrip(".") or "task"
