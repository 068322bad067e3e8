"""The files of the solver: simulations by their content, and results by their task."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from pathlib import Path

from simcampaign.errors import ConflictError, LocationError
from simcampaign.storage import Location


class Files:
    """A directory of the service. Simulations of one user are never taken for those of another.

    With a bucket, that is where files are kept: what lies in the directory are copies, which may be lost.
    """

    def __init__(self, folder: Path, bucket: Location | None = None) -> None:
        """Keep files below ``folder``, which is made, and in ``bucket``, if there is one. Raises ``LocationError``."""
        self.folder = folder
        self._bucket = bucket
        if bucket is not None:
            bucket.check_writable()
        try:
            for each in ("contents", "uploads", "results"):
                (folder / each).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            hint = "set location in [solver] of service.toml"
            raise LocationError(f"{folder} cannot be made: {error.strerror}", hint) from error

    def content(self, user: str, sha256: str) -> Path:
        """Return where a simulation lies once it is whole."""
        return self.folder / "contents" / _owner(user) / f"{sha256}.hdf5"

    def result(self, task_id: str) -> Path:
        """Return where the result of a task lies."""
        return self.folder / "results" / f"{task_id}.hdf5"

    @property
    def are_copies(self) -> bool:
        """Whether files lie in a bucket, and what is in the directory may be lost."""
        return self._bucket is not None

    def bring(self, path: Path) -> bool:
        """Have a simulation or a result in the directory that lies in the bucket only; False if it is in neither."""
        if path.exists():
            return True
        if self._bucket is None:
            return False
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        try:
            if not self._bucket.download(self._key(path), part):
                return False
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return True

    def part(self, user: str, sha256: str) -> Path:
        """Return where a simulation lies while it arrives."""
        return self.folder / "uploads" / f"{_owner(user)}-{sha256}.part"

    def arrived(self, user: str, sha256: str, size: int) -> int:
        """Return how many bytes of a simulation are here."""
        if self.content(user, sha256).exists():
            return size
        with contextlib.suppress(FileNotFoundError):
            return min(size, self.part(user, sha256).stat().st_size)
        return 0

    def complete(self, user: str, sha256: str, size: int) -> None:
        """Take a simulation in whose bytes are all here. Raises ``ConflictError`` if they are not what was told."""
        part, whole = self.part(user, sha256), self.content(user, sha256)
        if whole.exists():
            part.unlink(missing_ok=True)
            return
        if not part.exists() and size == 0:
            part.touch()
        found = digest(part)
        if found != sha256:
            part.unlink(missing_ok=True)
            raise ConflictError(f"what arrived has the checksum {found}, not {sha256}", "upload it again")
        whole.parent.mkdir(exist_ok=True)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        self._put(part, whole)

    def take(self, user: str, source: Path) -> tuple[str, int]:
        """Take a simulation in that lies whole beside these files; returns its checksum and size."""
        found, size = digest(source), source.stat().st_size
        whole = self.content(user, found)
        whole.parent.mkdir(exist_ok=True)
        self._put(source, whole)
        return found, size

    def keep(self, task_id: str, source: Path) -> tuple[str, int]:
        """Take the result of a task in; returns its checksum and size. What is here already is kept."""
        target = self.result(task_id)
        if source.exists():
            temporary = target.with_suffix(".part")
            shutil.move(source, temporary)
            self._put(temporary, target)
        return digest(target), target.stat().st_size

    def remove_result(self, task_id: str) -> None:
        """Remove the result of a task, if there is one."""
        self._remove(self.result(task_id))

    def remove_content(self, user: str, sha256: str) -> None:
        """Remove a simulation and what arrived of it."""
        self._remove(self.content(user, sha256))
        self.part(user, sha256).unlink(missing_ok=True)

    def _put(self, source: Path, target: Path) -> None:
        """Keep a file of the directory under its last name; in the bucket first, so that a copy is never alone."""
        if self._bucket is not None:
            self._bucket.upload(self._key(target), source)
        source.replace(target)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        if self._bucket is not None:
            self._bucket.delete_many([self._key(path)])

    def _key(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _owner(user: str) -> str:
    """Return the folder of a user, whatever characters the name has."""
    return hashlib.sha256(user.encode()).hexdigest()[:16]
