"""Watching arrays on a cluster: exit codes first, the scheduler as the second witness, and seldom."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from simcampaign.errors import NetworkError, SiteError, shorten
from simcampaign.jobs import ArrayReport, JobReport, JobState
from simcampaign.sites.cluster.adapter import OTHERS, Adapter, Jobs, Seen
from simcampaign.sites.cluster.files import About
from simcampaign.sites.cluster.look import LOOK_SECONDS, Files, Told, look_here, look_there, seal
from simcampaign.sites.cluster.pace import Pace
from simcampaign.sites.cluster.verdicts import End, of_end, without_end
from simcampaign.sites.hosts.base import Done, Host

GRACE_SECONDS = 5.0
"""How long an exit code may take from a compute node to the eyes of this host."""

_ANSWERS = 2
"""A job must be missing from, or undecided in, this many answers of the scheduler before it is given up."""

_COMPLETING = 120.0
"""How long a scheduler may take to see that a job is over that has left its exit code."""

_TRUSTED = 5.0
"""How long directories that look unchanged are not read again."""

_LONGEST_NAP = 0.2
_SHORTEST_NAP = 0.01


Problem = SiteError | NetworkError | None


@dataclass
class Doubt:
    """A job that is over for one witness and not for the other."""

    since: float
    answers: int = 0
    """Good answers of the scheduler since then."""

    accounted: bool = False
    """True if accounting was asked since it was due, and knew nothing final."""


@dataclass
class Watched:
    """An array that this process looks at."""

    name: str
    array_id: str
    about: About
    doubts: dict[int, Doubt] = field(default_factory=dict)
    seen: Mapping[int, Seen] = field(default_factory=dict)
    """What the scheduler said last."""

    accounts: Mapping[int, Seen] = field(default_factory=dict)
    """What accounting said last."""

    unjudged: bool = False
    """True if the scheduler has said something since the jobs were last judged."""

    told: Told = field(default_factory=Told)
    """What was told last, or what the last look at the files took for told."""

    text: str = ""
    """``told`` as a cursor."""

    files: Files | None = None
    """What the files say beyond ``told``, if that was looked at for somebody who asked of another array."""

    stamp: tuple[int, int] = (0, 0)
    """What changes when a job begins or ends, as it was at the last look at the files."""

    listed: float = -math.inf
    """When the files were last looked at."""

    @property
    def over(self) -> bool:
        """True if every job's end was told."""
        return len(self.told.ended) >= self.about.size

    @property
    def remote_id(self) -> str:
        """Name and the scheduler's id."""
        return f"{self.name}:{self.array_id}"


