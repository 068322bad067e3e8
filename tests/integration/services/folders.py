"""Folders of daemons: what they write at their very end is removed, too."""

from __future__ import annotations

import shutil
import time
from pathlib import Path


def remove_folder(folder: Path, patience: float = 5.0) -> None:
    """Remove a folder in which processes that are about to end may still write."""
    deadline = time.monotonic() + patience
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)
