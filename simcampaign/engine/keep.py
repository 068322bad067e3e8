"""What the ledger must not hold of a request, kept in a private folder of this user until it is deleted.

That is values of environment variables, which may be secrets, and files that were made in memory: with them another
process can submit the request again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from simcampaign.errors import LocationError
from simcampaign.places import data_folder

_ENVIRONMENTS = "environments.json"


class Keep:
    """The private folder of one request."""

    def __init__(self, token: str) -> None:
        """Name the folder of the request with this token; nothing is created."""
        self.folder = data_folder() / "requests" / token

    def save(self, contents: Mapping[str, bytes], environments: Sequence[Mapping[str, str]]) -> None:
        """Save contents by their digests, and the jobs' environments; nothing if there is nothing to save."""
        if not contents and not any(environments):
            return
        try:
            self.folder.mkdir(mode=0o700, parents=True)
            for digest, content in contents.items():
                (self.folder / digest).write_bytes(content)
            if any(environments):
                text = json.dumps([dict(each) for each in environments])
                (self.folder / _ENVIRONMENTS).write_text(text, encoding="utf-8")
        except OSError as error:
            hint = "free space, or set SIMCAMPAIGN_HOME to a writable place"
            raise LocationError(f"{self.folder} cannot be written: {error.strerror}", hint) from error

    def content(self, digest: str) -> Path | None:
        """Return where the content with this digest is kept; None if it is not."""
        path = self.folder / digest
        return path if path.is_file() else None

    def environments(self) -> list[dict[str, str]]:
        """Return the jobs' environments; none if none was kept, or this is another machine."""
        try:
            kept: list[dict[str, str]] = json.loads((self.folder / _ENVIRONMENTS).read_bytes())
        except FileNotFoundError:
            return []
        return kept

    def remove(self) -> None:
        """Remove the folder; one that is not there is no error."""
        shutil.rmtree(self.folder, ignore_errors=True)
