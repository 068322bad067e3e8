"""What a job or job array is known by, and what the ledger has of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from simcampaign.api.places import Place, open_place, open_requests
from simcampaign.engine.requests import Request
from simcampaign.engine.sending import read
from simcampaign.errors import ConflictError
from simcampaign.ledger import JobRow, RequestRow, Requests


@dataclass(frozen=True)
class Record:
    """A request in a ledger. Equal records are the same request, in whatever process."""

    ledger_url: str
    id: int
    name: str
    site: str
    many: bool
    size: int

    @classmethod
    def of(cls, row: RequestRow, ledger_url: str) -> Record:
        """Return the record of a request."""
        return cls(ledger_url, row.id, row.name, row.site, row.many, row.size)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @property
    def requests(self) -> Requests:
        """The ledger's requests."""
        return open_requests(self.ledger_url)

    @property
    def place(self) -> Place:
        """The site, to be asked. Raises ``ConfigError`` if it is not configured any more."""
        return open_place(self.site, self.ledger_url)

    def row(self) -> RequestRow:
        """Return what the ledger has now. Raises ``ConflictError`` if it does not have the request any more."""
        row = self.requests.get(self.id)
        if row is None:
            raise ConflictError(f"job {self.name}: the ledger does not have it any more", "api.get_jobs() lists jobs")
        return row

    @cached_property
    def request(self) -> Request:
        """What was asked for; it never changes."""
        return read(self.row())

    def jobs(self, index: int | None = None) -> list[JobRow]:
        """Return the newest try of each job, or of the one with this index."""
        return self.requests.jobs([self.id], index)

    def job(self, index: int) -> JobRow:
        """Return the newest try of a job. Raises ``ConflictError`` if the ledger does not have it any more."""
        rows = self.jobs(index)
        if not rows:
            self.row()
            raise ConflictError(f"job array {self.name} has no job {index}")
        return rows[0]
