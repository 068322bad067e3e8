"""Queueing: which of the waiting jobs starts next. Pure: it is told the time, what runs and what there is room for."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

AGEING_SECONDS = 600.0
"""A job that has waited this long counts as one priority higher, so that nothing waits for ever."""

PATIENCE_SECONDS = 300.0
"""A job that has waited this long for room is not overtaken any more by smaller ones at its site."""


_Line = tuple[str, str]
"""A user and a site: their jobs wait in one line."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits."""

    id: str
    order: int
    """Grows with each submission."""

    since: float
    """When it was submitted, in seconds since the epoch."""

    user: str = ""
    site: str = "local"
    priority: int = 0
    """Higher goes first."""

    cores: float = 1.0
    memory_mb: int = 0
    after: frozenset[str] = frozenset()
    """Jobs that must have ended before, however they ended."""

    after_ok: frozenset[str] = frozenset()
    """Jobs that must have finished well before."""

    held: bool = False
    """True while a person holds it back."""

    @property
    def rank(self) -> float:
        """Priority and age in one number that does not change with time, as all jobs grow older alike."""
        return self.priority - self.since / AGEING_SECONDS


@dataclass(frozen=True, slots=True)
class SiteRoom:
    """How much more may run at one site; infinite for no limit."""

    jobs: float = math.inf
    cores: float = math.inf
    memory_mb: float = math.inf

    @property
    def full(self) -> bool:
        """True if no job fits, however small it is."""
        return self.jobs < 1 or self.cores <= 0 or self.memory_mb < 0


@dataclass(frozen=True, slots=True)
class Room:
    """How much more may run; None for no limit."""

    jobs: int | None = None
    sites: Mapping[str, SiteRoom] = field(default_factory=dict)
    """What each site has room for; one that is not named has no limit."""

    user_jobs: Mapping[str, int] = field(default_factory=dict)
    """More jobs per user who has a limit of their own, and under ``""`` that of each user who is not named."""


