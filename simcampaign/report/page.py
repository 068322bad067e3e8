"""What the page of a campaign shows, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from simcampaign.plan import Codes
from simcampaign.runs import RunState
from simcampaign.series import Condition
from simcampaign.summary import Summary


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that failed."""

    run_keys: Sequence[str]
    """The runs it held."""

    cause: str
    """Why, as ``simcampaign.jobs.Cause`` names it."""

    exit_code: int | None = None
    message: str = ""
    log_tail: str = ""
    """The last lines that it printed."""

    rerun: str = ""
    """The command that runs it again, alone."""

    log: str = ""
    """Link to its log."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the campaign took and will take; None where nothing is known."""

    seconds_median: float | None = None
    """Wall seconds per run."""

    seconds_min: float | None = None
    seconds_max: float | None = None
    core_hours_used: float | None = None
    core_hours_left: float | None = None
    """Estimated for the runs that are still to do."""

    cost_used: float | None = None
    cost_left: float | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class ArrayLine:
    """One job array."""

    name: str
    group: str
    site: str
    jobs: int
    states: Mapping[str, int]
    """Jobs per ``simcampaign.jobs.JobState``."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a report made."""

    link: str
    alt: str
    """What it shows, in words."""


@dataclass(frozen=True)
class Page:
    """Everything that the page shows. Links are relative to the page."""

    summary: Summary
    conditions: Sequence[Condition]
    seeds: Sequence[int]
    codes: Codes
    """``RunState`` per run; shape ``(conditions, seeds)``."""

    location: str
    made: datetime
    """When, in UTC."""

    usage: Usage = Usage()
    failures: Sequence[Failure] = ()
    arrays: Sequence[ArrayLine] = ()
    pictures: Sequence[Picture] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    """Label → link: logs, inputs, manifest and the like."""

    skipped: int = 0
    """Runs that are not planned, because their group is skipped."""

    next_command: str = ""
    """What to type for the runs that are left."""

    @property
    def counts(self) -> dict[RunState, int]:
        """Runs per state, also of those without any."""
        numbers = np.bincount(self.codes.ravel(), minlength=len(RunState))
        return {state: int(numbers[state]) for state in RunState}
