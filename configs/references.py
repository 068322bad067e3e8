"""References in a config: ``${env:VAR}``, ``${series.name}`` and ``${secret:name}``.

Everything but secrets is filled in once, after files and overrides have been composed. A secret stays a reference
wherever a config is kept, shown or sent; only ``resolve_secret`` fetches its value, at the moment it is needed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from configs.overrides import get_path, split_path
from simcampaign.errors import ConfigError, Problem
from simcampaign.mistakes import did_you_mean

_REFERENCE = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?P<inner>[^${}]*)\}|(?P<broken>\$\{)")
_SECRET = re.compile(r"\$(?P<escaped>\$\{)|\$\{secret:(?P<name>[^${}]*)\}")
_SECRET_MARK = "${secret:"  # noqa: S105 - how a reference begins
_SECRET_NAME = re.compile(r"[a-z0-9-]+\Z")
_MAX_LENGTH = 10**6
_MAX_CHAIN = 64
_HELP = "write ${env:NAME}, ${series.name} or ${secret:name}; $${ gives a plain ${"


def resolve_references(
    config: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], list[Problem]]:
    """Return ``config`` with its references filled in, and those that cannot be.

    ``${env:NAME}`` is the environment variable, ``${env:NAME,default}`` has a default; a dotted path is another value
    of the config, whose type is kept if the reference is the whole text. Secrets stay as they are; in text that holds
    ``${secret:``, escaped or not, the escape ``$${`` stays, too, until ``resolve_secret``.
    """
    resolver = _Resolver(config, os.environ if environment is None else environment)
    resolved = {part: resolver.resolve(value, part) for part, value in config.items()}
    return resolved, resolver.problems


def escape_references(value: Any) -> Any:
    """Return ``value`` with every ``${`` escaped except those of secrets, so that it reads back as it is."""
    if isinstance(value, str):
        return value if _SECRET_MARK in value else value.replace("${", "$${")
    if isinstance(value, dict):
        return {name: escape_references(item) for name, item in value.items()}
    if isinstance(value, list):
        return [escape_references(item) for item in value]
    return value


def resolve_secret(text: str) -> str:
    """Return ``text`` with each ``${secret:name}`` replaced by the value of that Prefect Secret block.

    Imports Prefect only if there is one to replace. Raises ConfigError, which never holds a secret's value, if a block
    cannot be loaded.
    """
    if _SECRET_MARK not in text:
        return text
    return _SECRET.sub(lambda match: "${" if match["escaped"] else _load_secret(match["name"]), text)


def _load_secret(name: str) -> str:
    from prefect.blocks.system import Secret  # noqa: PLC0415 - three seconds, and only secrets need it

    try:
        block: Any = Secret.load(name, _sync=True)  # type: ignore[call-arg]
    except Exception as error:  # noqa: BLE001 - whatever keeps the block away, the person must know which one
        reason = f"the Prefect Secret block cannot be loaded ({type(error).__name__})"
        hint = f"prefect block ls; create one named {name} of type Secret"
        raise ConfigError([Problem(f"${{secret:{name}}}", name, reason)], hint) from None
    return str(block.get())


class _Resolver:
    def __init__(self, config: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self.config = config
        self.environment = environment
        self.problems: list[Problem] = []
        self._open: list[str] = []
        self._known: dict[str, Any] = {}

    def resolve(self, value: Any, path: str) -> Any:
        """Return ``value``, which lies at ``path``, with its references filled in; the same object if it has none."""
        if isinstance(value, str):
            return self._text(value, path) if "${" in value else value
        if isinstance(value, dict):
            items = {name: self.resolve(item, f"{path}.{name}") for name, item in value.items()}
            return items if any(items[name] is not value[name] for name in items) else value
        if isinstance(value, list):
            elements = [self.resolve(item, f"{path}[{index}]") for index, item in enumerate(value)]
            return elements if any(new is not old for new, old in zip(elements, value, strict=True)) else value
        return value

    def _text(self, text: str, path: str) -> Any:
        whole = _REFERENCE.fullmatch(text)
        if whole and whole["inner"] is not None:
            return self._lookup(whole["inner"], text, path)
        if any(match["broken"] for match in _REFERENCE.finditer(text)):
            self._refuse(path, text, "holds a reference that is not closed, or one inside another", _HELP)
            return text
        filled = _REFERENCE.sub(lambda match: self._piece(match, text, path), text)
        if len(filled) > _MAX_LENGTH:
            self._refuse(path, text, f"stands for more than {_MAX_LENGTH} characters", "use fewer references")
            return text
        return filled

    def _piece(self, match: re.Match[str], text: str, path: str) -> str:
        if match["escaped"]:
            return match[0] if _SECRET_MARK in text else "${"
        value = self._lookup(match["inner"], text, path)
        if isinstance(value, (dict, list)):
            self._refuse(path, text, f"{match[0]} is a list or mapping and does not fit into text", "use it on its own")
            return match[0]
        return json.dumps(value) if value is None or isinstance(value, bool) else str(value)

    def _lookup(self, inner: str, text: str, path: str) -> Any:
        kind, colon, rest = inner.partition(":")
        if colon and kind == "env":
            return self._environment(rest, text, path)
        if colon and kind == "secret":
            if not _SECRET_NAME.match(rest):
                self._refuse(path, text, f"{rest!r} is no name of a secret", "lowercase letters, digits and dashes")
            return f"${{{inner}}}"
        if colon:
            self._refuse(path, text, f"there is no kind of reference {kind!r}", _HELP)
            return text
        return self._field(inner.strip(), text, path)

    def _environment(self, inner: str, text: str, path: str) -> str:
        name, comma, default = inner.partition(",")
        name = name.strip()
        if name in self.environment:
            return self.environment[name]
        if not comma:
            remedy = f"set it, or give a default: ${{env:{name},default}}"
            self._refuse(path, text, f"the environment variable {name} is not set", remedy)
        return default.strip()

    def _field(self, inner: str, text: str, path: str) -> Any:
        try:
            steps = split_path(inner)
            value = get_path(self.config, steps)
        except (KeyError, IndexError, ValueError, TypeError):
            remedy = _HELP if "." not in inner else self._near(inner)
            self._refuse(path, text, f"{inner!r} is no value of the configuration", remedy)
            return text
        target = ".".join(map(str, steps))
        if target in self._open:
            ring = " → ".join([*self._open[self._open.index(target) :], target])
            self._refuse(path, text, f"the reference leads back to itself: {ring}", "break the circle")
            return text
        if len(self._open) >= _MAX_CHAIN:
            self._refuse(path, text, f"is a chain of more than {_MAX_CHAIN} references", "refer to the value itself")
            return text
        if target not in self._known:
            self._open.append(target)
            self._known[target] = self.resolve(value, inner)
            self._open.pop()
        return self._known[target]

    def _near(self, inner: str) -> str:
        known = [
            f"{part}.{name}" for part, fields in self.config.items() if isinstance(fields, dict) for name in fields
        ]
        return did_you_mean(inner, known) if known else _HELP

    def _refuse(self, path: str, text: str, reason: str, remedy: str) -> None:
        problem = Problem(path, text, reason, remedy)
        if problem not in self.problems:
            self.problems.append(problem)