class Queue:
    """The jobs that wait, in the order in which they should start.

    Priority goes first, and grows by one per ``AGEING_SECONDS`` of waiting; as all jobs age alike, the order of two
    never changes. Within the same priority the user who takes the least goes first, then whoever came first.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        """Make an empty queue; ``weights`` are users' shares, 1 for each who is not named."""
        self._weights = dict(weights or {})
        self._jobs: dict[str, Waiting] = {}
        self._heaps: dict[_Line, list[tuple[float, int, str]]] = defaultdict(list)
        self._blocked: dict[str, set[str]] = {}
        self._followers: dict[str, set[str]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def __getitem__(self, job_id: str) -> Waiting:
        return self._jobs[job_id]

    def __iter__(self) -> Iterator[Waiting]:
        """Yield all jobs, those first that come first by priority and age."""
        return iter(sorted(self._jobs.values(), key=lambda job: (-job.rank, job.order)))

    def add(self, job: Waiting, over: Mapping[str, bool]) -> None:
        """Line a job up, or put it in another place.

        ``over`` says of jobs that have ended whether they finished well; it must know all that ``job`` waits for and
        that are not in the queue or running.
        """
        self._jobs[job.id] = job
        waits_for = {each for each in job.after if each not in over}
        waits_for |= {each for each in job.after_ok if not over.get(each, False)}
        self._blocked[job.id] = waits_for
        for each in waits_for:
            self._followers[each].add(job.id)
        heapq.heappush(self._heaps[job.user, job.site], (-job.rank, job.order, job.id))

    def move(self, job: Waiting) -> None:
        """Give a job that is here another priority, or hold or release it."""
        self._jobs[job.id] = job
        heapq.heappush(self._heaps[job.user, job.site], (-job.rank, job.order, job.id))

    def remove(self, job_id: str) -> Waiting | None:
        """Take a job out, because it starts or is cancelled; None if it is not here."""
        for each in self._blocked.pop(job_id, ()):
            self._followers[each].discard(job_id)
        return self._jobs.pop(job_id, None)

    def ended(self, job_id: str, well: bool) -> list[str]:
        """Let those go on that waited for a job; returns those that can never start now, as it did not end well."""
        hopeless = []
        for follower in sorted(self._followers.pop(job_id, ())):
            if not well and job_id in self._jobs[follower].after_ok:
                hopeless.append(follower)
            else:
                self._blocked[follower].discard(job_id)
        return hopeless

    def pick(self, room: Room, taken: Mapping[str, float], now: float) -> list[Waiting]:
        """Return the jobs that should start now, in their order; they stay in the queue until they are removed.

        Parameters
        ----------
        room
            How much more may run.
        taken
            Cores that each user's running jobs take.
        now
            The time, in seconds since the epoch.
        """
        left = _Left(room)
        users = {user for user, _ in self._heaps}
        shares = {user: taken.get(user, 0.0) / self._weight(user) for user in users}
        # Lines to sites that have no room are left alone: thousands of jobs may wait in each.
        heads = {line: self._ordered(heap) for line, heap in self._heaps.items() if left.may_take(line)}
        candidates = {line: job for line, jobs in heads.items() if (job := next(jobs, None)) is not None}
        picked: list[Waiting] = []
        reserved: set[str] = set()
        while candidates and not left.full:
            line = min(candidates, key=lambda each: _place(candidates[each], shares[each[0]]))
            job = candidates[line]
            if job.site not in reserved and left.take(job):
                picked.append(job)
                shares[job.user] += job.cores / self._weight(job.user)
            elif left.lacks_size(job) and now - job.since > PATIENCE_SECONDS:
                reserved.add(job.site)
            following = next(heads[line], None) if left.may_take(line) else None
            if following is None:
                del candidates[line]
            else:
                candidates[line] = following
        for jobs in heads.values():
            jobs.close()
        return picked

    def _weight(self, user: str) -> float:
        return self._weights.get(user, 1.0)

    def _ordered(self, heap: list[tuple[float, int, str]]) -> Generator[Waiting, None, None]:
        """Yield the jobs of a line that may start, best first; entries of jobs that left or moved are dropped."""
        seen: list[tuple[float, int, str]] = []
        try:
            while heap:
                entry = heapq.heappop(heap)
                job = self._jobs.get(entry[2])
                if job is None or (-job.rank, job.order) != entry[:2] or (seen and entry == seen[-1]):
                    continue
                seen.append(entry)
                if not job.held and not self._blocked[job.id]:
                    yield job
        finally:
            for entry in seen:
                heapq.heappush(heap, entry)


class _Left:
    """What is left of the room while jobs are picked."""

    def __init__(self, room: Room) -> None:
        self._jobs = math.inf if room.jobs is None else room.jobs
        self._sites = dict(room.sites)
        self._users: dict[str, float] = dict(room.user_jobs)
        self._each_user = self._users.pop("", math.inf)

    @property
    def full(self) -> bool:
        return self._jobs < 1

    def may_take(self, line: _Line) -> bool:
        """Tell whether the user may start another job at the site, if it is small enough."""
        user, site = line
        there = self._sites.get(site)
        return self._users.get(user, self._each_user) >= 1 and not (there is not None and there.full)

    def lacks_size(self, job: Waiting) -> bool:
        """Tell whether the job's site has too few cores or too little memory for it."""
        site = self._sites.get(job.site)
        return site is not None and (job.cores > site.cores or job.memory_mb > site.memory_mb)

    def take(self, job: Waiting) -> bool:
        """Take the job's part, if there is room for all of it."""
        site = self._sites.get(job.site, SiteRoom())
        if self.full or not self.may_take((job.user, job.site)) or self.lacks_size(job):
            return False
        self._jobs -= 1
        self._sites[job.site] = SiteRoom(site.jobs - 1, site.cores - job.cores, site.memory_mb - job.memory_mb)
        self._users[job.user] = self._users.get(job.user, self._each_user) - 1
        return True


def _place(job: Waiting, share: float) -> tuple[int, float, float, int]:
    """Return what candidates of several users are ordered by."""
    return -math.floor(job.rank), share, -job.rank, job.order


def hopeless_from_start(job: Waiting, over: Mapping[str, bool], known: Iterable[str]) -> list[str]:
    """Return the jobs for which ``job`` waits in vain: unknown ones, and ones that did not finish well."""
    known = set(known)
    unknown = [each for each in job.after | job.after_ok if each not in over and each not in known]
    return sorted({*unknown, *(each for each in job.after_ok if over.get(each) is False)})
