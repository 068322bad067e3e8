"""Sizes and times as schedulers print them: ``23.5G``, ``8 Mbytes``, ``6012kb``, ``01:30:00``."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)i?(?:b|bytes)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_CLOCK = re.compile(r"(?:(\d+)[-:])??(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*(?:s|seconds?|second\(s\))?")
_DATES = ("%a %b %d %H:%M:%S %Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S")


def size_in_bytes(text: str) -> int | None:
    """Return a size in bytes; units are powers of 1024. None for anything else, as ``-`` or nothing."""
    match = _SIZE.fullmatch(text.strip())
    return int(float(match[1]) * 1024 ** _POWERS[match[2].lower()]) if match else None


def size_in_mb(text: str) -> int | None:
    """Return a size in MiB, rounded down; None for anything that is no size."""
    size = size_in_bytes(text)
    return None if size is None else size // 2**20


def duration(text: str) -> float | None:
    """Return seconds of ``[DAYS:]HOURS:MINUTES:SECONDS``, ``3s`` or ``0.03 second(s)``; None for anything else."""
    if match := _SECONDS.fullmatch(text.strip()):
        return float(match[1])
    if match := _CLOCK.fullmatch(text.strip()):
        days, hours, minutes, seconds = (float(each or 0) for each in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return None


def moment(text: str) -> float | None:
    """Return a date that a program printed with ``TZ=UTC`` and ``LC_ALL=C`` as seconds since the epoch, or None."""
    for form in _DATES:
        try:
            return datetime.strptime(" ".join(text.split()), form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None
