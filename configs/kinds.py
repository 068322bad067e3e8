"""Choosing the config that a union of configs means, by its field ``kind``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

from simcampaign.errors import ABSENT, Problem
from simcampaign.mistakes import did_you_mean


def members(kind: Any) -> list[type[Any]]:
    """Return the configs of a union, or the one config that is none."""
    if get_origin(kind) is Annotated:
        return members(get_args(kind)[0])
    return list(get_args(kind)) or [kind]


def choose(kind: Any, data: object, part: str) -> tuple[type[Any], list[Problem]]:
    """Return the member of a union that ``data`` is to be read as; problems if its ``kind`` does not tell."""
    known = {_kind_of(member): member for member in members(kind)}
    if len(known) == 1 or not isinstance(data, Mapping):
        return next(iter(known.values())), []
    path, given = f"{part}.kind", data.get("kind", ABSENT)
    if isinstance(given, str) and given in known:
        return known[given], []
    if given is ABSENT:
        return next(iter(known.values())), [Problem(path, ABSENT, "is missing", f"one of: {', '.join(known)}")]
    return next(iter(known.values())), [Problem(path, given, "there is no such kind", did_you_mean(str(given), known))]


def _kind_of(member: type[Any]) -> str:
    return next((str(entry.default) for entry in dataclasses.fields(member) if entry.name == "kind"), "")
