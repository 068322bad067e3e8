"""How a job ended, from two witnesses: the exit code that it left, and the scheduler's word. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from simcampaign.errors import SiteError, shorten
from simcampaign.jobs import Cause, JobReport, JobState
from simcampaign.sites.cluster.adapter import Seen
from simcampaign.sites.cluster.files import About

_SIGNALLED, _KILLED, _TERMINATED = 128, 137, 143
_UNTOLD = "-"
_REFUSED = "refused"
_NEARLY = 0.95
"""A job that was told to end after this part of its time limit was told so for its time limit."""

_KILLED_MESSAGE = "killed by signal 9; often the kernel's out-of-memory killer"
_START_MESSAGES = {126: "the command cannot be run on the node", 127: "the command was not found on the node"}


@dataclass(frozen=True, slots=True)
class End:
    """What a job wrote down at its end."""

    index: int
    code: int
    """Exit code as a shell gives it: 128 plus the number of a signal that ended the command."""

    started: float
    ended: float
    word: str
    """The signal by which the job was told to end before it did; ``refused`` if it was not begun; else ``-``."""

    node: str

    @classmethod
    def parse(cls, line: str) -> End:
        """Read ``INDEX CODE DURATION END WORD NODE``, the duration in hundredths of a second.

        Raises ``SiteError`` if it is something else.
        """
        parts = line.split()
        try:
            index, code, hundredths, ended = (int(part) for part in parts[:4])
            word, node = parts[4:]
        except ValueError as error:
            raise SiteError(f"an exit code file cannot be understood: {shorten(repr(line))}") from error
        return cls(index, code, ended - hundredths / 100, ended, word, node)

    @property
    def told(self) -> bool:
        """True if it was told to end, so that its exit code is not the whole story."""
        return self.word not in {_UNTOLD, _REFUSED}

    def certain(self, about: About, cancelled: bool) -> bool:
        """Tell whether the exit code says it all.

        It does not if a signal came from outside, or may have: a command that was told to end may end with 0, and a
        script or launcher whose program ran out of memory with any code.
        """
        if self.told or self.suspicious(about, cancelled):
            return False
        return self.code == 0 or self.code in _START_MESSAGES or self.word == _REFUSED

    def suspicious(self, about: About, cancelled: bool) -> bool:
        """Tell whether the job ended as its time was up, or when it was to be cancelled."""
        return cancelled or (
            about.limit_seconds is not None and self.ended - self.started >= _NEARLY * about.limit_seconds
        )


_Verdict = tuple[JobState, Cause | None, str]


def of_end(end: End, seen: Seen | None, cancelled: bool, about: About) -> JobReport:
    """Return the report on a job that left its exit code; ``seen`` is the scheduler's last word, None if it has none.

    The exit code is the authority. The scheduler says why a job was told to end, or killed.
    """
    if seen is not None and seen.state.active:
        seen = None
    second = _by_scheduler(seen) if seen else None
    if second is None and (seen is None or (cancelled and seen.cause is Cause.APPLICATION)):
        second = _by_circumstances(end, cancelled, about)  # not every scheduler tells a cancelled job from a failed one
    state, cause, message = _by_itself(end, about, cancelled) or second or _by_code(end)
    peak, cpu = (seen.peak_memory_bytes, seen.cpu_seconds) if seen else (None, None)
    return JobReport(end.index, state, cause, end.code, end.started, max(end.started, end.ended), peak, cpu, message)


def _by_itself(end: End, about: About, cancelled: bool) -> _Verdict | None:
    if end.word == _REFUSED:
        return JobState.FAILED, Cause.INFRASTRUCTURE, "it could not be begun, see its log"
    if end.code == 0 and not end.told and not end.suspicious(about, cancelled):
        return JobState.FINISHED, None, ""
    return None


def _by_scheduler(seen: Seen) -> _Verdict | None:
    if seen.state is JobState.CANCELLED or seen.cause not in {None, Cause.APPLICATION}:
        return seen.state, seen.cause, seen.message
    return None


def _by_circumstances(end: End, cancelled: bool, about: About) -> _Verdict | None:
    """Say what can be said without the scheduler."""
    if cancelled and (end.told or end.code in {_KILLED, _TERMINATED}):
        return JobState.CANCELLED, None, "cancelled"
    if not end.told:
        return None
    if end.suspicious(about, cancelled):
        return JobState.FAILED, Cause.TIMEOUT, "it was told to end at its time limit"
    message = f"the scheduler told it to end (signal {end.word}), and does not say why"
    return JobState.FAILED, Cause.INFRASTRUCTURE, message


def _by_code(end: End) -> _Verdict:
    if end.code == 0:
        return JobState.FINISHED, None, ""
    if end.code == _KILLED:
        return JobState.FAILED, Cause.OUT_OF_MEMORY, _KILLED_MESSAGE
    return JobState.FAILED, Cause.APPLICATION, _application(end)


def _application(end: End) -> str:
    if end.code > _SIGNALLED:
        return f"killed by signal {end.code - _SIGNALLED}"
    return _START_MESSAGES.get(end.code, "")


def without_end(index: int, seen: Seen | None, begun: bool, cancelled: bool) -> JobReport:
    """Return the report on a job that is over for the scheduler, or unknown to it, and left no exit code.

    Such a job is never finished, whatever the scheduler says.
    """
    if seen is None:
        if cancelled:
            return JobReport(index, JobState.CANCELLED, message="cancelled")
        return JobReport(index, JobState.LOST, Cause.LOST, message="the scheduler no longer knows it")
    if seen.state is JobState.FINISHED:
        message = "for the scheduler it is over, but it left no exit code"
        return _seen_report(index, seen, JobState.LOST, Cause.LOST, message)
    if seen.cause is not Cause.APPLICATION:
        return _seen_report(index, seen, seen.state, seen.cause, seen.message)
    if seen.exit_code == _KILLED:
        return _seen_report(index, seen, JobState.FAILED, Cause.OUT_OF_MEMORY, _KILLED_MESSAGE)
    what = "its script was ended before it could leave an exit code" if begun else "its script could not begin"
    return _seen_report(index, seen, JobState.FAILED, Cause.INFRASTRUCTURE, f"{what}; the scheduler says {seen.code}")


def _seen_report(index: int, seen: Seen, state: JobState, cause: Cause | None, message: str) -> JobReport:
    peak, cpu = seen.peak_memory_bytes, seen.cpu_seconds
    return JobReport(index, state, cause, seen.exit_code, seen.started, seen.ended, peak, cpu, message)
