"""The cache: results on this machine, so that the same simulation is not solved, nor fetched, twice.

Each lies under the checksum of its simulation, the solver's name and its version, in a file that carries its own
checksum in its name; what is torn or changed is noticed by that, and forgotten.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from simcampaign.places import cache_folder
from simcampaign.web.link import digest, has_digest

logger = logging.getLogger("simcampaign")

MAX_BYTES = 10 * 2**30


class Cache:
    """``web.cache``: set ``enabled`` or ``max_bytes``, or ``clear()`` it."""

    def __init__(self, folder: Path | None = None) -> None:
        """Keep results in a folder; by default in that of this user."""
        self.enabled = True
        """Whether results are looked up and kept."""

        self.max_bytes = MAX_BYTES
        """Bytes that are kept; of more, what was not used for longest goes."""

        self._given = folder
        self._lock = threading.Lock()
        self._size: int | None = None

    @property
    def folder(self) -> Path:
        """Where results lie."""
        return self._given or cache_folder() / "web"

    @property
    def size(self) -> int:
        """Bytes that are kept now."""
        return sum(size for _, size, _ in self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def clear(self) -> None:
        """Forget all results."""
        with self._lock:
            for path, _, _ in self._entries():
                path.unlink(missing_ok=True)
            self._size = 0

    @staticmethod
    def key(sha256: str, endpoint: str, solver: str) -> str:
        """Return the key of what a solver of some version makes of a simulation."""
        return hashlib.sha256("\n".join((sha256, endpoint, solver)).encode()).hexdigest()

    def get(self, key: str, targets: Sequence[Path]) -> bool:
        """Copy a result to files; tell whether it was there, and whole."""
        if not self.enabled:
            return False
        for found in self._shelf(key).glob(f"{key}.*.hdf5"):
            sha256 = found.name.split(".")[1]
            for target in targets:
                target.parent.mkdir(parents=True, exist_ok=True)
                part = target.with_name(f".{target.name}.cached.{os.getpid()}")
                try:
                    shutil.copyfile(found, part)
                    if not has_digest(part, sha256):
                        found.unlink(missing_ok=True)
                        return False
                    part.replace(target)
                except FileNotFoundError:  # somebody cleared it just now
                    return False
                finally:
                    part.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                os.utime(found)
            return True
        return False

    def put(self, key: str, source: Path) -> None:
        """Keep a result. What cannot be kept is no error: the result itself is there."""
        if not self.enabled:
            return
        shelf = self._shelf(key)
        part = shelf / f"{key}.{os.getpid()}-{threading.get_ident()}.part"
        try:
            shelf.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, part)
            part.replace(shelf / f"{key}.{digest(source)}.hdf5")
        except OSError as error:
            part.unlink(missing_ok=True)
            logger.warning("A result was not kept in the cache: %s", error)
            return
        self._make_room(source.stat().st_size)

    def _shelf(self, key: str) -> Path:
        return self.folder / key[:2]

    def _make_room(self, more: int) -> None:
        with self._lock:
            self._size = self.size if self._size is None else self._size + more
            if self._size <= self.max_bytes:
                return
            entries = sorted(self._entries(), key=lambda each: each[2])
            self._size = sum(size for _, size, _ in entries)
            for path, size, _ in entries:
                if self._size <= 0.9 * self.max_bytes:
                    return
                path.unlink(missing_ok=True)
                self._size -= size

    def _entries(self) -> list[tuple[Path, int, float]]:
        """Return the files with their sizes and when they were used last."""
        found = []
        for path in self.folder.glob("??/*"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((path, status.st_size, status.st_mtime))
        return found
