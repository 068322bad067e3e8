"""Staging: the files of a campaign on a host that does not share ours, and what its jobs wrote there.

Each array has a folder of its own on the host, which looks like the dated location:

    (scratch)/campaigns/(name)-(digest of the working location)/(array's name)/inputs/ inits/ outputs/

The ledger and the files are the only record: what was fetched has the size and the time of its original.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path, PurePosixPath

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.jobfiles import renewing
from simcampaign.errors import ConfigError, LocationError, NetworkError, SiteError, shorten
from simcampaign.jobs import JobState, RunRange
from simcampaign.layout import Layout
from simcampaign.ledger import ArrayRow, ArrayState, Claimed
from simcampaign.plan import digest_of
from simcampaign.series import fold, run_stem
from simcampaign.sites.base import Depot
from simcampaign.sites.hosts.base import Entry, Host
from simcampaign.sites.registry import open_site

logger = logging.getLogger("simcampaign")

FETCH_SECONDS = 60.0
"""Shortest time between two fetches while jobs run."""

_SAME_SECONDS = 1e-5
"""What is lost of a time between two file systems."""

Runs = Mapping[str, Sequence[tuple[int, int]]]
"""First and last seeds of ranges, by what the names of their runs start with."""


def staging_host(campaign: Campaign) -> Host | None:
    """Return the host that files are staged to; None if the site's jobs reach the working location themselves."""
    host = campaign.site.host
    return None if host is None or host.shared else host


class _HostDepot:
    """The folders of arrays on a host, as a depot."""

    def __init__(self, campaign: Campaign, host: Host) -> None:
        self._campaign = campaign
        self._host = host

    def outputs(self, name: str) -> Sequence[Entry]:
        return self._host.list(f"{_folder(self._campaign, self._host, name)}/outputs")

    def get(self, name: str, files: Iterable[tuple[str, Path]]) -> int:
        folder = f"{_folder(self._campaign, self._host, name)}/outputs"
        return self._host.get((f"{folder}/{path}", target) for path, target in files)

    def remove(self, names: Sequence[str]) -> None:
        folders = [_folder(self._campaign, self._host, name) for name in names]
        removed = self._host.run(["xargs", "-0", "rm", "-rf", "--"], stdin="\0".join(folders).encode())
        if removed.code:
            complaint = shorten(removed.complaint)
            raise SiteError(f"{shorten(folders[0])!r} cannot be removed on {self._host.name}: {complaint}")


def _depot(campaign: Campaign) -> Depot | _HostDepot | None:
    """Return where outputs are fetched from; None if jobs write them into the working location themselves."""
    if campaign.site.depot is not None:
        return campaign.site.depot
    host = staging_host(campaign)
    return None if host is None else _HostDepot(campaign, host)


def is_fetched(campaign: Campaign) -> bool:
    """Tell whether outputs of the site's jobs are fetched."""
    return _depot(campaign) is not None


def job_url(campaign: Campaign, array: str, key: str) -> str:
    """Return where the jobs of an array find, or write, what has this key of the dated location."""
    host = staging_host(campaign)
    if host is None:
        return campaign.working.url(key)
    return f"{_folder(campaign, host, array)}{key.removeprefix(campaign.layout.root)}"


def _folder(campaign: Campaign, host: Host, array: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9_-]", "-", campaign.series.name)[:80]
    digest = digest_of(campaign.series.name, campaign.working.url())
    return f"{host.expand(campaign.site.scratch).rstrip('/')}/campaigns/{readable}-{digest}/{array}"


def check_staging(campaign: Campaign) -> None:
    """Raise ``LocationError`` if files would have to be staged from or to an object store."""
    if is_fetched(campaign) and not campaign.working.is_local:
        host = staging_host(campaign)
        where = campaign.site.name if host is None else host.name
        raise LocationError(
            f"working location {campaign.working}: files are staged to {where} from a directory of this machine",
            "give a directory as context.working_location",
        )


def put_files(campaign: Campaign, claimed: Claimed, keys: Iterable[str]) -> int:
    """Put files of the working location to where the jobs of an array will look; returns bytes put."""
    host = staging_host(campaign)
    if host is None:
        return 0
    files: Iterator[tuple[bytes | Path, str]] = (
        (campaign.working.path(key), job_url(campaign, claimed.name, key)) for key in keys
    )
    put = host.put(renewing(files, lambda: campaign.ledger.renew([claimed.array_id], campaign.owner)))
    outputs = job_url(campaign, claimed.name, campaign.layout.outputs)
    made = host.run(["mkdir", "-p", "--", outputs])
    if made.code:
        raise SiteError(f"{outputs!r} cannot be made on {host.name}: {shorten(made.complaint)}")
    return put


def fetch(campaign: Campaign, arrays: Iterable[ArrayRow]) -> int:
    """Fetch what ended jobs wrote and is new or changed into the working location; returns how many files that were.

    Of an array that still runs only files of runs whose jobs have ended are fetched, as others may change. Raises
    ``NetworkError`` if the host cannot be reached or is cut off; what came stays, and the rest comes next time.
    """
    depot = _depot(campaign)
    if depot is None:
        return 0
    history = _History(campaign)
    count = size = 0
    for array in arrays:
        place = campaign.working.path(Layout(campaign.series.name, array.date).outputs)
        wanted: dict[Path, Entry] = {}
        for entry in history.settled(array, depot.outputs(array.name)):
            target = _inside(place, entry, campaign.site.name)
            if not _is_here(target, entry):
                wanted[target] = entry
        if wanted:
            size += depot.get(array.name, ((entry.path, target) for target, entry in wanted.items()))
            for target, entry in wanted.items():
                os.utime(target, (entry.modified, entry.modified))  # by SFTP it came with whole seconds only
            count += len(wanted)
    if count:
        logger.info("Fetched %d files, %.1f MB, from %s.", count, size / 1e6, campaign.site.name)
    return count


