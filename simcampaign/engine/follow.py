"""Following: what running jobs print, as they print it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simcampaign.engine.campaign import Campaign
from simcampaign.errors import NetworkError, SiteError
from simcampaign.ledger import ArrayRow, job_id

MOST = 4
"""Jobs that are followed at a time: more cannot be read along, and each costs the site a call."""


class Follower:
    """Prints the new lines of a few running jobs at every look; one that ends makes room for the next."""

    def __init__(self, campaign: Campaign, write: Callable[[str], None]) -> None:
        """Follow the jobs of ``campaign``; ``write`` is given each line without its end."""
        self._campaign = campaign
        self._write = write
        self._printed: dict[tuple[str, int], int] = {}

    def look(self, arrays: Sequence[ArrayRow]) -> None:
        """Print what is new. A site that cannot be asked just now is asked at the next look."""
        for array in arrays:
            if array.remote_id and array.site == self._campaign.site.name:
                try:
                    self._look_at(array.name, array.remote_id)
                except (SiteError, NetworkError):
                    continue

    def _look_at(self, name: str, remote_id: str) -> None:
        followed = [index for remote, index in self._printed if remote == remote_id]
        room = MOST - len(self._printed)
        running = self._campaign.site.running(remote_id, MOST)
        fresh = [index for index in running if index not in followed][: max(0, room)]
        if not followed and not fresh:
            return
        for index, data in self._campaign.site.logs(remote_id, [*followed, *fresh]):
            self._print(name, (remote_id, index), data)
        for index in followed:
            if index not in running:  # its last lines were just printed
                self._printed.pop((remote_id, index), None)

    def _print(self, name: str, key: tuple[str, int], data: bytes) -> None:
        seen = self._printed.get(key, 0)
        whole = data.rfind(b"\n") + 1
        for line in data[seen:whole].decode(errors="replace").splitlines():
            self._write(f"{job_id(name, key[1])}: {line}")
        self._printed[key] = max(seen, whole)
