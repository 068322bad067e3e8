"""Which jobs of an array somebody asked to cancel."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path


class Cancelled:
    """The cancel marks in an array's directory, as last seen."""

    def __init__(self, directory: Path) -> None:
        """Look in ``directory`` when asked to."""
        self._all_mark = directory / "cancel"
        self._list = directory / "cancel-jobs"
        self._all = False
        self._read = 0
        self.indices: set[int] = set()
        """Single jobs."""

    def look(self) -> bool:
        """Look again; returns True if single jobs were added."""
        self._all = self._all or self._all_mark.exists()
        try:
            data = self._list.read_bytes() if self._list.stat().st_size != self._read else b""
        except FileNotFoundError:
            return False
        if not data:
            return False
        self._read = len(data)
        for line in data.splitlines():
            with suppress(ValueError, TypeError):  # torn by a full disk: whoever asked was told so
                self.indices.update(map(int, json.loads(line)))
        return True

    def __contains__(self, index: int) -> bool:
        return self._all or index in self.indices
