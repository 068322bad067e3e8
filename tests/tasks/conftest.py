"""Prefect reads where its home is when it is imported, which the tests of tasks do in this process."""

from __future__ import annotations

import os
import tempfile

_home = tempfile.TemporaryDirectory(prefix="prefect-")
os.environ.setdefault("PREFECT_HOME", _home.name)
