"""What the API says: short reports, and why a simulation failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from simcampaign.errors import SimulationError
from simcampaign.jobs import Cause, JobState
from simcampaign.ledger import JobRow

TAIL_LINES = 10
"""Lines of a log that an error shows."""

_CAUSES = {
    Cause.APPLICATION: "the program failed",
    Cause.OUT_OF_MEMORY: "out of memory",
    Cause.TIMEOUT: "its wall time was up",
    Cause.PREEMPTED: "it was preempted",
    Cause.INFRASTRUCTURE: "the site failed",
    Cause.STAGING: "its files did not get there",
    Cause.LOST: "the site does not know it any more",
}


def size_text(count: int) -> str:
    """Write bytes with three figures: ``12.3 kB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def seconds_text(seconds: float) -> str:
    """Write seconds: ``2.1 s``, ``3 min 5 s``, ``2 h 3 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count_text(count: int, word: str) -> str:
    """Write a count with its word: ``1 file``, ``3 files``."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def states_text(states: Iterable[JobState]) -> str:
    """Write how many jobs are in which state: ``3 finished, 1 failed``."""
    counts = Counter(states)
    return ", ".join(f"{counts[state]} {state}" for state in JobState if counts[state])


def failure(name: str, site: str, row: JobRow, log: str, log_place: str) -> SimulationError:
    """Return the error that says how a job ended.

    ``log`` is what it printed, ``log_place`` where that is, or an expression that gives it.
    """
    why = [] if row.cause is None else [_CAUSES[row.cause]]
    if row.exit_code is not None:
        why.append(f"exit code {row.exit_code}")
    if row.message:
        why.append(row.message)
    told = f": {', '.join(why)}" if why else ""
    lines = [f"job {name} at site {site} {_ENDS[row.state]}{told}"]
    tail = log.rstrip().splitlines()[-TAIL_LINES:]
    if tail:
        lines += ["its log ends:", *(f"    {line}" for line in tail)]
    return SimulationError("\n  ".join(lines), f"see its log: {log_place}")


_ENDS = {
    JobState.FAILED: "failed",
    JobState.CANCELLED: "was cancelled",
    JobState.LOST: "was lost",
}


def call_text(function: str, name: str, site: str) -> str:
    """Write the call that finds a job again."""
    return f"api.{function}(job_name={name!r}, site_name={site!r})"


def downloaded_text(copied: dict[Path, int], folder: Path, total: float, pure: float | None) -> str:
    """Write what was copied, and how long everything and the simulation alone took, in seconds."""
    run = "" if pure is None else f", {seconds_text(pure)} of simulation"
    files = f"{size_text(sum(copied.values()))} ({count_text(len(copied), 'file')})"
    return f"Downloaded {files} to {folder}; {seconds_text(total)} in all{run}"
