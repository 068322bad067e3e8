"""Key patterns such as ``"T{temperature:.1f}_{drug}"``: ``str.format`` without its reach into objects."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass

from simcampaign.mistakes import did_you_mean

_LONG_NUMBER = re.compile("[0-9]{4}")


class PatternError(ValueError):
    """A pattern is malformed, or does not fit a condition's variables."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Pattern:
    """Literal text and the fields between it: ``(literal, name or None, format spec)``."""

    parts: tuple[tuple[str, str | None, str], ...]

    def fill(self, variables: Mapping[str, object]) -> str:
        """Return the pattern with each field replaced by its formatted variable; raises PatternError."""
        filled: list[str] = []
        for literal, name, spec in self.parts:
            filled.append(literal)
            if name is None:
                continue
            if name not in variables:
                known = [str(variable) for variable in variables]
                raise PatternError(f"{{{name}}} is no variable of the condition", did_you_mean(name, known))
            try:
                filled.append(format(variables[name], spec))
            except (ValueError, TypeError) as error:
                shown = f"{name} = {variables[name]!r}"
                raise PatternError(f"{shown} cannot be formatted as {spec!r}: {error}") from error
        return "".join(filled)


def read_pattern(text: object) -> Pattern:
    """Return the pattern that ``text`` describes.

    A field is a variable's plain name, optionally with a format spec. Attributes, indices, conversions, nested fields
    and widths of four digits or more are refused: a config is not trusted. Raises PatternError.
    """
    if not isinstance(text, str):
        raise PatternError(f"must be text, not {type(text).__name__}", 'e.g. "T{temperature:.1f}_{drug}"')
    try:
        pieces = list(string.Formatter().parse(text))
    except ValueError as error:
        raise PatternError(f"is not a pattern: {error}", "write {{ and }} for braces that are meant") from error
    for _, name, spec, conversion in pieces:
        if name is not None:
            _check_field(name, spec or "", conversion)
    return Pattern(tuple((literal, name, spec or "") for literal, name, spec, _ in pieces))


def _check_field(name: str, spec: str, conversion: str | None) -> None:
    plain = "use a variable's plain name, with a format such as {x:.2f} if needed"
    if not name or name.isdigit():
        raise PatternError(f"{{{name}}} names no variable", plain)
    if "." in name or "[" in name or conversion:
        raise PatternError(f"{{{name}}} reaches into a value or converts it, which is not allowed in a key", plain)
    if "{" in spec or _LONG_NUMBER.search(spec):
        raise PatternError(f"the format {spec!r} of {{{name}}} is not allowed", plain)
