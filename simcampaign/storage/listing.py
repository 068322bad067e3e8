"""Listing a directory tree again and again: only directories that changed are read.

Adding, removing or renaming an entry changes the modification and change times of its directory, so that a directory
with the same times and inode has the same entries - unless the last change was so recent when it was read that a
further one may have got the same time stamp. Such a directory is read again. Links are looked up at every scan: what
they lead to can change without any trace in their directory.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from simcampaign.errors import LocationError
from simcampaign.places import cache_folder

KeyLists = Iterator[list[str]]
"""Keys, as many at once as were found together."""

TEMPORARY = ".simcampaign-"
"""Names of files that are being written start so; they are never listed."""

GRANULARITY_NS = 2_000_000_000
"""A directory that changed less than this before it was read is read again: the coarsest time stamps (FAT) are 2 s."""

CHUNK = 10_000
"""Keys in one list, at most."""

_FORMAT = 1
_LOG = logging.getLogger(__name__)


class _Seen(NamedTuple):
    """One directory as it was read. Names are joined by ``/``, which none can contain: one text, not a million."""

    modified_ns: int
    changed_ns: int
    inode: int
    listed_ns: int
    files: str
    folders: str
    links: str

    def holds(self, status: os.stat_result) -> bool:
        """Tell whether the directory, whose status is now ``status``, surely still has these entries."""
        stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        newest = max(self.modified_ns, self.changed_ns)
        return stamp == (self.modified_ns, self.changed_ns, self.inode) and self.listed_ns - newest > GRANULARITY_NS


@dataclass(frozen=True, slots=True)
class _Step:
    """A directory to visit: its key, and the (device, inode) of itself and all above, to notice links that go round."""

    key: str
    above: tuple[tuple[int, int], ...]


class Listing:
    """What was seen of a directory tree, kept between scans.

    ``read`` and ``reused`` count the directories of the last scan.
    """

    def __init__(self, root: str, file: Path | None = None, clock: Callable[[], int] = time.time_ns) -> None:
        self._root = root
        self._file = file
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._forgot = False
        self.read = 0
        self.reused = 0

    @classmethod
    def load(cls, root: str, folder: Path | None = None, clock: Callable[[], int] = time.time_ns) -> Listing:
        """Return what the last scan of ``root`` saw; nothing if there was none or its record is damaged.

        ``folder`` holds the records (default: the user's cache folder); ``clock`` gives nanoseconds since the epoch.
        """
        folder = folder or cache_folder() / "listings"
        listing = cls(root, folder / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.json", clock)
        listing._load()
        return listing

    def save(self) -> None:
        """Write the record for the next scan, atomically; a record that cannot be written is only logged."""
        if self._file is None or not (self.read or self._forgot):
            return
        body = json.dumps([_FORMAT, self._root, self._seen]).encode()
        temporary = self._file.with_name(f"{TEMPORARY}{os.getpid()}-{self._file.name}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(_seal(body) + b"\n" + body)
            temporary.replace(self._file)
        except OSError as error:
            _LOG.warning(
                "the next listing of %s will be a full one: cannot write %s: %s", self._root, self._file, error
            )

    def scan(self, prefix: str = "") -> KeyLists:
        """Yield the keys of all files below the folder ``prefix``; ``LocationError`` if a directory cannot be read."""
        before, self._seen = self._seen, {}
        inside = f"{prefix}/" if prefix else ""
        kept = {key: seen for key, seen in before.items() if not (key == prefix or key.startswith(inside))}
        self.read = self.reused = 0
        todo = [_Step(prefix, ())]
        while todo:
            step = todo.pop()
            try:
                found = self._visit(step, before)
            except (FileNotFoundError, NotADirectoryError):
                continue  # gone since its parent was read, or never there: it has no files
            except OSError as error:
                reason = f"cannot list {step.key!r} in {self._root}: {error.strerror}"
                raise LocationError(
                    reason, "make it readable: what cannot be listed cannot be told from missing"
                ) from error
            keys, deeper = found
            todo += deeper
            for start in range(0, len(keys), CHUNK):
                yield keys[start : start + CHUNK]
        self._seen.update(kept)
        self._forgot = len(self._seen) != len(before)

    def _visit(self, step: _Step, before: dict[str, _Seen]) -> tuple[list[str], list[_Step]]:
        path = os.path.join(self._root, step.key) if step.key else self._root  # noqa: PTH118
        status = os.stat(path)  # noqa: PTH116
        here = (status.st_dev, status.st_ino)
        if here in step.above:
            return [], []
        seen = before.get(step.key)
        if seen is not None and seen.holds(status):
            self.reused += 1
        else:
            seen = _read(path, status, self._clock())
            self.read += 1
        self._seen[step.key] = seen
        files, folders = _names(seen.files), _names(seen.folders)
        for name in _names(seen.links):
            target = os.path.join(path, name)  # noqa: PTH118
            if os.path.isdir(target):  # noqa: PTH112
                folders.append(name)
            elif os.path.isfile(target):  # noqa: PTH113
                files.append(name)
        start = f"{step.key}/" if step.key else ""
        above = (*step.above, here)
        return [start + name for name in files], [_Step(start + name, above) for name in folders]

    def _load(self) -> None:
        if self._file is None:
            return
        try:
            seal, _, body = self._file.read_bytes().partition(b"\n")
        except OSError:
            return
        if seal != _seal(body):
            return
        version, root, seen = json.loads(body)
        if (version, root) == (_FORMAT, self._root):
            self._seen = {key: _Seen(*entry) for key, entry in seen.items()}


def _seal(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _names(joined: str) -> list[str]:
    return joined.split("/") if joined else []


def _read(path: str, status: os.stat_result, now_ns: int) -> _Seen:
    files, folders, links = [], [], []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_symlink():
                links.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.is_file(follow_symlinks=False) and not entry.name.startswith(TEMPORARY):
                files.append(entry.name)
    times = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, now_ns)
    return _Seen(*times, "/".join(files), "/".join(folders), "/".join(links))
