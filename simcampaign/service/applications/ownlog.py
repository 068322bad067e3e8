"""The log that a program writes beside its output: which of those that lie there is of a job's own run."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

LARGEST = 16 * 2**20
"""Bytes of a log that are read."""

SLACK_SECONDS = 2.0
"""How far the clock of a file server may be off."""


def own_log(pattern: str, job_id: str, started: float | None, ended: float | None) -> str | None:
    """Return the text of a job's own log; None if there is none yet.

    Its own is the newest that names the job's id, as the command line in it does; else the newest that was written
    while the job ran and names no other job. ``started`` and ``ended`` are seconds since the epoch.
    """
    if started is None:
        return None
    in_its_time: str | None = None
    for path, written in _candidates(pattern):
        if written < started - SLACK_SECONDS:
            break
        text = _read(path)
        named = re.search(r"-jobid[\s=]+\"?([A-Za-z0-9_-]+)", text)
        if named is not None and named[1] == job_id:
            return text
        if named is None and in_its_time is None and (ended is None or written <= ended + SLACK_SECONDS):
            in_its_time = text
    return in_its_time


def _candidates(pattern: str) -> Iterator[tuple[Path, float]]:
    """Yield logs and when they were written, newest first; none that a link leads out of the project's folder."""
    home = os.path.realpath(_unescaped(str(Path(pattern).parent.parent)))
    found = []
    for each in glob.iglob(pattern):  # noqa: PTH207 - the pattern is absolute
        path = Path(os.path.realpath(each))
        try:
            if path.is_file() and path.is_relative_to(home):
                found.append((path, path.stat().st_mtime))
        except OSError:
            continue
    return iter(sorted(found, key=lambda one: -one[1]))


def _unescaped(text: str) -> str:
    """Return the path that ``glob.escape`` made a pattern of."""
    return re.sub(r"\[([*?\[])\]", r"\1", text)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""