class Watch:
    """Looks at the arrays of one site. May be used from several threads."""

    def __init__(
        self,
        host: Host,
        adapter: Adapter,
        scratch: Callable[[], str],
        poll_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Describe what is watched; nothing is asked yet."""
        self._host, self._adapter, self._scratch, self._clock = host, adapter, scratch, clock
        self.pace = Pace(poll_seconds, eager=not host.shared, clock=clock)
        self._arrays: dict[str, Watched] = {}
        self._may_account = False
        self._puzzled = False
        """True if a new doubt arose in the last round."""
        self._lock = threading.RLock()

    def status(self, cursors: Mapping[str, str]) -> Mapping[str, ArrayReport]:
        """Return what changed in the arrays of these remote ids since their cursors."""
        with self._lock:
            watched = {remote_id: self._watched(remote_id) for remote_id in cursors}
            present = [each for each in watched.values() if each is not None]
            for each in present:
                self._rewind(each, cursors[each.remote_id])
            reports = {key: ArrayReport(cursor, known=watched[key] is not None) for key, cursor in cursors.items()}
            problem = self._round(reports, present)
            if problem is None and self._puzzled and self.pace.due_in() <= 0:
                problem = self._round(reports, [each for each in present if reports[each.remote_id].known])
            if problem is not None and not any(each.changes for each in reports.values()):
                raise problem  # if exit codes told something, the scheduler's silence can wait
            return reports

    def _round(self, reports: dict[str, ArrayReport], present: Sequence[Watched]) -> Problem:
        """Look at arrays once and add what changed to the reports; returns what was wrong with the answer."""
        self._puzzled = False
        found, problem = self._look(present)
        if isinstance(problem, SiteError):
            raise problem
        for each in present:
            if each.name in found:
                before, after = reports[each.remote_id], self._report(each, found[each.name])
                reports[each.remote_id] = replace(after, changes=[*before.changes, *after.changes])
        return problem

    def _rewind(self, watched: Watched, cursor: str) -> None:
        """Make the array's ``told`` what the cursor says; mostly it does already."""
        if cursor != watched.text:
            watched.told, watched.text = Told.parse(cursor), cursor
            watched.files, watched.listed = None, -math.inf

    def wait(self, remote_ids: Sequence[str], timeout_seconds: float) -> None:
        """Return when a job of these arrays began or ended, or the scheduler may be asked again."""
        with self._lock:
            arrays = [each for key in remote_ids if (each := self._arrays.get(key)) is not None]
            stamps = {each.name: each.stamp for each in arrays}
            timeout_seconds = min(timeout_seconds, self.pace.due_in())
            if any(each.files is not None for each in arrays):
                return
        deadline = self._clock() + timeout_seconds
        nap = _SHORTEST_NAP
        while not (self._host.shared and any(self._stamp(name) != stamp for name, stamp in stamps.items())):
            left = deadline - self._clock()
            if left <= 0:
                return
            time.sleep(min(nap, left) if self._host.shared else left)
            nap = min(nap * 1.5, _LONGEST_NAP)

    def forget(self, remote_id: str) -> None:
        """Leave an array out of what is asked of the scheduler."""
        with self._lock:
            self._arrays.pop(remote_id, None)

    def about(self, remote_id: str) -> About | None:
        """Return what is to be known of an array; None if it is not there."""
        with self._lock:
            watched = self._watched(remote_id)
            return watched.about if watched is not None else None

    def running(self, remote_id: str) -> Collection[int] | None:
        """Return which jobs of an array were told to be running; None if it was not looked at."""
        with self._lock:
            watched = self._arrays.get(remote_id)
            return None if watched is None or watched.listed == -math.inf else watched.told.running

    # Looking

    def _watched(self, remote_id: str) -> Watched | None:
        """Return the array of this remote id, known from before or read from its directory; None if it is gone."""
        if (known := self._arrays.get(remote_id)) is not None:
            return known
        name, array_id = split_id(remote_id)
        path = f"{self._scratch()}/arrays/{name}/about.json"
        try:
            about = About.parse(self._host.read(path), name)
        except FileNotFoundError:
            self._check_scratch()
            return None
        self.pace.arrived()
        return self._arrays.setdefault(remote_id, Watched(name, array_id, about))

    def _check_scratch(self) -> None:
        """Raise ``SiteError`` if all arrays are gone at once: rather their file system is."""
        try:
            self._host.read(f"{self._scratch()}/arrays/.here")
        except FileNotFoundError:
            raise SiteError(
                f"scratch {self._scratch()} on {self._host.name} is not there", "is its file system mounted?"
            ) from None

    def _look(self, present: Sequence[Watched]) -> tuple[Mapping[str, Files | None], Problem]:
        """Ask the scheduler, if it is due, about all arrays that are not over, and then read their files.

        Returns what the files say of arrays that were looked at (None for one that is gone), and what was wrong with
        the scheduler's answer.
        """
        due = bool(present) and self.pace.due_in() <= 0
        asked = [each for each in self._arrays.values() if not each.over] if due else []
        command = self._adapter.status_command([each.array_id for each in asked]) if asked else ()
        if command:
            self.pace.asked()
        if self._host.shared:
            done = self._host.run(command, timeout_seconds=LOOK_SECONDS) if command else None
            problem = self._understand(done)
            return self._listed_here(present), problem
        unread = [each for each in present if each.listed == -math.inf]
        if not (due or unread):
            return {each.name: each.files for each in present if each.files is not None}, None
        looked = list({each.name: each for each in (*asked, *(present if due else unread))}.values())
        told = {each.name: each.told for each in looked}
        done, found = look_there(self._host, self._scratch(), told, command)
        problem = self._understand(done)
        for each in looked:
            each.files, each.listed = found[each.name], self._clock()
        return {each.name: each.files for each in present if each in looked or each.files is not None}, problem

    def _listed_here(self, present: Sequence[Watched]) -> Mapping[str, Files | None]:
        """Read the files of arrays in which something may have changed since they were last read."""
        found: dict[str, Files | None] = {}
        for each in present:
            stamp, now = self._stamp(each.name), self._clock()
            if stamp == each.stamp and now - each.listed < _TRUSTED and not (each.unjudged or each.doubts):
                continue
            found |= look_here(Path(self._scratch()), {each.name: each.told})
            # A directory may change twice within one tick of its clock: a fresh stamp is not yet trusted.
            each.listed = now if stamp == each.stamp else -math.inf
            each.stamp = stamp
        return found

    def _stamp(self, name: str) -> tuple[int, int]:
        """Return what changes when a job of an array begins or ends."""
        directory = Path(self._scratch()) / "arrays" / name
        try:
            return (directory / "start").stat().st_mtime_ns, (directory / "ec").stat().st_mtime_ns
        except OSError:
            return 0, 0

    def _understand(self, status: Done | None) -> Problem:
        """Take in the scheduler's answer; returns what is wrong with it."""
        if status is None:
            return None
        if self._adapter.is_busy(status):
            return busy(self._adapter, status)
        try:
            jobs = self._adapter.parse_status(status)
        except SiteError as error:
            return error
        self._may_account = True
        for each in self._arrays.values():
            each.seen, each.unjudged = jobs.get(each.array_id, {}), True
            for doubt in each.doubts.values():
                doubt.answers += 1
        return None

    # Judging

    def _report(self, watched: Watched, files: Files | None) -> ArrayReport:
        if files is None:
            self._check_scratch()
            self._arrays.pop(watched.remote_id, None)
            return ArrayReport(watched.text, known=False)
        told = watched.told
        reports = {each.index: each for each in self._ended(watched, files)}
        watched.unjudged, watched.files = False, None
        watched.doubts = {index: doubt for index, doubt in watched.doubts.items() if index not in reports}
        ended = told.ended | reports.keys()
        running = {index for index, seen in watched.seen.items() if seen.state is JobState.RUNNING} | files.started
        begun = sorted(running - ended - told.running - files.ends.keys())
        begun = [index for index in begun if 0 <= index < watched.about.size]
        if not (begun or reports):
            return ArrayReport(watched.text)
        watched.told = Told(ended, (told.running | set(begun)) - ended)
        watched.text = str(watched.told)
        changes = [JobReport(index, JobState.RUNNING) for index in begun]
        return ArrayReport(watched.text, [*changes, *reports.values()])

    def _ended(self, watched: Watched, files: Files) -> Iterator[JobReport]:
        """Yield reports on jobs that are over beyond doubt; note the doubts about others."""
        for end in files.ends.values():
            if end.certain(watched.about, files.is_cancelled(end.index)):
                yield of_end(end, None, False, watched.about)
            elif (report := self._cleared_up(watched, end.index, files, end)) is not None:
                yield report
        silent = set(watched.doubts)
        if watched.unjudged:
            silent |= {index for index in range(watched.about.size) if self._missing(watched, index)}
        given_up = list[JobReport]()
        for index in sorted(silent - files.ends.keys() - watched.told.ended):
            if not self._missing(watched, index):
                watched.doubts.pop(index, None)
            elif (report := self._cleared_up(watched, index, files, None)) is not None:
                given_up.append(report)
        yield from self._sealed(watched, given_up, files)

    def _sealed(self, watched: Watched, given_up: Sequence[JobReport], files: Files) -> Iterator[JobReport]:
        """Yield reports on jobs that are given up, after making sure that none that has not begun ever will.

        A scheduler may keep such a job in its queue, in an error state or held, and start it months later.
        """
        directory = f"{self._scratch()}/arrays/{watched.name}"
        begun = seal(self._host, directory, [each.index for each in given_up if each.index not in files.started])
        yield from (each for each in given_up if each.index not in begun)

    def _missing(self, watched: Watched, index: int) -> bool:
        """Tell whether a job is over for the scheduler, or not known to it."""
        seen = said_of(watched.seen, index)
        return seen is None or not seen.state.active

    def _cleared_up(self, watched: Watched, index: int, files: Files, end: End | None) -> JobReport | None:
        """Return the report on a job if the witnesses agree, or there is nothing more to wait for."""
        if index not in watched.doubts:
            watched.doubts[index] = Doubt(self._clock())
            self._puzzled = True
            self.pace.news()
        doubt = watched.doubts[index]
        age = self._clock() - doubt.since
        late = age >= GRACE_SECONDS
        if not self._missing(watched, index) and age < _COMPLETING:
            return None
        seen = self._final(watched, index)
        if end is not None and seen is not None:
            return of_end(end, seen, files.is_cancelled(index), watched.about)
        if not late or (seen is None and doubt.answers < _ANSWERS):
            return None
        if seen is None and not doubt.accounted:
            seen = self._accounted(watched, index)
            never_begun = files.is_cancelled(index) and index not in files.started
            if seen is None and not doubt.accounted and not never_begun:
                return None
        if end is not None:
            return of_end(end, seen, files.is_cancelled(index), watched.about)
        return without_end(index, seen, index in files.started, files.is_cancelled(index))

    def _final(self, watched: Watched, index: int) -> Seen | None:
        """Return the scheduler's last word on a job, if it was a final one."""
        for seen in (said_of(watched.seen, index), said_of(watched.accounts, index)):
            if seen is not None and not seen.state.active:
                return seen
        return None

    def _accounted(self, watched: Watched, index: int) -> Seen | None:
        """Ask accounting about all arrays with doubts: once after each good answer of the scheduler."""
        if not self._may_account:
            return None
        self._may_account = False
        for each in self._arrays.values():
            each.accounts = {}
        doubtful = [each for each in self._arrays.values() if each.doubts]
        try:
            jobs = self.ask_accounting([each.array_id for each in doubtful])
        except NetworkError:
            return None  # it is down: the doubt stays
        patience = max(GRACE_SECONDS, self._adapter.accounting_seconds)
        for each in doubtful:
            each.accounts = jobs.get(each.array_id, {})
            for key, doubt in each.doubts.items():
                last = said_of(each.accounts, key)
                late = self._clock() - doubt.since >= patience
                doubt.accounted = late and (last is None or not last.state.active)
        return self._final(watched, index)

    def ask_accounting(self, ids: Sequence[str]) -> Jobs:
        """Return what accounting says of these arrays; nothing if the scheduler has none. Raises ``NetworkError``."""
        command = self._adapter.accounting_command(ids)
        if command is None:
            return {}
        self.pace.accounted()
        done = self._host.run(command, timeout_seconds=LOOK_SECONDS)
        if self._adapter.is_busy(done):
            raise busy(self._adapter, done)
        return self._adapter.parse_accounting(done)


def busy(adapter: Adapter, done: Done) -> NetworkError:
    """Return the error for a scheduler that did not answer."""
    return NetworkError(f"{adapter.title} is busy or down: {shorten(done.complaint, 300)}", "it is waited for")


def said_of(jobs: Mapping[int, Seen], index: int) -> Seen | None:
    """Return what a scheduler says of a job, by its index or among all others."""
    return jobs.get(index, jobs.get(OTHERS))


def split_id(remote_id: str) -> tuple[str, str]:
    """Return the array's name and the scheduler's id. Raises ``SiteError`` for another site's remote id."""
    name, separator, array_id = remote_id.partition(":")
    if not (separator and array_id and name) or name.startswith(".") or "/" in name:
        raise SiteError(f"{shorten(repr(remote_id))} is not a remote id of a cluster, which is NAME:ID")
    return name, array_id
