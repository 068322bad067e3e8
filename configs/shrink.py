"""Large lists of conditions kept out of Prefect's parameters, which may have 512 KB."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from configs.series import SeriesConfig

LARGEST_BYTES = 300_000
"""Conditions that take more as JSON are handed over as a file."""


def shrink(series: SeriesConfig, folder: Path) -> SeriesConfig:
    """Return ``series`` with its conditions in a file below ``folder`` if they are too large for a flow's parameters.

    The file is named by its content, so that the same conditions always give the same parameters.
    """
    text = json.dumps(series.conditions, default=str)
    if len(text) <= LARGEST_BYTES:
        return series
    expanded = json.dumps([dict(condition) for condition in series.expand().conditions], default=str).encode()
    target = folder / f"{series.name}-{hashlib.sha256(expanded).hexdigest()[:16]}.json"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(descriptor, "wb") as file:
            file.write(expanded)
        Path(temporary).replace(target)
    return replace(series, conditions={"from_file": str(target)})
