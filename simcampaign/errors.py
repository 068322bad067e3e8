"""What can go wrong, sorted by who must act.

    SimcampaignError
    ├── ConfigError        the person: the configuration, or a series, is wrong
    ├── TemplateError      the person: the template does not render
    ├── ConflictError      the person: something moved since it was reviewed, or somebody else is at work on it
    ├── LocationError      the place that holds files: missing, not writable, full
    ├── SiteError          the place that computes: refuses, is misconfigured or answers nonsense
    ├── NetworkError       the way there: unreachable, throttled, cut off
    └── SimulationError    the simulation itself: it failed, was cancelled or got lost

Every message names the field or job, the value and the reason; ``hint`` is the next command to type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SimcampaignError(Exception):
    """Base of all errors that simcampaign raises on purpose.

    ``str(error)`` is the whole message; ``error.hint`` is what to do or type next, or an empty string.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}\n  → {self.hint}" if self.hint else message


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration: where it is, what was there, why it is wrong and what would be right."""

    path: str
    """Dotted path of the field, e.g. ``series.conditions[3].key``."""

    value: object
    """The offending value; shown shortened. ``ABSENT`` stands for a field that is missing."""

    reason: str
    """Why it is wrong."""

    remedy: str = ""
    """What would be right."""

    def __str__(self) -> str:
        shown = "" if self.value is ABSENT else f" = {shorten(repr(self.value))}"
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.path}{shown}: {self.reason}{remedy}"


class _Absent:
    """The value of a field that is not there."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()

SHOWN_PROBLEMS = 100
"""A message shows at most this many mistakes; 10^5 conditions may all have the same one."""


class ConfigError(SimcampaignError):
    """The configuration is wrong; ``problems`` lists every mistake, the message up to ``SHOWN_PROBLEMS``."""

    def __init__(self, problems: Sequence[Problem], hint: str = "") -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{count} mistake{'s' if count != 1 else ''} in the configuration; nothing was created."
        lines = [head, *(f"  {problem}" for problem in self.problems[:SHOWN_PROBLEMS])]
        if count > SHOWN_PROBLEMS:
            lines.append(f"  … and {count - SHOWN_PROBLEMS} more")
        super().__init__("\n".join(lines), hint)


class TemplateError(SimcampaignError):
    """A template has a syntax error, an undefined variable, or tries what the sandbox forbids."""


class ConflictError(SimcampaignError):
    """Something is no longer as it was when it was reviewed, or another campaign run got there first."""


class LocationError(SimcampaignError):
    """A location, or a file in it, cannot be read or written."""


class SiteError(SimcampaignError):
    """A site refused, or answered something that cannot be understood."""


class NetworkError(SimcampaignError):
    """A service could not be reached, or cut the connection; trying again may help."""


class SimulationError(SimcampaignError):
    """A simulation failed, was cancelled or lost; the message has the cause, its last lines and where its log is."""


def shorten(text: str, width: int = 120) -> str:
    """Return ``text`` cut to ``width`` characters, with an ellipsis where something was cut."""
    return text if len(text) <= width else f"{text[: width - 1]}…"
