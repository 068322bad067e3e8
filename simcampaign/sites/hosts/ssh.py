"""A host that is reached by SSH."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from simcampaign.errors import LocationError, NetworkError, SiteError, shorten
from simcampaign.sites.hosts.base import Done, Entry
from simcampaign.sites.hosts.connecting import login
from simcampaign.sites.hosts.here import DRAFT, NO_SUCH_PROGRAM, check_command, check_path, check_removable
from simcampaign.sites.hosts.link import Link
from simcampaign.sites.hosts.loop import LoopThread
from simcampaign.sites.hosts.options import HostOptions
from simcampaign.sites.hosts.transfers import Transfers, Upload

BATCH_FILES = 1000
"""Files that are taken together; after a cut, those of the batch are sent again."""

BATCH_BYTES = 32 << 20
"""Bytes in memory that are taken together."""

_LIST_SECONDS = 300.0
_NOT_THERE, _NOT_GNU = 66, 67
_LIST = f"""
cd "$1" 2>/dev/null || {{
    said=$(LC_ALL=C ls -d "$1/." 2>&1)
    case $said in *"No such file or directory"*) exit {_NOT_THERE} ;; esac
    echo "$said" >&2
    exit 1
}}
find . -maxdepth 0 -ignore_readdir_race -printf '' 2>/dev/null || exit {_NOT_GNU}
exec find . -ignore_readdir_race \\( -type f -o -type l -xtype f \\) ! -name '{DRAFT}*' -printf '%y %s %T@ %P\\0'
"""
"""Lists all files in one go, with GNU's find."""

T = TypeVar("T")