def remove_staged(campaign: Campaign, array: ArrayRow) -> None:
    """Fetch what is left of an array that is over, then remove what is kept for it there."""
    depot = _depot(campaign)
    if depot is not None:
        fetch(campaign, [array])
        depot.remove([array.name])


def remove_abandoned(campaign: Campaign) -> None:
    """Remove what was put there for arrays that never reached the site, as whoever submitted them was killed."""
    depot = _depot(campaign)
    if depot is None:
        return
    names = [
        array.name
        for array in campaign.ledger.arrays(campaign.id)
        if array.state is ArrayState.ABANDONED and array.site == campaign.site.name
    ]
    if names:
        depot.remove(names)


def unfetched_runs(campaign: Campaign, campaign_id: int, *, of_others: bool) -> list[RunRange]:
    """Return the runs of jobs that ended well whose files may still lie on a host; asks the ledger alone.

    With ``of_others`` only those of other sites.
    """
    ranges: list[RunRange] = []
    for array in campaign.ledger.arrays(campaign_id, uncollected=True):
        mine = array.site == campaign.site.name
        if (is_fetched(campaign) and not of_others) if mine else _is_staged_at(array.site):
            of_job = campaign.ledger.job_ranges(array.id)
            states = campaign.ledger.job_states(array.id)
            finished = [index for index, state in states.items() if state is JobState.FINISHED]
            ranges += (each for index in finished for each in of_job.get(index, ()))
    return ranges


class Fetcher:
    """Fetches now and then while jobs run, so that not everything is left for the end."""

    def __init__(self, campaign: Campaign) -> None:
        """Fetch nothing yet."""
        self._campaign = campaign
        self._ended = 0
        self._fetched = time.monotonic()
        self._failing = False

    def look(self, arrays: Sequence[ArrayRow], ended: int) -> None:
        """Fetch if more jobs have ended than last time, not too often; that it fails is logged, once."""
        due = time.monotonic() - self._fetched >= FETCH_SECONDS
        if ended == self._ended or not due or not is_fetched(self._campaign):
            return
        self._fetched = time.monotonic()
        try:
            fetch(self._campaign, arrays)
        except (SiteError, NetworkError) as error:
            if not self._failing:
                logger.warning(
                    "Outputs cannot be fetched from %s; they stay there. %s", self._campaign.site.name, error
                )
            self._failing = True
            return
        self._ended, self._failing = ended, False


def _is_staged_at(site: str) -> bool:
    """Tell whether another site's files are staged; those of a site that is no longer configured are given up."""
    try:
        found = open_site(site).site
    except (ConfigError, LocationError, SiteError):
        return False
    return found.depot is not None or (found.host is not None and not found.host.shared)


class _History:
    """Which runs the campaign's arrays hold, read from the ledger when it is first asked."""

    def __init__(self, campaign: Campaign) -> None:
        self._ledger = campaign.ledger
        self._campaign_id = campaign.id
        self._name = campaign.series.name
        self._ranges = cache(campaign.ledger.job_ranges)

    @cached_property
    def _arrays(self) -> list[ArrayRow]:
        return [each for each in self._ledger.arrays(self._campaign_id) if each.state is not ArrayState.ABANDONED]

    def settled(self, array: ArrayRow, entries: Sequence[Entry]) -> Iterator[Entry]:
        """Yield the files that will not change any more and that no later array is to write."""
        if not entries:
            return
        later = (each.id for each in self._arrays if each.id > array.id)
        superseded = self._runs(each for other in later for job in self._ranges(other).values() for each in job)
        whole = array.state is ArrayState.OVER
        over = {} if whole else self._ended(array)
        for entry in entries:
            if (whole or _is_of(entry, over)) and not _is_of(entry, superseded):
                yield entry

    def _ended(self, array: ArrayRow) -> Runs:
        of_job, states = self._ranges(array.id), self._ledger.job_states(array.id)
        ended = (index for index, state in states.items() if not state.active)
        return self._runs(each for index in ended for each in of_job.get(index, ()))

    def _runs(self, ranges: Iterable[RunRange]) -> Runs:
        found: dict[str, list[tuple[int, int]]] = {}
        for each in ranges:
            found.setdefault(run_stem(self._name, each.condition_key), []).append((each.start_seed, each.end_seed))
        return found


def _is_of(entry: Entry, runs: Runs) -> bool:
    """Tell whether a file is named after one of these runs: its key, then a dot."""
    name = fold(PurePosixPath(entry.path).name)
    cuts = (position for position, letter in enumerate(name) if letter == ".")
    return bool(runs) and any(_is_key(name[:cut], runs) for cut in cuts)


def _is_key(key: str, runs: Runs) -> bool:
    stem = key.rstrip("0123456789")
    digits = key[len(stem) :]
    return bool(digits) and any(first <= int(digits) <= last for first, last in runs.get(stem, ()))


def _inside(place: Path, entry: Entry, site: str) -> Path:
    path = PurePosixPath(entry.path)
    if path.is_absolute() or ".." in path.parts:
        raise SiteError(f"{site} lists an output {entry.path!r}, which leads out of its folder; nothing was copied")
    return place / path


def _is_here(target: Path, entry: Entry) -> bool:
    """Tell whether a file was fetched already."""
    try:
        status = target.stat()
    except FileNotFoundError:
        return False
    return status.st_size == entry.size and abs(status.st_mtime - entry.modified) < _SAME_SECONDS
