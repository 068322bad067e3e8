"""A workplace: a site, and the ledger in which requests to it are recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

from simcampaign.engine.owner import identity, is_gone
from simcampaign.errors import SiteError
from simcampaign.ledger import ArrayRow, Ledger, PartRow, Requests
from simcampaign.sites.base import Site
from simcampaign.sites.hosts.base import Host


class Workplace:
    """A site with its ledger; safe to share between threads."""

    def __init__(self, ledger: Ledger, site: Site) -> None:
        """Work at ``site`` on behalf of this process."""
        self.ledger = ledger
        self.requests = Requests(ledger)
        self.site = site
        self.owner = identity()
        self._busy: set[int] = set()
        self._lock = threading.Lock()

    @cached_property
    def id(self) -> int:
        """The id of the campaign that the site's requests belong to."""
        return self.requests.campaign(self.site.name)

    @property
    def host(self) -> Host:
        """Where the files of jobs are. Raises ``SiteError`` if the site's jobs reach no directory of ours."""
        if self.site.host is None:
            raise SiteError(
                f"site {self.site.name} has no directory that files could be put into, so it takes no single jobs",
                "run a campaign there: python -m flows.run_batch_simulations CONFIG",
            )
        return self.site.host

    @contextmanager
    def at_work(self, array: ArrayRow) -> Iterator[bool]:
        """Keep other threads of this process from an intent; yields False if one is at work on it already."""
        with self._lock:
            free = array.id not in self._busy
            self._busy.add(array.id)
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._busy.discard(array.id)

    @contextmanager
    def claiming(self, write: Callable[[], Sequence[PartRow]]) -> Iterator[Sequence[PartRow]]:
        """Have ``write`` write intents down, and keep other threads from them from their first instant on."""
        with self._lock:
            parts = write()
            ours = {part.array.id for part in parts}
            self._busy |= ours
        try:
            yield parts
        finally:
            with self._lock:
                self._busy -= ours

    def is_orphan(self, array: ArrayRow) -> bool:
        """Tell whether nobody is at work on an intent any more; ask while ``at_work`` on it."""
        return array.owner == self.owner or is_gone(array.owner, array.lease_until, time.time())