class SshHost:
    """A host that is reached by SSH, over one connection that all calls share.

    It can be called from any thread, also from one that runs an event loop; it travels to other processes without its
    connection, and a forked process makes its own.
    """

    shared = False

    def __init__(self, options: HostOptions) -> None:
        """Describe the host; nothing is connected before the first call."""
        self._options = options
        self.name = login(options)
        self._starting = threading.Lock()
        self._running: tuple[LoopThread, Link] | None = None
        self._known_home = ""
        self._made: set[str] = set()
        _HOSTS.add(self)

    def __getstate__(self) -> HostOptions:
        return self._options

    def __setstate__(self, options: HostOptions) -> None:
        self.__init__(options)  # type: ignore[misc]

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 60.0) -> Done:
        """Run a program; a connection that was lost meanwhile raises ``NetworkError``: it may have run."""
        arguments = check_command(command)
        return self._call(lambda link: link.run(arguments, stdin, timeout_seconds))

    def expand(self, path: str) -> str:
        """Return the path with the home directory there in place of ``~``; ``SiteError`` if it is relative."""
        if path == "~" or path.startswith("~/"):
            return f"{self._home()}{path[1:]}"
        return check_path(path, self.name)

    def put(self, files: Iterable[Upload]) -> int:
        """Write files, many at once, each under another name first; returns bytes written."""
        return sum(self._put(batch) for batch in _batches(files))

    def _put(self, batch: Sequence[Upload]) -> int:
        left = [(content, self.expand(path)) for content, path in batch]
        written = 0
        new = {_parent(path) for _, path in left} - self._made
        for makes in (new, None):
            if makes:
                self._make(makes)
            many, left = self._transfer(partial(_put, left))
            written += many
            if not left:
                return written
            if makes is None:
                break
            self._make({_parent(path) for _, path in left})  # somebody removed them
        raise SiteError(f"cannot write {shorten(left[0][1])!r} on {self.name}: its directory vanishes")

    def _make(self, directories: set[str]) -> None:
        listed = b"\0".join(os.fsencode(directory) for directory in sorted(directories))
        done = self.run(["xargs", "-0", "mkdir", "-p", "--"], stdin=listed)
        if done.code:
            raise SiteError(f"directories cannot be made on {self.name}: {shorten(done.complaint)}")
        self._made |= directories

    def get(self, files: Iterable[tuple[str, Path]]) -> int:
        """Fetch files with their times, many at once; returns bytes fetched by this call."""
        return sum(self._get(batch) for batch in _batches(files))

    def _get(self, batch: Sequence[tuple[str, Path]]) -> int:
        wanted = [(self.expand(path), target.absolute()) for path, target in batch]
        for folder in {target.parent for _, target in wanted}:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LocationError(f"cannot make {folder} on this host: {error.strerror}") from error
        return self._transfer(lambda transfers: transfers.get(wanted))

    def read(self, path: str, offset: int = 0) -> bytes:
        """Return a file's content from ``offset`` on."""
        full = self.expand(path)
        return self._transfer(lambda transfers: transfers.read(full, offset))

    def list(self, directory: str) -> Sequence[Entry]:
        """Return all files below a directory; links to files count, links to directories are not followed."""
        root = self.expand(directory)
        done = self.run(["/bin/sh", "-c", _LIST, "sh", root], timeout_seconds=_LIST_SECONDS)
        if done.code == _NOT_THERE:
            return []
        if done.code in (_NOT_GNU, NO_SUCH_PROGRAM):
            found = self._transfer(lambda transfers: transfers.entries(root))
        elif done.code:
            raise SiteError(f"cannot list {shorten(root)!r} on {self.name}: {shorten(done.complaint)}")
        else:
            found, links = _parse(done.out)
            if links:
                found += self._transfer(lambda transfers: transfers.follow(root, links))
        return sorted(found, key=lambda entry: entry.path)

    def remove(self, directory: str) -> None:
        """Remove a directory with all that is in it."""
        full = check_removable(self.expand(directory), self._home(), self.name)
        done = self.run(["rm", "-rf", "--", full], timeout_seconds=_LIST_SECONDS)
        self._made.clear()
        if done.code:
            raise SiteError(f"cannot remove {shorten(full)!r} on {self.name}: {shorten(done.complaint)}")

    def close(self) -> None:
        """Give up the connection and the thread that keeps it."""
        with self._starting:
            running, self._running = self._running, None
        if running:
            thread, link = running
            thread.stop(link.close())

    def _home(self) -> str:
        if not self._known_home:
            done = self.run(["/bin/sh", "-c", 'printf %s "$HOME"'])
            if done.code or not done.out.startswith(b"/"):
                raise SiteError(f"the home directory on {self.name} is not known: {shorten(done.complaint)}")
            self._known_home = os.fsdecode(done.out)
        return self._known_home

    def _transfer(self, work: Callable[[Transfers], Coroutine[Any, Any, T]]) -> T:
        return self._call(lambda link: link.files(lambda client: work(Transfers(client, self.name))))

    def _call(self, work: Callable[[Link], Coroutine[Any, Any, T]]) -> T:
        with self._starting:
            if self._running is None:
                self._running = LoopThread(f"ssh {self.name}"), Link(self._options)
            thread, link = self._running
        try:
            return thread.call(work(link))
        except CancelledError as error:
            raise NetworkError(f"the connection to host {self.name} was closed meanwhile") from error

    def leave_to_parent(self) -> object:
        """Forget the connection, and return it: it belongs to the process from which this one was forked."""
        self._starting = threading.Lock()
        running, self._running = self._running, None
        return running


_HOSTS: weakref.WeakSet[SshHost] = weakref.WeakSet()
_INHERITED: list[object] = []
"""Connections of a parent process, kept so that nothing is told to the host when they would be thrown away."""


def _after_fork() -> None:
    _INHERITED.extend(host.leave_to_parent() for host in list(_HOSTS))


os.register_at_fork(after_in_child=_after_fork)


def _batches(files: Iterable[tuple[Any, Any]]) -> Iterator[list[tuple[Any, Any]]]:
    """Cut files into lists that fit into memory."""
    batch: list[tuple[Any, Any]] = []
    size = 0
    for file in files:
        batch.append(file)
        size += len(file[0]) if isinstance(file[0], bytes) else 0
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _put(files: Sequence[Upload], transfers: Transfers) -> tuple[int, list[Upload]]:
    return await transfers.put(files)


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _parse(data: bytes) -> tuple[list[Entry], list[str]]:
    """Read what find printed: files, and links to files, whose size is not theirs."""
    found, links = [], []
    for record in data.split(b"\0")[:-1]:
        kind, size, modified, path = record.split(b" ", 3)
        name = os.fsdecode(path)
        if kind == b"l":
            links.append(name)
        else:
            found.append(Entry(name, int(size), float(modified)))
    return found, links
