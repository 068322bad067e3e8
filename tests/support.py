"""What tests of many rooms need."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from simcampaign.sites.background import take_lock

T = TypeVar("T")
PATIENCE = 240.0
"""Seconds; enough for a command on a machine that many share."""


def until(look: Callable[[], T], patience: float = PATIENCE) -> T:
    """Look again and again until there is something to see, and return it.

    The longer it takes, the rarer are the looks: many ask a server, which does the work that is waited for.
    """
    began = time.monotonic()
    while not (seen := look()):
        waited = time.monotonic() - began
        assert waited < patience, f"waited {patience:.0f} s in vain"
        time.sleep(min(max(0.01, waited / 20), 0.5))
    return seen


def is_idle(directory: Path) -> bool:
    """Say whether no runner is at work in an array's directory."""
    try:
        lock = take_lock(str(directory))
    except (FileNotFoundError, NotADirectoryError):  # never there, or refused
        return True
    if lock is not None:
        os.close(lock)
    return lock is not None
