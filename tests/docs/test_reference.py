"""The reference of all fields is the code's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_is_what_the_flows_say_of_themselves() -> None:
    """If this fails, a field changed: `make reference`."""
    done = subprocess.run(
        [sys.executable, "docs/reference.py"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
