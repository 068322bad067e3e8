"""The ledgers and sites that this process works with, opened once and shared by all threads."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from simcampaign.engine.poller import Poller
from simcampaign.engine.workplace import Workplace
from simcampaign.ledger import Ledger, Requests, default_url
from simcampaign.sites.registry import open_site


@dataclass(frozen=True)
class Place:
    """A site with a ledger, and who looks after it."""

    workplace: Workplace
    poller: Poller


class _Places:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.ledgers: dict[str, Ledger] = {}
        self.places: dict[tuple[str, str], Place] = {}


_places = _Places()


def open_ledger(url: str | None = None) -> Ledger:
    """Return the ledger at ``url``, by default that of this user."""
    url = url or default_url()
    with _places.lock:
        if url not in _places.ledgers:
            _places.ledgers[url] = Ledger(url)
        return _places.ledgers[url]


def open_requests(url: str | None = None) -> Requests:
    """Return the requests in the ledger at ``url``, by default that of this user."""
    return Requests(open_ledger(url))


def open_place(site_name: str, url: str | None = None) -> Place:
    """Return the site with this name and a ledger. Raises ``ConfigError`` if there is no such site."""
    url = url or default_url()
    site = open_site(site_name).site
    with _places.lock:
        place = _places.places.get((site_name, url))
        if place is None or place.workplace.site is not site:
            workplace = Workplace(open_ledger(url), site)
            place = _places.places[site_name, url] = Place(workplace, Poller(workplace))
        return place


def _forget() -> None:
    """Start anew in a forked process: connections, locks and threads are its parent's."""
    _places.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_forget)
