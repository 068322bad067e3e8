"""This host: commands are processes of ours, files are copied."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from simcampaign.errors import NetworkError, SiteError, shorten
from simcampaign.sites.hosts.base import Done, Entry

DRAFT = ".simcampaign-"
"""Names of files that are being written start so, as in locations; they are never listed."""

NO_SUCH_PROGRAM, NO_PROGRAM = 127, 126
"""What shells answer for a program that is not there, and for a file that cannot be run."""

_COUNTER = itertools.count()
_TOKEN = secrets.token_hex(4)


def draft_name() -> str:
    """Return a name that no other file has, here or by another process elsewhere."""
    return f"{DRAFT}{os.getpid()}-{_TOKEN}-{next(_COUNTER)}"


class ThisHost:
    """This host. Its paths are paths of this process."""

    name = "this host"
    shared = True

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 60.0) -> Done:
        """Run a program in a session of its own, which is killed as a whole when the time is up."""
        arguments = check_command(command)
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        except FileNotFoundError:
            return Done(NO_SUCH_PROGRAM, b"", f"{arguments[0]}: not found\n".encode())
        except PermissionError:
            return Done(NO_PROGRAM, b"", f"{arguments[0]}: permission denied\n".encode())
        except OSError as error:
            raise SiteError(f"{shorten(arguments[0])!r} cannot be run on this host: {error.strerror}") from error
        with process:
            try:
                out, err = process.communicate(stdin, timeout_seconds)
            except subprocess.TimeoutExpired as error:
                raise NetworkError(
                    f"{shorten(' '.join(arguments))!r} did not end within {timeout_seconds:g} s on this host "
                    "and was killed"
                ) from error
            finally:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        code = process.returncode
        return Done(128 - code if code < 0 else code, out, err)

    def expand(self, path: str) -> str:
        """Return the path with the home directory in place of ``~``; ``SiteError`` if it is relative."""
        return check_path(str(Path(path).expanduser()) if path == "~" or path.startswith("~/") else path, self.name)

    def put(self, files: Iterable[tuple[bytes | Path, str]]) -> int:
        """Write or copy files, each under another name first; returns bytes written."""
        return sum(self._place(content, Path(self.expand(path))) for content, path in files)

    def get(self, files: Iterable[tuple[str, Path]]) -> int:
        """Copy files, with their times; returns bytes copied."""
        return sum(self._place(Path(self.expand(path)), target) for path, target in files)

    def _place(self, content: bytes | Path, target: Path) -> int:
        with self._told("write", target):
            draft = target.with_name(draft_name())
            fill: Callable[[Path], object]
            fill = partial(_copy, content) if isinstance(content, Path) else partial(_write, content)
            try:
                try:
                    fill(draft)
                except FileNotFoundError:
                    if isinstance(content, Path) and not content.exists():
                        raise SiteError(f"there is no file {shorten(str(content))!r} on this host") from None
                    draft.parent.mkdir(parents=True, exist_ok=True)
                    fill(draft)
                size = draft.stat().st_size
                draft.replace(target)
            except BaseException:
                with suppress(OSError):
                    draft.unlink()
                raise
            return size

    def read(self, path: str, offset: int = 0) -> bytes:
        """Return a file's content from ``offset`` on."""
        full = Path(self.expand(path))
        with self._told("read", full, missing_too=False), full.open("rb") as file:
            file.seek(offset)
            return file.read()

    def list(self, directory: str) -> Sequence[Entry]:
        """Return all files below a directory; links to files count, links to directories are not followed."""
        root = self.expand(directory)
        with self._told("list", Path(root)):
            return sorted(_entries(root), key=lambda entry: entry.path)

    def remove(self, directory: str) -> None:
        """Remove a directory with all that is in it."""
        full = Path(check_removable(self.expand(directory), self.expand("~"), self.name))
        with self._told("remove", full), suppress(FileNotFoundError):
            if full.is_symlink():
                full.unlink()
            else:
                shutil.rmtree(full)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    @contextmanager
    def _told(self, doing: str, path: Path, missing_too: bool = True) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not missing_too:
                raise
            raise SiteError(f"cannot {doing} {shorten(str(path))!r} on this host: {error.strerror or error}") from error


def check_command(command: Sequence[str]) -> list[str]:
    """Return the arguments; ``SiteError`` if there are none, or one could not be handed to a program."""
    if not command:
        raise SiteError("there is no command to run", "give the program and its arguments")
    for argument in command:
        if "\0" in argument:
            raise SiteError(f"{shorten(argument)!r} has a null character, so no program can be given it")
    return list(command)


def check_path(path: str, host: str) -> str:
    """Return the path; ``SiteError`` if it is not absolute or no path at all."""
    if not path.startswith("/") or "\0" in path:
        raise SiteError(f"{shorten(path)!r} is no path on {host}", "give one that starts with / or ~/")
    return path


def check_removable(path: str, home: str, host: str) -> str:
    """Return the path; ``SiteError`` if more would go with it than anyone could have meant."""
    if os.path.normpath(path) in ("/", "//", os.path.normpath(home)):
        raise SiteError(f"{path!r} on {host} is not removed: it holds more than files of ours")
    return path


def _write(data: bytes, path: Path) -> None:
    with path.open("xb") as file:
        file.write(data)


def _copy(source: Path, path: Path) -> None:
    shutil.copyfile(source, path)
    status = source.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    if status.st_mode & 0o111:
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o444) >> 2)  # as the umask lets others read, it lets them execute


def _entries(root: str) -> Iterator[Entry]:
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            found = os.scandir(f"{root}/{folder}")
        except FileNotFoundError:
            continue
        with found:
            for each in found:
                path = f"{folder}{each.name}"
                if each.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                elif each.is_file() and not each.name.startswith(DRAFT):
                    with suppress(FileNotFoundError):
                        status = each.stat()
                        yield Entry(path, status.st_size, status.st_mtime)
