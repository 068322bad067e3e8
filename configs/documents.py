"""A YAML document: YAML 1.2 values, every mistake with its place.

PyYAML's own constructor is not used for three reasons: it reads YAML 1.1 (``no`` is false, ``08:30`` may become a
number, ``1e3`` is text), it takes the last of duplicate keys without a word, and it is nine times slower than libyaml's
events alone, which matters at 10^5 conditions.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from simcampaign.errors import ConfigError, Problem

MAX_DEPTH = 64
"""Nesting beyond this is a mistake or an attack; no recursion of ours goes deeper."""

MAX_ALIASED = 10**6
"""Values that aliases may add in all: a few lines of aliases of aliases can stand for billions."""

_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,1000}\Z")
_PREFIXED = re.compile(r"0o[0-7]{1,1000}\Z|0x[0-9a-fA-F]{1,1000}\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NUMBER_STARTS = frozenset("+-.0123456789")
_TAGS: dict[type, str] = {str: "tag:yaml.org,2002:str", dict: "tag:yaml.org,2002:map", list: "tag:yaml.org,2002:seq"}
_NO_KEY = object()

if TYPE_CHECKING:
    from yaml import SafeDumper as _SafeDumper
    from yaml import SafeLoader as _SafeLoader
else:  # libyaml where PyYAML was built with it
    _SafeDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml_file(path: Path, shown: str = "") -> tuple[Any, list[Problem]]:
    """Return the value of the YAML file at ``path`` and the mistakes that do not keep it from being read.

    ``shown`` is the file's name in messages. Raises ConfigError if it cannot be read or is malformed.
    """
    shown = shown or str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError([Problem(shown, str(path), f"cannot be read: {error.strerror or error}")]) from error
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 text: byte {error.object[error.start]:#04x} at offset {error.start}"
        raise ConfigError([Problem(shown, str(path), reason, "save the file as UTF-8")]) from error
    return read_yaml(text, shown)


def read_yaml(text: str, source: str) -> tuple[Any, list[Problem]]:
    """Return the value of the YAML ``text`` and its duplicate keys and forbidden tags as problems.

    Values follow the core schema of YAML 1.2. ``source`` names the text in messages. Raises ConfigError, with line,
    column and the line itself, if it is malformed.
    """
    reader = _Reader(text, source)
    try:
        value = reader.read()
    except yaml.YAMLError as error:
        reader.refuse(error)
    return value, reader.problems


def resolve(text: str) -> object:
    """Return what the unquoted scalar ``text`` means in the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _NUMBER_STARTS:
        if _INTEGER.match(text):
            return int(text)
        if _FLOAT.match(text):
            return float(text)
        if _PREFIXED.match(text):
            return int(text, 0)
    return text


def write_yaml(value: object) -> str:
    """Return ``value`` (mappings, lists, text, numbers, bools, None) as YAML that reads back as the same value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False)


class _Dumper(_SafeDumper):
    """Quotes text that YAML 1.1 or YAML 1.2 would take for something else; short lists of scalars stay on one line."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _represent_list(dumper: _SafeDumper, data: list[Any]) -> yaml.Node:
    plain = not any(isinstance(item, (list, dict)) for item in data)
    return dumper.represent_sequence(_TAGS[list], data, flow_style=plain)


