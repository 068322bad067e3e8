"""Retrying: which causes are worth another try, and with which resources."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from simcampaign.jobs import Cause, Resources


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done about a cause. The factors say what the next try is given."""

    retry: bool
    memory_factor: float = 1.0
    time_factor: float = 1.0


RULES: Mapping[Cause, Rule] = MappingProxyType(
    {
        # The same input gives the same failure: a person has to look at it.
        Cause.APPLICATION: Rule(retry=False),
        Cause.OUT_OF_MEMORY: Rule(retry=True, memory_factor=2.0),
        Cause.TIMEOUT: Rule(retry=True, time_factor=2.0),
        Cause.PREEMPTED: Rule(retry=True),
        Cause.INFRASTRUCTURE: Rule(retry=True),
        Cause.STAGING: Rule(retry=True),
        Cause.LOST: Rule(retry=True),
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How often something is tried, and the most that another try may ask for; None for no limit."""

    attempts: int = 1
    """Tries, the first included: in one campaign run of a flow, or since a person last asked for it."""

    max_memory_mb: int | None = None
    """Memory in MiB."""

    max_timeout_seconds: float | None = None
    """Wall time in seconds."""


NO_LIMITS = Limits()


def next_resources(resources: Resources, cause: Cause, limits: Limits = NO_LIMITS) -> Resources | None:
    """Return what a job that failed for ``cause`` is given at its next try, or None if it is not tried again.

    ``resources`` are those that the job had; what grows is cut to ``limits``. A job that lacked memory or time is not
    tried again if it cannot be given more: it had the limit already, or none was set, so that the same would follow.
    How many tries there are is the caller's to count.
    """
    rule = RULES[cause]
    if not rule.retry:
        return None
    memory: float | None = resources.memory_mb
    if rule.memory_factor > 1:
        memory = _grown(memory, rule.memory_factor, limits.max_memory_mb)
        if memory is None:
            return None
    seconds = resources.timeout_seconds
    if rule.time_factor > 1:
        seconds = _grown(seconds, rule.time_factor, limits.max_timeout_seconds)
        if seconds is None:
            return None
    return replace(resources, memory_mb=None if memory is None else math.floor(memory), timeout_seconds=seconds)


def next_try(history: Sequence[Cause | None], resources: Resources, limits: Limits) -> Resources | None:
    """Return what the next try of a run is given, or None if a person has to look at it before.

    Parameters
    ----------
    history
        How the run's earlier tries ended, the first one first; None for one that was cancelled, or ended well without
        leaving every file: the same would follow.
    resources
        What its first try was given.
    limits
        How often it is tried, and the most that it may be given.
    """
    if history and len(history) >= limits.attempts:
        return None
    given: Resources | None = resources
    for cause in history:
        given = None if cause is None or given is None else next_resources(given, cause, limits)
    return given


def _grown(value: float | None, factor: float, limit: float | None) -> float | None:
    """Return ``value`` grown by ``factor`` up to ``limit``; None if that is no more than before."""
    if value is None:
        return None
    grown = value * factor if limit is None else min(value * factor, limit)
    return grown if grown > value else None
