"""Files to and from a host by SFTP: many at once over one channel, each whole or not at all."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import stat
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import asyncssh

from simcampaign.errors import LocationError, SiteError, shorten
from simcampaign.sites.hosts.base import Entry
from simcampaign.sites.hosts.here import DRAFT, draft_name

FILES = 128
"""Files under way at a time. Each takes four answers one after the other, so 128 take no longer than one."""

BIG = 1 << 20
"""A file of more bytes is sent and fetched in blocks, and a fetch that was cut goes on where it ended."""

BLOCK = 16 << 20
"""Bytes of a big file that are under way at a time."""

_BIG_ONES = 4
"""Big files under way at a time."""

Upload = tuple[bytes | Path, str]
T = TypeVar("T")
R = TypeVar("R")


class Transfers:
    """Moves files through one file channel of the host ``name``."""

    def __init__(self, client: asyncssh.SFTPClient, name: str) -> None:
        """Use the channel ``client``."""
        self._client = client
        self._name = name
        self._big = asyncio.Semaphore(_BIG_ONES)

    async def put(self, files: Sequence[Upload]) -> tuple[int, list[Upload]]:
        """Write files; returns bytes written, and the files whose directory is not there."""
        homeless: list[Upload] = []

        async def put(file: Upload) -> int:
            try:
                return await self._put(*file)
            except asyncssh.SFTPNoSuchFile:
                homeless.append(file)
                return 0

        return sum(await _all(put, files)), homeless

    async def _put(self, content: bytes | Path, path: str) -> int:
        draft = f"{path.rpartition('/')[0]}/{draft_name()}"
        runnable = isinstance(content, Path) and _is_runnable(content)
        attributes = asyncssh.SFTPAttrs(permissions=0o777 if runnable else 0o666)  # less what the umask there takes
        with self._told("write", path):
            handle = await self._client.open(draft, "xb", attributes, encoding=None)
            try:
                try:
                    size = await self._send(handle, content)
                finally:
                    await handle.close()
                await self._replace(draft, path)
            except BaseException:
                with suppress(asyncssh.Error, OSError):
                    await self._client.remove(draft)
                raise
        return size

    async def _send(self, handle: asyncssh.SFTPClientFile, content: bytes | Path) -> int:
        if isinstance(content, bytes):
            if content:
                await handle.write(content, 0)
            return len(content)
        async with self._big:
            offset = 0
            with _here(content, "read"), content.open("rb") as file:
                while block := file.read(BLOCK):
                    await handle.write(block, offset)
                    offset += len(block)
        return offset

    async def _replace(self, draft: str, path: str) -> None:
        try:
            await self._client.posix_rename(draft, path)
        except asyncssh.SFTPOpUnsupported:  # not OpenSSH: the old file must go first
            with suppress(asyncssh.SFTPNoSuchFile):
                await self._client.remove(path)
            await self._client.rename(draft, path)

    async def get(self, files: Sequence[tuple[str, Path]]) -> int:
        """Fetch files, with their times; returns bytes fetched now."""
        return sum(await _all(lambda file: self._get(*file), files))

    async def _get(self, path: str, target: Path) -> int:
        with self._told("read", path):
            try:
                handle = await self._client.open(path, "rb", encoding=None)
            except asyncssh.SFTPNoSuchFile as error:
                raise SiteError(f"there is no file {shorten(path)!r} on {self._name}") from error
            try:
                attributes, start = await asyncio.gather(handle.stat(), handle.read(BIG, 0))
                size, modified = attributes.size or 0, attributes.mtime or 0
                if len(start) < BIG or size <= BIG:
                    return _save(target, cast("bytes", start), modified)  # no encoding was named
                async with self._big:
                    return await self._get_big(handle, path, target, size, modified)
            finally:
                await handle.close()

    async def _get_big(
        self, handle: asyncssh.SFTPClientFile, path: str, target: Path, size: int, modified: float
    ) -> int:
        """Append to what an earlier try left of the same version of the file, then give it its name."""
        with _here(target, "write"), _part_of(target, f"{self._name}:{path}", f"{size} {modified}") as part:
            offset = first = min(part.seek(0, os.SEEK_END), size)
            part.truncate(offset)
            while offset < size:
                block = cast("bytes", await handle.read(min(BLOCK, size - offset), offset))
                if not block:
                    raise SiteError(
                        f"{shorten(path)!r} on {self._name} became shorter while it was fetched", "fetch it again"
                    )
                part.write(block)
                part.flush()
                offset += len(block)
            os.utime(part.fileno(), (modified, modified))
            Path(part.name).replace(target)
        return size - first

    async def read(self, path: str, offset: int) -> bytes:
        """Return a file's content from ``offset`` on; raises ``FileNotFoundError``."""
        with self._told("read", path):
            try:
                handle = await self._client.open(path, "rb", encoding=None)
            except asyncssh.SFTPNoSuchFile as error:
                raise FileNotFoundError(path) from error
            try:
                left = ((await handle.stat()).size or 0) - offset
                return cast("bytes", await handle.read(left, offset)) if left > 0 else b""
            finally:
                await handle.close()

    async def entries(self, root: str) -> list[Entry]:
        """Return all files below a directory, asking for one directory after the other."""
        found: list[Entry] = []
        folders = [""]
        while folders:
            folders = [
                each for many in await _all(lambda each: self._scan(root, each, found), folders) for each in many
            ]
        return found

    async def _scan(self, root: str, folder: str, found: list[Entry]) -> list[str]:
        """Add a directory's files to ``found``; returns the directories in it."""
        below, links = [], []
        with self._told("list", f"{root}/{folder}"), suppress(asyncssh.SFTPNoSuchFile):
            async for each in self._client.scandir(f"{root}/{folder}"):
                name, attributes = str(each.filename), each.attrs
                kind = stat.S_IFMT(attributes.permissions or 0)
                if kind == stat.S_IFDIR and name not in (".", ".."):
                    below.append(f"{folder}{name}/")
                elif kind == stat.S_IFLNK:
                    links.append(f"{folder}{name}")
                elif kind == stat.S_IFREG and not name.startswith(DRAFT):
                    found.append(Entry(f"{folder}{name}", attributes.size or 0, attributes.mtime or 0))
        found.extend(await self.follow(root, links))
        return below

    async def follow(self, root: str, links: Sequence[str]) -> list[Entry]:
        """Return the files that links lead to, under the links' names."""

        async def look(link: str) -> Entry | None:
            with self._told("list", link), suppress(asyncssh.SFTPNoSuchFile):
                attributes = await self._client.stat(f"{root}/{link}")
                if stat.S_ISREG(attributes.permissions or 0):
                    return Entry(link, attributes.size or 0, attributes.mtime or 0)
            return None

        return [entry for entry in await _all(look, links) if entry]

    @contextmanager
    def _told(self, doing: str, path: str) -> Iterator[None]:
        """Say of what the host refuses which file it was about; cut connections and missing files pass."""
        try:
            yield
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection):
            raise
        except asyncssh.SFTPFailure as error:
            said = "no reason is told" if error.reason == "Failure" else error.reason
            raise SiteError(
                f"cannot {doing} {shorten(path)!r} on {self._name}: {said}; full disks and quotas are told so",
                f"see: ssh {self._name} df -h; quota",
            ) from error
        except asyncssh.SFTPError as error:
            raise SiteError(f"cannot {doing} {shorten(path)!r} on {self._name}: {error.reason}") from error