_Dumper.add_representer(list, _represent_list)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(f"{_INTEGER.pattern}|{_PREFIXED.pattern}"), list("+-0123456789")
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("+-.0123456789"))


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been read yet."""

    value: list[Any] | dict[Any, Any]
    anchor: str | None
    start: int
    """Number of values read before it."""
    key: Any = _NO_KEY
    """The key that waits for its value."""
    lines: dict[Any, int] = field(default_factory=dict)
    """Line on which each key was first given."""
    height: int = 1
    """Levels of nesting inside, itself included."""


class _Reader:
    """Builds Python values from libyaml's events, without recursion."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int, int]] = {}
        self._count = 0
        self._aliased = 0
        self._scalars: dict[str, object] = {}

    def read(self) -> Any:
        events: Any = _SafeLoader(self.text)
        result: Any = None
        documents = 0
        while (event := events.get_event()) is not None:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                value = self._scalar(event)
                height = 0
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._open(event, {} if kind is yaml.MappingStartEvent else [])
                continue
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                value, height = self._close(event)
            elif kind is yaml.AliasEvent:
                value, height = self._alias(event)
            else:
                documents += kind is yaml.DocumentStartEvent
                if documents > 1:
                    self._fail(event.start_mark, "a second document starts here", "keep one document in a file")
                continue
            if self._stack:
                self._place(event, value, height)
            else:
                result = value
        return result

    def refuse(self, error: yaml.YAMLError) -> NoReturn:
        """Raise the parser's complaint as ConfigError."""
        mark = getattr(error, "problem_mark", None)
        if mark is None:
            problem = Problem(self.source, None, f"is not YAML: {getattr(error, 'reason', error)}")
            position = getattr(error, "position", None)
            if isinstance(position, int):
                before = self.text.encode()[:position].decode(errors="ignore")
                line = before.count("\n")
                problem = self._problem(line, len(before) - before.rfind("\n") - 1, f"is not YAML: {error.reason}", "")  # type: ignore[attr-defined]
            raise ConfigError([problem]) from error
        reason = f"is not YAML: {getattr(error, 'problem', None) or 'malformed'}"
        context = getattr(error, "context", None)
        if context:
            reason += f", {context}"
        tabbed = "\t" in self._line(mark.line)
        raise ConfigError(
            [self._problem(mark.line, mark.column, reason, "indent with spaces, not tabs" if tabbed else "")]
        ) from error

    def _scalar(self, event: Any) -> object:
        self._count += 1
        text: str = event.value
        if event.implicit[0]:
            value = self._scalars.get(text, _NO_KEY)
            if value is _NO_KEY:
                value = self._scalars[text] = resolve(text)
        else:
            if not event.implicit[1]:
                self._check_tag(event, str)
            value = text
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1, 0)
        return value

    def _open(self, event: Any, value: list[Any] | dict[Any, Any]) -> None:
        self._check_tag(event, type(value))
        if len(self._stack) >= MAX_DEPTH:
            self._fail(event.start_mark, f"is nested more than {MAX_DEPTH} levels deep")
        if self._stack and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is _NO_KEY:
            self._fail(
                event.start_mark, "a list or mapping cannot be a key", 'quote text that starts with { or [, as "{x}"'
            )
        self._stack.append(_Open(value, event.anchor, self._count))
        self._count += 1

    def _close(self, event: Any) -> tuple[Any, int]:
        frame = self._stack.pop()
        if isinstance(frame.value, dict) and "<<" in frame.value:
            self._merge(event, frame.value)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.value, self._count - frame.start, frame.height)
        return frame.value, frame.height

    def _alias(self, event: Any) -> tuple[Any, int]:
        if event.anchor not in self._anchors:
            self._fail(event.start_mark, f"there is no finished anchor &{event.anchor} before *{event.anchor}")
        value, size, height = self._anchors[event.anchor]
        self._count += size
        self._aliased += size
        if self._aliased > MAX_ALIASED or len(self._stack) + height > MAX_DEPTH:
            self._fail(event.start_mark, f"aliases stand for more than {MAX_ALIASED} values or {MAX_DEPTH} levels")
        return copy.deepcopy(value), height

    def _place(self, event: Any, value: Any, height: int) -> None:
        frame = self._stack[-1]
        frame.height = max(frame.height, height + 1)
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key is _NO_KEY:
            frame.key = value
            if isinstance(value, (list, dict)):
                self._fail(event.start_mark, "a list or mapping cannot be a key")
            line = event.start_mark.line
            first = frame.lines.setdefault(value, line)
            if value in frame.value:
                reason = f"is given twice in one mapping, first on line {first + 1}"
                self.problems.append(
                    Problem(self._spot(line, event.start_mark.column), value, reason, "keep one of them")
                )
        else:
            frame.value[frame.key] = value
            frame.key = _NO_KEY

    def _merge(self, event: Any, value: dict[Any, Any]) -> None:
        merged = value.pop("<<")
        sources = merged if isinstance(merged, list) else [merged]
        if not all(isinstance(source, dict) for source in sources):
            self._fail(event.start_mark, "<< takes a mapping, or a list of mappings", "e.g. <<: *defaults")
        own = dict(value)
        value.clear()
        for source in (*reversed(sources), own):
            value.update(source)

    def _check_tag(self, event: Any, kind: type) -> None:
        if event.tag not in {None, "!", _TAGS[kind]}:
            mark = event.start_mark
            reason = "tags are not used here; the value is read as plain text, list or mapping"
            self.problems.append(Problem(self._spot(mark.line, mark.column), event.tag, reason, "leave the tag out"))

    def _fail(self, mark: Any, reason: str, remedy: str = "") -> NoReturn:
        raise ConfigError([self._problem(mark.line, mark.column, reason, remedy)])

    def _problem(self, line: int, column: int, reason: str, remedy: str) -> Problem:
        return Problem(self._spot(line, column), self._line(line).strip(), reason, remedy)

    def _spot(self, line: int, column: int) -> str:
        return f"{self.source}, line {line + 1}, column {column + 1}"

    def _line(self, line: int) -> str:
        lines = self.text.splitlines()
        return lines[line] if line < len(lines) else ""
