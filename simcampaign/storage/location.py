"""Locations: the only door to the files of a local directory or of ``s3://bucket[/prefix]``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from simcampaign.errors import LocationError, shorten
from simcampaign.storage.bucket import Bucket
from simcampaign.storage.directory import Directory
from simcampaign.storage.listing import KeyLists

CONCURRENCY = 32
"""Requests to a network store that are under way at once."""

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")


class Store(Protocol):
    """What a directory and a bucket both do; keys arrive checked."""

    def url(self, key: str) -> str: ...  # noqa: D102
    def read(self, key: str) -> bytes | None: ...  # noqa: D102
    def exists(self, key: str) -> bool: ...  # noqa: D102
    def write_many(self, items: Iterable[tuple[str, bytes]], concurrency: int) -> int: ...  # noqa: D102
    def upload(self, key: str, source: Path) -> None: ...  # noqa: D102
    def download(self, key: str, target: Path) -> bool: ...  # noqa: D102
    def copy_many(self, pairs: Iterable[tuple[str, str]], concurrency: int) -> int: ...  # noqa: D102
    def delete_many(self, keys: Iterable[str]) -> None: ...  # noqa: D102
    def list(self, prefix: str) -> KeyLists: ...  # noqa: D102
    def scan(self, prefix: str, cache: Path | None) -> KeyLists: ...  # noqa: D102
    def check_writable(self) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class Location:
    """A local directory or a place in a bucket; files in it are called by keys such as ``name/2026-01-31/x.csv``.

    A key is relative, has no ``..``, no empty part and no control characters, and is exactly the file's name on disk.
    Every method raises ``LocationError`` if the location or a file in it is missing, forbidden, full or wrongly named,
    and ``NetworkError`` if a store cannot be reached after five tries; the error it stems from is its ``__cause__``.
    """

    store: Store

    @classmethod
    def open(cls, text: str, region: str | None = None) -> Location:
        """Return the location that ``text`` names: a local directory, with ``~`` expanded, or ``s3://bucket[/prefix]``.

        Nothing is created or asked. Credentials of S3 come from the ordinary AWS chain if boto3 is installed, else from
        the environment or the role of the machine; ``AWS_ENDPOINT_URL`` is honoured. ``region`` is that of the bucket,
        by default ``AWS_REGION`` or the profile's.
        """
        scheme, separator, rest = text.partition("://")
        if not separator:
            if not text or "\0" in text:
                raise LocationError(f"{text!r} is no location", "give a directory, or s3://bucket/prefix")
            return cls(Directory(Path(text)))
        if scheme != "s3":
            raise LocationError(f"{text!r}: {scheme}:// is not supported", "give a directory, or s3://bucket/prefix")
        bucket, _, prefix = rest.partition("/")
        if not _BUCKET.match(bucket):
            raise LocationError(f"{text!r}: {bucket!r} is no name of a bucket", "give s3://bucket/prefix")
        prefix = prefix.strip("/")
        return cls(Bucket(bucket, _checked(prefix) if prefix else "", CONCURRENCY, region))

    def __str__(self) -> str:
        return self.store.url("")

    @property
    def is_local(self) -> bool:
        """True for a directory."""
        return isinstance(self.store, Directory)

    def path(self, key: str = "") -> Path:
        """Return the absolute path of ``key``, or of the location itself; only local ones have paths."""
        if not isinstance(self.store, Directory):
            raise LocationError(f"{self} is not on this machine, so that {key!r} has no path", "use read or url")
        return Path(self.store.url(_checked(key) if key else ""))

    def url(self, key: str = "") -> str:
        """Return the absolute path, or ``s3://…``, of ``key`` or of the location itself; without a ``/`` at its end."""
        return self.store.url(_checked(key) if key else "")

    def read(self, key: str) -> bytes:
        """Return what is in ``key``; ``LocationError`` if there is no such file."""
        data = self.read_if_there(key)
        if data is None:
            raise LocationError(f"there is no {key!r} in {self}", f"see what is there: list {self}")
        return data

    def read_if_there(self, key: str) -> bytes | None:
        """Return what is in ``key``; None if there is no such file."""
        return self.store.read(_checked(key))

    def read_text(self, key: str) -> str:
        """Return what is in ``key`` as text; ``LocationError`` if it is not UTF-8."""
        try:
            return self.read(key).decode()
        except UnicodeDecodeError as error:
            raise LocationError(f"{key!r} in {self} is not UTF-8 text: {error}", "save it as UTF-8") from error

    def exists(self, key: str) -> bool:
        """Tell whether there is a file ``key``."""
        return self.store.exists(_checked(key))

    def write(self, key: str, data: bytes) -> None:
        """Write ``data`` to ``key`` atomically: readers see the old file or the new one, never a part."""
        self.write_many([(key, data)])

    def write_many(self, items: Iterable[tuple[str, bytes]], concurrency: int = CONCURRENCY) -> int:
        """Write many files, each atomically, and return how many.

        ``items`` is consumed as files are written: at most twice ``concurrency`` of them are in memory. The first error
        ends it and names its key; files written before it stay. Directories are written by one thread, which
        is quicker than several.
        """
        return self.store.write_many(((_checked(key), data) for key, data in items), concurrency)

    def upload(self, key: str, source: Path) -> None:
        """Write a file of this machine, whatever its size, atomically."""
        self.store.upload(_checked(key), source)

    def download(self, key: str, target: Path) -> bool:
        """Copy a file to this machine, whatever its size; False, and nothing written, if there is none."""
        return self.store.download(_checked(key), target)

    def copy(self, source_key: str, target_key: str) -> None:
        """Copy a file within the location; ``LocationError`` if there is no such source."""
        self.copy_many([(source_key, target_key)])

    def copy_many(self, pairs: Iterable[tuple[str, str]], concurrency: int = CONCURRENCY) -> int:
        """Copy each (source key, target key), each atomically, and return how many; the first error ends it."""
        return self.store.copy_many(((_checked(source), _checked(target)) for source, target in pairs), concurrency)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete files; those that do not exist are no error."""
        self.store.delete_many(_checked(key) for key in keys)

    def list(self, prefix: str = "") -> KeyLists:
        """Yield the keys of all files below the folder ``prefix``, in lists and in no particular order.

        A location or folder that does not exist has no files. Files whose names cannot be keys are left out.
        """
        return _usable(self.store.list(_folder(prefix)))

    def scan(self, prefix: str = "", cache: Path | None = None) -> KeyLists:
        """Yield the same as ``list``, reading again only local directories that changed since the last scan.

        ``cache`` is the folder in which to remember what was seen; by default the user's cache folder.
        """
        return _usable(self.store.scan(_folder(prefix), cache))

    def check_writable(self) -> None:
        """Raise ``LocationError`` if files cannot be written here; nothing that is created for the test stays."""
        self.store.check_writable()


def _folder(prefix: str) -> str:
    stripped = prefix.removesuffix("/")
    return _checked(stripped) if stripped else ""


def _checked(key: str) -> str:
    """Return ``key``, or raise ``LocationError`` naming it and why it cannot be one."""
    parts = key.split("/")
    if "" in parts or "." in parts or ".." in parts:
        reason = "must be relative and without empty, '.' or '..' parts"
    elif not key.isprintable() and _UNSAFE.search(key):
        reason = "has control characters"
    elif len(key) > 200 and max(len(part.encode()) for part in parts) > 255:
        reason = "has a part of more than 255 bytes"
    else:
        return key
    raise LocationError(f"{shorten(key)!r} is no key of a file: it {reason}", "use names such as folder/name.csv")


def _usable(chunks: KeyLists) -> KeyLists:
    for chunk in chunks:
        if _UNSAFE.search("".join(chunk)):
            yield [key for key in chunk if not _UNSAFE.search(key)]
        else:
            yield chunk