async def _all(work: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
    """Do something with all items, ``FILES`` at a time; the first error ends it."""
    slots = asyncio.Semaphore(FILES)

    async def one(item: T) -> R:
        async with slots:
            return await work(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_runnable(path: Path) -> bool:
    with _here(path, "read"):
        return bool(path.stat().st_mode & 0o111)


def _save(target: Path, data: bytes, modified: float) -> int:
    draft = target.with_name(draft_name())
    with _here(target, "write"):
        try:
            draft.write_bytes(data)
            os.utime(draft, (modified, modified))
            draft.replace(target)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
    return len(data)


@contextmanager
def _part_of(target: Path, source: str, version: str) -> Iterator[BinaryIO]:
    """Open the part of a file that was fetched before; one of our own while another process is at it.

    Parts of other versions of the file are removed.
    """
    stem = f"{DRAFT}part-{_digest(source + str(target))}"
    path = target.with_name(f"{stem}-{_digest(version)}")
    for old in target.parent.glob(f"{stem}-*"):
        if old != path:
            old.unlink(missing_ok=True)
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        taken = not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except BlockingIOError:
        taken = True
    if taken:
        file.close()
        file = target.with_name(draft_name()).open("ab")
    with file:
        yield file


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


@contextmanager
def _here(path: Path, doing: str) -> Iterator[None]:
    """Say of what goes wrong on this host's disk that it was here; else it would look like the network."""
    try:
        yield
    except ConnectionError:
        raise
    except OSError as error:
        raise LocationError(f"cannot {doing} {shorten(str(path))!r} on this host: {error.strerror or error}") from error
