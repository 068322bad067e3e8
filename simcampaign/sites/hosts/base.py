"""What a host can do, wherever it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    """Exit code; 128 plus the signal's number for a command that was killed."""

    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """What it printed, as text."""
        return self.out.decode(errors="replace")

    @property
    def complaint(self) -> str:
        """The last line of its errors, or else of its output; for messages."""
        lines = (self.err.strip() or self.out.strip()).decode(errors="replace").splitlines()
        return lines[-1] if lines else f"exit code {self.code}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file below a directory."""

    path: str
    """Relative to the directory, with ``/``."""

    size: int
    """Bytes."""

    modified: float
    """Seconds since the epoch, by the host's clock."""


class Host(Protocol):
    """A machine on which commands are run and files are kept.

    Paths are absolute, or start with ``~/``. Every call may raise ``SiteError`` (the host refused: no such program, no
    permission, disk full; the message names host and path) or ``NetworkError`` (it could not be reached, or the
    connection was cut). Calls may come from several threads.
    """

    name: str
    """For messages: ``this host``, or ``user@host``."""

    shared: bool
    """True if its paths are paths of this process, so that nothing need be copied."""

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_seconds: float = 60.0,
    ) -> Done:
        """Run a program with these arguments, none of which a shell sees, and wait for its end.

        A program that is not there ends with code 127. After ``timeout_seconds`` the program is killed, there too, and
        ``NetworkError`` is raised.
        """
        ...

    def expand(self, path: str) -> str:
        """Return the path as an absolute one: a leading ``~`` is the home directory there."""
        ...

    def put(self, files: Iterable[tuple[bytes | Path, str]]) -> int:
        """Write files there, each whole or not at all, making directories that are missing; returns bytes written.

        Each comes as its content, or a local path, and the path there. Executable bits of local files are kept.
        """
        ...

    def get(self, files: Iterable[tuple[str, Path]]) -> int:
        """Fetch files, each whole or not at all, making directories here that are missing; returns bytes fetched.

        A fetch that was cut goes on where it ended. A file that is not there raises ``SiteError``.
        """
        ...

    def read(self, path: str, offset: int = 0) -> bytes:
        """Return a file's content from ``offset`` on; raises ``FileNotFoundError`` if it is not there."""
        ...

    def list(self, directory: str) -> Sequence[Entry]:
        """Return all files below a directory, sorted by path; none if there is no such directory."""
        ...

    def remove(self, directory: str) -> None:
        """Remove a directory with all that is in it; one that is not there is no error."""
        ...

    def close(self) -> None:
        """Give up connections; the next call makes them again."""
        ...
