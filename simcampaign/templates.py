"""Rendering inputs: Jinja2 in a sandbox, with every error told by template, line and condition.

The sandbox keeps a template from reaching Python's internals, from changing what it is shown, and from slips such as
``range(10**9)`` or ``'a' * 10**10``. It does not bound the time of nested loops: a service that renders text of
strangers must bound the process as well.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from simcampaign.chains import takes
from simcampaign.errors import TemplateError, shorten
from simcampaign.jobs import RunRange
from simcampaign.series import Condition

MAX_ITEMS = 1_000_000
"""No single operation in a template may make a text or list longer than this."""

MAX_BITS = 4096
"""No product or power in a template may need more bits than this."""

MAX_OUTPUT = 64 * 2**20
"""A rendered input may have at most this many characters."""

_WIDE_PERCENT = re.compile(r"%[-+ #0]*(?:\*|\d{6}|\d*\.(?:\*|\d{6}))")
_WIDE_BRACES = re.compile(r":[^{}]*\d{6}")
_UNKNOWN = re.compile(r"variable '(.+)' is not defined\Z")


def digest(text: str) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of ``text``; rendered inputs are compared by it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def context(
    name: str,
    group: str,
    ranges: Sequence[RunRange],
    conditions: Mapping[str, Condition],
    output: Callable[..., str] | None = None,
) -> dict[str, Any]:
    """Return what a template sees of one input.

    Parameters
    ----------
    name
        Name of the series.
    group
        Group of the input's conditions.
    ranges
        What the input holds, in order.
    conditions
        All conditions by key.
    output
        Gives the place of a file of another series; then variables that take one are filled in, too, and templates may
        call it. None if the series takes none.

    The result has ``name``, ``group`` and ``conditions``: one mapping a range, the condition's variables with
    ``start_seed`` and ``end_seed``. If the input holds exactly one run, that condition's variables and ``seed`` are at
    the top level too; ``name``, ``group``, ``conditions`` and ``seed`` hide variables that are called the same.
    Nothing that was passed in is changed; values are shared, not copied.
    """
    own = [conditions[item.condition_key] for item in ranges]
    if output:
        own = [_filled(condition, item, output) for condition, item in zip(own, ranges, strict=True)]
    shown = [
        {**variables, "start_seed": item.start_seed, "end_seed": item.end_seed}
        for variables, item in zip(own, ranges, strict=True)
    ]
    common: dict[str, Any] = {"name": name, "group": group, "conditions": shown}
    if output:
        common["output"] = output
    if len(ranges) == 1 and ranges[0].size == 1:
        return {**own[0], **common, "seed": ranges[0].start_seed}
    return common


def _filled(condition: Condition, item: RunRange, output: Callable[..., str]) -> Condition:
    """Return a condition with those of its texts rendered that take files of other series."""
    known: dict[str, Any] = {**condition, "conditions": [condition], "output": output}
    if item.size == 1:
        known["seed"] = item.start_seed

    def render(value: Any, name: str) -> Any:
        if isinstance(value, str) and takes(value):
            return _compiled(value, f"series.conditions, {name} of {item.condition_key}").render(known)
        return [render(each, name) for each in value] if isinstance(value, list) else value

    return {name: render(value, name) for name, value in condition.items()}


@lru_cache(maxsize=1024)
def _compiled(text: str, name: str) -> Template:
    return Template.compile(text, name)


@dataclass(frozen=True, eq=False)
class Template:
    """A compiled template. Compile once, render often: a render neither parses nor copies."""

    name: str
    """What messages call it, e.g. its file name."""

    text: str
    """Its source."""

    digest: str
    """Digest of its source."""

    _compiled: jinja2.Template

    @classmethod
    def compile(cls, text: str, name: str) -> Template:
        """Compile the source ``text``; ``name`` is what messages call it.

        Raises ``TemplateError`` with line and reason if the text is not a template.
        """
        try:
            compiled = _SANDBOX.from_string(text)
        except jinja2.TemplateSyntaxError as error:
            raise _fault(name, text, error.lineno, f"syntax error: {error.message}") from error
        except Exception as error:  # Python's own compiler refuses some templates, e.g. too deep ones
            raise _fault(name, text, None, f"cannot be compiled: {error}") from error
        return cls(name, text, digest(text), compiled)

    def render(self, variables: Mapping[str, Any]) -> str:
        """Return the text for ``variables``, as ``context`` makes them.

        Raises ``TemplateError`` naming the template, the line and the conditions: for a variable that is not defined,
        for what the sandbox forbids, and for whatever else goes wrong while rendering.
        """
        try:
            return "".join(_bounded(self._compiled.root_render_func(self._compiled.new_context(dict(variables)))))
        except Exception as error:  # templates can raise anything
            raise self._render_fault(error, variables) from error

    def _render_fault(self, error: Exception, variables: Mapping[str, Any]) -> TemplateError:
        hint = ""
        if isinstance(error, SecurityError):
            reason = f"the sandbox forbids it: {error}"
        elif isinstance(error, jinja2.UndefinedError):
            reason = str(error)
            hint = _suggestion(reason, variables)
        else:
            reason = f"{type(error).__name__}: {error}"
        shown = [str(condition.get("key", "?")) for condition in variables.get("conditions", ())]
        conditions = f" (condition {shorten(', '.join(shown))})" if shown else ""
        return _fault(self.name, self.text, self._line(error.__traceback__), f"{reason.rstrip('.')}{conditions}", hint)

    def _line(self, traceback: TracebackType | None) -> int | None:
        line = None
        while traceback is not None:
            if traceback.tb_frame.f_globals.get("__jinja_template__") is self._compiled:
                line = self._compiled.get_corresponding_lineno(traceback.tb_lineno)
            traceback = traceback.tb_next
        return line


def _fault(name: str, text: str, line: int | None, reason: str, hint: str = "") -> TemplateError:
    if line is None:
        return TemplateError(f"template {name}: {reason}", hint)
    lines = text.splitlines()
    shown = f"\n  {line} | {shorten(lines[line - 1].strip())}" if 0 < line <= len(lines) else ""
    return TemplateError(f"template {name}, line {line}: {reason}{shown}", hint)


def _suggestion(reason: str, variables: Mapping[str, Any]) -> str:
    unknown = _UNKNOWN.match(reason)
    if unknown is None:
        return ""
    if close := difflib.get_close_matches(unknown[1], variables, 1):
        return f"did you mean '{close[0]}'?"
    if "seed" not in variables and any(
        unknown[1] in condition for condition in (*variables.get("conditions", ()), {"seed": 0})
    ):
        return "this input holds more than one run: loop over `conditions`, or set parameters.seeds_per_job to 1"
    return f"add '{unknown[1]}' to the condition, or use one of: {shorten(', '.join(sorted(variables)))}"


def _bounded(parts: Iterator[str]) -> Iterator[str]:
    size = 0
    for part in parts:
        size += len(part)
        if size > MAX_OUTPUT:
            raise SecurityError(f"the text is longer than {MAX_OUTPUT} characters")
        yield part


class _Missing(jinja2.StrictUndefined):
    """A variable that is not there; the message says of which condition, as far as that is known."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        owner = self._undefined_obj
        if self._undefined_hint or not isinstance(self._undefined_name, str):
            return str(super()._undefined_message)
        if isinstance(owner, Mapping) and "key" in owner:
            return f"condition '{owner['key']}' has no variable '{self._undefined_name}'"
        if owner is jinja2.utils.missing:
            return f"variable '{self._undefined_name}' is not defined"
        return str(super()._undefined_message)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's immutable sandbox with a lid on the operations that turn a few characters into gigabytes."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse products, powers and formats that are too big; compute the others."""
        if operator == "%":
            _check_format(left, _WIDE_PERCENT)
        elif isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() * max(right, 0) if operator == "**" else left.bit_length() + right.bit_length()
            if bits > MAX_BITS and abs(left) > 1:
                raise SecurityError(f"{operator} gives a number of more than {MAX_BITS} bits")
        elif operator == "*":
            _check_repetition(left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Refuse text methods with huge widths, such as ``'a'.ljust(10**10)``; call the others."""
        wrapped = getattr(obj, "__wrapped__", None)  # how the sandbox hands out str.format
        owner = getattr(wrapped or obj, "__self__", None)
        if isinstance(owner, str):
            _check_format(owner if wrapped else "", _WIDE_BRACES)
            _check_sizes(*args, *kwargs.values())
        return super().call(context, obj, *args, **kwargs)


def _check_sizes(*values: Any) -> None:
    for value in values:
        if isinstance(value, int) and abs(value) > MAX_ITEMS:
            raise SecurityError(f"a width of {value} is more than {MAX_ITEMS}")


def _check_format(text: Any, wide: re.Pattern[str]) -> None:
    if isinstance(text, str) and wide.search(text):
        raise SecurityError(f"the format {shorten(text, 40)!r} is too wide")


def _check_repetition(left: Any, right: Any) -> None:
    for sequence, times in ((left, right), (right, left)):
        if (
            isinstance(sequence, str | bytes | list | tuple)
            and isinstance(times, int)
            and len(sequence) * times > MAX_ITEMS
        ):
            raise SecurityError(f"* gives more than {MAX_ITEMS} items")


def _bounded_filter(original: Callable[..., Any]) -> Callable[..., Any]:
    def bounded(value: Any, *args: Any, **kwargs: Any) -> Any:
        _check_sizes(*args, *kwargs.values())
        return original(value, *args, **kwargs)

    return bounded


def _bounded_format(value: Any, *args: Any, **kwargs: Any) -> str:
    _check_format(str(value), _WIDE_PERCENT)
    return jinja2.filters.do_format(value, *args, **kwargs)


def _sandbox() -> _Sandbox:
    environment = _Sandbox(undefined=_Missing, keep_trailing_newline=True, autoescape=False)
    del environment.globals["lipsum"]  # as much text as it is asked for
    filters = environment.filters
    filters.update({name: _bounded_filter(filters[name]) for name in ("center", "indent")}, format=_bounded_format)
    return environment


_SANDBOX = _sandbox()
