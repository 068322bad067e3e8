"""The directory of an array: how it is written down, found, read and told to be over.

Standard library only, Python 3.9 or later: it is copied to hosts beside ``desk.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE_BYTES = 4 * 2**20
"""Bytes of journals or logs in one answer; more are asked for again."""
STALE_SECONDS = 86400.0
"""No submission takes this long: a draft that is older is rubbish."""
UNKNOWN_SIZE = 2**62
"""More jobs than any array has: the size of one to which jobs may still be added."""
REFUSED_SECONDS = 7 * STALE_SECONDS
"""How long a name stays refused after it was looked for in vain."""


class DeskError(Exception):
    """The desk refuses: a message, and what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def directory_of(root: Path, name: str) -> Path:
    """Return the directory of an array; refuses names that lead elsewhere."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise DeskError(f"array name {name!r} cannot name a directory: it is empty, starts with '.', or has '/' in it")
    return root / "arrays" / name


def is_over(name: str, directory: Path) -> bool:
    """Say whether every job of an array has ended."""
    offset = ended = 0
    more = True
    while more:
        data, more = read_from(name, directory, offset, PAGE_BYTES)
        ended += ends(data)
        offset += len(data)
    return ended >= size_of(name, directory)


def size_of(name: str, directory: Path) -> int:
    """Return how many jobs an array has; of one that is still open, more than it ever will."""
    found = description_of(name, directory)
    if not found.get("open"):
        return int(found["size"])
    try:
        return int((directory / "closed").read_bytes())
    except FileNotFoundError:
        return UNKNOWN_SIZE
    except ValueError as error:
        raise DeskError(f"array {name}: {directory / 'closed'} cannot be read") from error


def home_of(name: str, directory: Path) -> str:
    """Return the host that runs an array: directories may be shared by several."""
    return str(description_of(name, directory).get("host", socket.gethostname()))


def description_of(name: str, directory: Path) -> dict[str, Any]:
    """Return what is in ``array.json``."""
    try:
        found = json.loads((directory / "array.json").read_bytes())
        int(found["size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeskError(f"the description of array {name} in {directory / 'array.json'} cannot be read") from error
    return dict(found)


def write_down(directory: Path, description: Mapping[str, Any], jobs: Iterable[Sequence[Any]]) -> None:
    """Write an array down completely, then let it appear under its name; whoever is first wins."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    _sweep(directory.parent)
    draft = directory.with_name(f".new-{unique()}")
    draft.mkdir(mode=0o700)
    try:
        (draft / "out").mkdir()
        (draft / "journal").touch()
        write(draft / "jobs.jsonl", (f"{json.dumps(job)}\n" for job in jobs))
        write(draft / "array.json", [json.dumps(description, indent=1)])
        with contextlib.suppress(FileExistsError):
            _rename_new(draft, directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sweep(arrays: Path) -> None:
    """Remove what a killed submission or cleaning left half done, and names that were refused, long ago."""
    with os.scandir(arrays) as entries:
        for entry in entries:
            draft = entry.name.startswith(".")
            if not draft and entry.is_dir(follow_symlinks=False):
                continue
            with contextlib.suppress(OSError):
                if time.time() - entry.stat().st_mtime > (STALE_SECONDS if draft else REFUSED_SECONDS):
                    (shutil.rmtree if draft else os.unlink)(entry.path)


def write(path: Path, texts: Iterable[str]) -> None:
    """Write a file that is on the disk when this returns."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(texts)
        file.flush()
        os.fsync(file.fileno())


def _rename_new(draft: Path, directory: Path) -> None:
    """Rename a directory; raises ``FileExistsError`` if another array has the name, ``DeskError`` if it is refused."""
    try:
        draft.rename(directory)
    except OSError as error:
        if directory.is_dir():
            raise FileExistsError(error.errno, error.strerror, str(directory)) from error
        if directory.is_file():
            raise DeskError(
                f"array {directory.name} was looked for before it arrived and given up, so its name is refused; "
                "nothing was submitted",
                "run again: what is missing is planned anew, under another name",
            ) from error
        raise


def read_from(name: str, directory: Path, offset: int, most: int) -> tuple[bytes, bool]:
    """Return the journal from an offset on, whole lines if there is room for any, and whether there is more of it."""
    try:
        with (directory / "journal").open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(offset)
            data = file.read(min(most, max(0, size - offset)))
    except OSError as error:
        raise DeskError(f"the journal of array {name} in {directory} cannot be read: {error.strerror}") from error
    if size < offset:
        raise DeskError(f"the journal of array {name} in {directory} is shorter than it was at the last look")
    if offset + len(data) == size:
        return data, False
    whole = data.rfind(b"\n") + 1
    if not whole and most == PAGE_BYTES:
        raise DeskError(f"the journal of array {name} in {directory} has no end of line in {most} bytes from {offset}")
    return data[:whole], True


def ends(data: bytes) -> int:
    """Return how many jobs ended in these whole lines of a journal."""
    whole = data[: data.rfind(b"\n") + 1]
    return whole.count(b'\n{"event":"end"') + whole.startswith(b'{"event":"end"')


def lines_of(directory: Path) -> int:
    """Return how many jobs are written down, and cut off the torn line of one that was being added."""
    with (directory / "jobs.jsonl").open("r+b") as file:
        count, end = 0, 0
        for line in file:
            if line.endswith(b"\n"):
                count += 1
                end += len(line)
        file.truncate(end)
    return count


def short(text: str) -> str:
    """Return a text cut to a length that fits into a message."""
    return text if len(text) <= 120 else f"{text[:119]}…"


def unique() -> str:
    """Return a name that nothing else has."""
    return os.urandom(16).hex()
