"""A local directory as a store.

Plain system calls: measured quicker than obstore's local store, which also refuses names such as ``a#1`` and copies by
hard links.
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from simcampaign.errors import LocationError
from simcampaign.storage.listing import TEMPORARY, KeyLists, Listing

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_COUNTER = itertools.count()
_TOKEN = secrets.token_hex(4)


class Directory:
    """A directory that need not exist yet; it is made when the first file is written."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.abspath(root.expanduser())  # noqa: PTH100 - resolve() would follow links

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Directory) and other.root == self.root

    def __hash__(self) -> int:
        return hash(self.root)

    def url(self, key: str) -> str:
        """Return the absolute path of ``key``."""
        return os.path.join(self.root, key) if key else self.root  # noqa: PTH118 - text, called for every file

    def read(self, key: str) -> bytes | None:
        """Return what is in a file, or None."""
        with self._told("read", key):
            try:
                return Path(self.url(key)).read_bytes()
            except FileNotFoundError:
                return None

    def exists(self, key: str) -> bool:
        """Tell whether there is a file."""
        with self._told("look for", key):
            return Path(self.url(key)).is_file()

    def write_many(self, items: Iterable[tuple[str, bytes]], _concurrency: int) -> int:
        """Write files one after the other, each under a temporary name first."""
        count = 0
        for key, data in items:
            with self._told("write", key):
                self._replace(key, partial(_write, data=data))
            count += 1
        return count

    def upload(self, key: str, source: Path) -> None:
        """Copy a file into the directory."""
        with self._told("write", key):
            self._replace(key, partial(shutil.copyfile, source))

    def download(self, key: str, target: Path) -> bool:
        """Copy a file out of the directory."""
        with self._told("read", key):
            try:
                shutil.copyfile(self.url(key), target)
            except FileNotFoundError:
                return False
        return True

    def copy_many(self, pairs: Iterable[tuple[str, str]], _concurrency: int) -> int:
        """Copy files one after the other; contents are copied, never linked, so that changing one leaves the other."""
        count = 0
        for source, target in pairs:
            path = self.url(source)
            if not Path(path).is_file():
                raise LocationError(f"cannot copy {source!r} in {self.root}: there is no such file")
            with self._told("copy to", target):
                self._replace(target, partial(shutil.copyfile, path))
            count += 1
        return count

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete files that exist."""
        for key in keys:
            with self._told("delete", key), suppress(FileNotFoundError):
                os.unlink(self.url(key))  # noqa: PTH108

    def list(self, prefix: str) -> KeyLists:
        """Yield the keys below a folder."""
        return Listing(self.root).scan(prefix)

    def scan(self, prefix: str, cache: Path | None) -> KeyLists:
        """Yield the keys below a folder, reading only directories that changed."""
        listing = Listing.load(self.root, cache)
        yield from listing.scan(prefix)
        listing.save()

    def check_writable(self) -> None:
        """Write a temporary file into the directory, or into what it would be made in."""
        place = Path(self.root)
        with self._told("write to it", ""):
            while not place.exists() and place != place.parent:
                place = place.parent
            path = str(place / _temporary_name())
            try:
                _write(path, b"\n")
            finally:
                with suppress(OSError):
                    os.unlink(path)  # noqa: PTH108

    def _replace(self, key: str, fill: Callable[[str], object]) -> None:
        target = self.url(key)
        folder = os.path.dirname(target)  # noqa: PTH120
        temporary = f"{folder}/{_temporary_name()}"
        try:
            try:
                fill(temporary)
            except FileNotFoundError:
                os.makedirs(folder, exist_ok=True)  # noqa: PTH103
                fill(temporary)
            os.replace(temporary, target)  # noqa: PTH105
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise

    @contextmanager
    def _told(self, doing: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _fault(
                error, f"cannot {doing} {key!r} in {self.root}" if key else f"{self.root}: cannot {doing}"
            ) from error


def _temporary_name() -> str:
    return f"{TEMPORARY}{os.getpid()}-{_TOKEN}-{next(_COUNTER)}"


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, memoryview(data)[written:])
    finally:
        os.close(descriptor)


def _fault(error: OSError, what: str) -> LocationError:
    if error.errno in _FULL:
        hint = (
            "free space there or give another location; what was written stays, so the same command goes on from here"
        )
        return LocationError(f"{what}: disk full ({error.strerror})", hint)
    if error.errno in _FORBIDDEN:
        return LocationError(f"{what}: {error.strerror}", "change its permissions, or give another location")
    return LocationError(f"{what}: {error.strerror or error}", "check the path of the location")
