"""Overrides: ``series.seeds=0-9`` sets one value of a config, whatever way it was given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from configs.documents import read_yaml, resolve
from simcampaign.errors import ConfigError, Problem

Step = str | int

_PLACEHOLDER = re.compile(r"\{[A-Za-z_]+\}")
_STEP = re.compile(r"\[([0-9]{1,9})\]|\.?([^.\[\]]+)")


def split_path(path: str) -> list[Step]:
    """Return the steps of a dotted path; ``a.0.b`` and ``a[0].b`` both step into a list. Raises ValueError."""
    steps: list[Step] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if not match or (position == 0 and path[0] in ".["):
            raise ValueError(f"{path!r} is no dotted path")
        index, name = match.groups()
        steps.append(int(index) if index is not None else name)
        position = match.end()
    if not steps:
        raise ValueError("the path is empty")
    return steps


def get_path(config: Any, steps: Sequence[Step]) -> Any:
    """Return the value at ``steps``; raises KeyError, IndexError, ValueError or TypeError if there is none."""
    for step in steps:
        config = config[int(step)] if isinstance(config, list) else config[str(step)]
    return config


def parse_value(text: str, source: str) -> Any:
    """Return the value that ``text`` stands for: a list, mapping or quoted text as in YAML, else one unquoted scalar.

    Only text that starts with a bracket, brace or quote is read as YAML, so that ``a: b`` and ``a #1`` stay text, and
    not if it starts with a placeholder, as a command does: ``{python} model.py``. No text at all is empty text. Raises
    ConfigError if it is malformed.
    """
    text = text.strip()
    if not text:
        return ""
    if text[0] not in "[{\"'" or _PLACEHOLDER.match(text):
        return resolve(text)
    value, problems = read_yaml(text, source)
    if problems:
        raise ConfigError(problems)
    return value


def apply_override(config: dict[str, Any], override: str) -> dict[str, Any]:
    """Return a copy of ``config`` in which ``PATH=VALUE`` is set; mappings on the way are made if they are missing.

    What is not on the way is shared with ``config``. Raises ConfigError if the path leads through a value that is
    neither a mapping nor a list, or past the end of a list.
    """
    path, _, text = override.partition("=")
    path = path.strip()
    try:
        steps = split_path(path)
    except ValueError as error:
        raise ConfigError([Problem(override, text, str(error), "write PATH=VALUE, as series.seeds=0-9")]) from error
    value = parse_value(text, path)
    changed = _set(config, steps, value, path, 0)
    return dict(changed)


def _set(node: Any, steps: Sequence[Step], value: Any, path: str, depth: int) -> Any:
    if depth == len(steps):
        return value
    step = steps[depth]
    shown = ".".join(map(str, steps[:depth]))
    if isinstance(node, list):
        if not str(step).isdecimal() or int(step) >= len(node):
            reason = f"{shown} is a list of {len(node)}, in which {step!r} is no index"
            raise ConfigError([Problem(path, value, reason, "indices count from 0")])
        index = int(step)
        return [*node[:index], _set(node[index], steps, value, path, depth + 1), *node[index + 1 :]]
    if node is None:
        node = {}
    if not isinstance(node, Mapping):
        raise ConfigError([Problem(path, value, f"{shown} is neither a mapping nor a list", f"set {shown} as a whole")])
    return {**node, str(step): _set(node.get(str(step)), steps, value, path, depth + 1)}
