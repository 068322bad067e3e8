"""What people type for numbers, times and settings."""

from __future__ import annotations

import argparse
import math
import re
import time
from datetime import datetime

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def count(text: str) -> int:
    """Return an integer of 1 or more."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be an integer, 1 or more")
    return int(text)


def positive(text: str) -> float:
    """Return a number greater than 0."""
    if not _NUMBER.fullmatch(text) or not 0 < float(text) < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number greater than 0")
    return float(text)


def seconds(text: str) -> float:
    """Return a time in seconds: 90, 30m, 1h30m, 2d."""
    if _NUMBER.fullmatch(text):
        return float(text)
    if not _SPAN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give seconds, or e.g. 30m, 1h30m, 2d")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhdw])", text))


def since(text: str) -> float:
    """Return a moment in seconds since the epoch: a time ago, or a date with or without a time of day."""
    try:
        return time.time() - seconds(text)
    except argparse.ArgumentTypeError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        reason = f"{text!r} is no time; give e.g. 90m, 12h, 2d, or a date such as 2026-01-31"
        raise argparse.ArgumentTypeError(reason) from error


def pair(text: str) -> tuple[str, str]:
    """Return what is before and after the first ``=``."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME=VALUE")
    return name, value
