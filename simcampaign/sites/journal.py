"""The journal that a runner writes, read as reports on jobs: pure functions from text."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simcampaign.errors import SiteError, shorten
from simcampaign.jobs import Cause, JobReport, JobState

_SIGNAL_EXIT = 128
"""A job that a signal killed has this plus the signal's number as its exit code, as in every shell."""

_REASONS: Mapping[str, tuple[JobState, Cause | None]] = {
    "timeout": (JobState.FAILED, Cause.TIMEOUT),
    "out_of_memory": (JobState.FAILED, Cause.OUT_OF_MEMORY),
    "not_started": (JobState.FAILED, Cause.INFRASTRUCTURE),
    "cancelled": (JobState.CANCELLED, None),
    "lost": (JobState.LOST, Cause.LOST),
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a journal was read: bytes, and jobs that had ended by then."""

    offset: int = 0
    ended: int = 0

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor; an empty text is the start. Raises ``SiteError`` if it is not one of ours."""
        if not text:
            return cls()
        offset, _, ended = text.partition(":")
        if not (offset.isdecimal() and ended.isdecimal()):
            raise SiteError(
                f"{text!r} is not a cursor of a journal", "look at the array from its start: give an empty one"
            )
        return cls(int(offset), int(ended))

    def __str__(self) -> str:
        return f"{self.offset}:{self.ended}"


def read_journal(data: bytes, cursor: Cursor) -> tuple[Sequence[JobReport], Cursor]:
    """Return the last report on each job that ``data`` mentions, and the cursor after it.

    ``data`` is what follows the cursor's offset in the journal. A torn last line is left for the next look. Raises
    ``SiteError`` if a whole line cannot be understood.
    """
    whole = data.rfind(b"\n") + 1
    latest: dict[int, JobReport] = {}
    ended = cursor.ended
    offset = cursor.offset
    for line in data[:whole].splitlines(keepends=True):
        try:
            event = json.loads(line)
            report = _report(event)
        except (ValueError, KeyError, TypeError) as error:
            shown = shorten(repr(line), 80)
            raise SiteError(f"the journal has a line at byte {offset} that cannot be understood: {shown}") from error
        if report is not None:
            latest[report.index] = report
            ended += not report.state.active
        offset += len(line)
    return tuple(latest.values()), Cursor(offset, ended)


def _report(event: Mapping[str, Any]) -> JobReport | None:
    kind = event["event"]
    if kind == "runner":
        return None
    if kind == "start":
        return JobReport(event["job"], JobState.RUNNING, started=event["time"])
    if kind != "end":
        raise ValueError(kind)
    state, cause, message = _verdict(event)
    return JobReport(
        event["job"],
        state,
        cause,
        exit_code=event["code"] if "code" in event else _SIGNAL_EXIT + event["signal"] if "signal" in event else None,
        started=event.get("began"),
        ended=event["time"],
        peak_memory_bytes=event.get("rss"),
        cpu_seconds=event.get("cpu"),
        message=message,
    )


def _verdict(event: Mapping[str, Any]) -> tuple[JobState, Cause | None, str]:
    """Say how a job ended, and why it failed."""
    if "reason" in event:
        state, cause = _REASONS[event["reason"]]
        return state, cause, event["message"]
    if "signal" in event:
        return _killed(event["signal"])
    if event["code"]:
        return JobState.FAILED, Cause.APPLICATION, ""
    return JobState.FINISHED, None, ""


def _killed(number: int) -> tuple[JobState, Cause, str]:
    if number == signal.SIGKILL:
        message = "killed by signal 9; often the kernel's out-of-memory killer"
        return JobState.FAILED, Cause.OUT_OF_MEMORY, message
    name = signal.strsignal(number) or "unknown"
    return JobState.FAILED, Cause.APPLICATION, f"killed by signal {number} ({name})"
