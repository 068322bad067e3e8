"""Limits: how much may run at a time, and what must be left on this host before another job starts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace

from simcampaign.errors import ConfigError, Problem
from simcampaign.ledger.queuerows import QueueRow
from simcampaign.queueing import Room, SiteRoom
from simcampaign.service.core.telemetry import Sample


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """What a job manager may use of its host."""

    max_concurrent_jobs: int = 1
    """Jobs that run on this host at a time."""

    max_cpu_percent: float = 80.0
    """No job is started here while more than this is in use; 100 for no limit."""

    min_memory_gb: float = 2.0
    """No job is started here while less memory than this is free."""

    min_disk_gb: float = 2.0
    """No job is started here while less disk than this is free."""

    def changed(self, values: Mapping[str, object]) -> ResourceLimits:
        """Return limits with other values, all or none. Raises ``ConfigError`` with everything that is wrong."""
        known = {each.name for each in fields(self)}
        problems = [
            Problem(name, value, "there is no such limit") for name, value in values.items() if name not in known
        ]
        problems += [
            Problem(name, values[name], reason)
            for name in values
            if name in known and (reason := _fault(name, values[name]))
        ]
        if problems:
            raise ConfigError(problems, f"the limits are {', '.join(sorted(known))}")
        return replace(self, **{name: _number(name, value) for name, value in values.items()})  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, float]:
        """Return the four limits by name."""
        return asdict(self)


_MOST = 1e9
"""Largest value of a limit."""


def _fault(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "must be a number"
    if not -_MOST <= value <= _MOST:  # NaN is not, and whole numbers without end are no floats
        return "must be a number, and none so large"
    if name == "max_concurrent_jobs":
        return "" if value >= 1 and value == int(value) else "must be a whole number, 1 or more"
    if name == "max_cpu_percent":
        return "" if 0 < value <= 100 else "must be more than 0 and at most 100"
    return "" if value >= 0 else "must be 0 or more"


def _number(name: str, value: object) -> float:
    number = float(str(value))
    return int(number) if name == "max_concurrent_jobs" else number


@dataclass(frozen=True, slots=True)
class Caps:
    """Who may run how much; None for no limit."""

    site_jobs: Mapping[str, int] = field(default_factory=dict)
    """Jobs at a time per site."""

    user_jobs: Mapping[str, int] = field(default_factory=dict)
    """Jobs at a time per user; under ``*`` that of each user who is not named."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """Shares of users, 1 for each who is not named."""


def campaign_slots(limits: ResourceLimits, slots: float, cores: int) -> int:
    """Return how many slots of this host campaigns may take, whose jobs take ``cores`` each.

    Of ``max_concurrent_jobs``, and of the ``slots`` that there are, one is left to the queue, if there are several.
    """
    return max(cores, min((limits.max_concurrent_jobs - 1) * cores, int(slots) - 1))


def room(
    limits: ResourceLimits,
    caps: Caps,
    sample: Sample,
    active: Iterable[QueueRow],
    here: Mapping[str, float],
    others: int = 0,
    ahead: Mapping[str, int] | None = None,
) -> Room:
    """Return what there is room for.

    Parameters
    ----------
    limits, caps
        What is allowed.
    sample
        What this host has left.
    active
        The jobs that were handed over and are not over.
    here
        The sites on this host, with their cores.
    others
        Jobs on this host that are not of the queue. They leave it one place at least.
    ahead
        How many more jobs each site here may be handed than it runs at a time. They count as if they ran, but for
        the places they will have; so they are handed over only where the sites' own cores are the limit.
    """
    active = list(active)
    jobs = Counter(row.site for row in active)
    users = Counter(row.user for row in active)
    ours = [row for row in active if row.site in here]
    total_mb = sample.memory_total_gb * 1024
    memory = total_mb - limits.min_memory_gb * 1024 - sum(row.memory_mb for row in ours)
    most = max(1, limits.max_concurrent_jobs - others)
    short = bool(is_short(limits, sample))
    may_go_ahead = not short and sum(here.values()) <= most
    extra = {site: count for site, count in (ahead or {}).items() if may_go_ahead}
    left = 0.0 if short else float(most - len(ours) + sum(extra.values()))
    sites = {}
    for site in {*here, *caps.site_jobs}:
        cap = caps.site_jobs.get(site)
        allowed = math.inf if cap is None else cap - jobs[site]
        if site in here:
            cores = here[site] + extra.get(site, 0) - sum(row.cores for row in ours if row.site == site)
            sites[site] = SiteRoom(min(allowed, left), cores, memory)
        else:
            sites[site] = SiteRoom(allowed)
    each = caps.user_jobs.get("*")
    allowed_users = {user: cap - users[user] for user, cap in caps.user_jobs.items() if user != "*"}
    if each is not None:
        allowed_users |= {user: each - count for user, count in users.items() if user not in allowed_users}
        allowed_users[""] = each
    return Room(sites=sites, user_jobs=allowed_users)


def is_short(limits: ResourceLimits, sample: Sample) -> str:
    """Return why no job may start on this host just now; empty if one may."""
    if sample.cpu_percent > limits.max_cpu_percent:
        return (
            f"{sample.cpu_percent:.0f} % of the CPU is in use, more than max_cpu_percent = {limits.max_cpu_percent:g}"
        )
    if sample.memory_free_gb < limits.min_memory_gb:
        return f"{sample.memory_free_gb:.1f} GB of memory is free, less than min_memory_gb = {limits.min_memory_gb:g}"
    if sample.disk_free_gb < limits.min_disk_gb:
        return f"{sample.disk_free_gb:.1f} GB of disk is free, less than min_disk_gb = {limits.min_disk_gb:g}"
    return ""
