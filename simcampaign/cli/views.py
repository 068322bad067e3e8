"""What is shown of jobs and arrays, from the ledger; no site is asked."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from simcampaign.api import Job, JobArray, get_job, get_job_array
from simcampaign.api.places import open_place, open_requests
from simcampaign.cli.output import print_table, span
from simcampaign.engine.poller import look_at
from simcampaign.errors import ConfigError, ConflictError, Problem
from simcampaign.jobs import JobState
from simcampaign.ledger import Filter, JobRow, RequestRow, job_name
from simcampaign.mistakes import did_you_mean

COLUMNS = ("NAME", "SITE", "STATE", "CAUSE", "AGE", "RUN TIME", "COST")
_WORST_FIRST = (JobState.FAILED, JobState.LOST, JobState.CANCELLED, JobState.FINISHED)


@dataclass(frozen=True)
class View:
    """A job, or an array as a whole, as the ledger has it."""

    request: RequestRow
    index: int | None
    """The job's index in its request; None for all of it."""

    tries: Sequence[JobRow]
    """The newest try of each job that is shown."""

    cost: float

    @property
    def name(self) -> str:
        """Its name."""
        return self.request.name if self.index is None else job_name(self.request, self.index)

    @property
    def counts(self) -> dict[JobState, int]:
        """How many jobs are in which state."""
        counts = Counter(each.state for each in self.tries)
        return {state: counts[state] for state in JobState if counts[state]}

    @property
    def state(self) -> JobState:
        """Where it is: an array is active while a job is, and else as its worst job."""
        counts = self.counts
        if any(state.active for state in counts):
            return JobState.QUEUED if set(counts) == {JobState.QUEUED} else JobState.RUNNING
        return next(state for state in _WORST_FIRST if state in counts)

    @property
    def run_seconds(self) -> float | None:
        """How long its jobs ran together, those that run now included; None if none has started."""
        now = time.time()
        spans = [
            (each.ended or (now if each.state is JobState.RUNNING else each.started)) - each.started
            for each in self.tries
            if each.started is not None
        ]
        return sum(spans) if spans else None

    @property
    def is_array(self) -> bool:
        """True if it stands for all jobs of an array."""
        return self.request.many and self.index is None

    def failures(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each job that did not end well, and why, as far as it is known."""
        for each in self.tries:
            if each.state.active or each.state is JobState.FINISHED:
                continue
            code = "" if each.exit_code is None else f"exit code {each.exit_code}"
            why = ", ".join(filter(None, (each.cause, code, each.message)))
            yield job_name(self.request, each.index), f"{each.state}{f': {why}' if why else ''}"

    def row(self) -> tuple[str, ...]:
        """Return it as a line of a table."""
        state = ", ".join(f"{count} {each}" for each, count in self.counts.items()) if self.is_array else self.state
        causes = sorted({each.cause for each in self.tries if each.cause is not None})
        age, cost = span(time.time() - self.request.created), f"{self.cost:.2f}" if self.cost else ""
        return (self.name, self.request.site, state, ", ".join(causes), age, span(self.run_seconds), cost)

    def document(self) -> dict[str, Any]:
        """Return it for JSON; times are seconds since the epoch."""
        document: dict[str, Any] = {
            "job_name": self.name,
            "site_name": self.request.site,
            "group": self.request.group,
            "status": self.state,
            "submitted": self.request.created,
            "run_seconds": self.run_seconds,
            "cost": self.cost,
        }
        if self.is_array:
            return {**document, "size": self.request.size, "counts": self.counts}
        (last,) = self.tries
        return {
            **document,
            "cause": last.cause,
            "exit_code": last.exit_code,
            "message": last.message,
            "started": last.started,
            "ended": last.ended,
            "peak_memory_bytes": last.peak_memory_bytes,
            "cpu_seconds": last.cpu_seconds,
            "resources": json.loads(last.resources),
        }


def view(job: Job | JobArray) -> View:
    """Return what the ledger has of a job or an array now."""
    requests = open_requests()
    request_id, index = job.position if isinstance(job, Job) else (job.position, None)
    request = requests.get(request_id)
    if request is None:
        raise ConflictError(f"job {job.job_name}: the ledger does not have it any more", "simcampaign jobs")
    costs = requests.costs(request_id)
    cost = sum(costs.values()) if index is None else costs.get(index, 0.0)
    return View(request, index if request.many else None, requests.jobs([request_id], index), cost)


def list_views(which: Filter, limit: int) -> list[View]:
    """Return single jobs, and arrays as a whole, newest first."""
    requests = open_requests()
    rows = requests.list_requests(which, limit)
    tries: dict[int, list[JobRow]] = {row.id: [] for row in rows}
    for each in requests.jobs(tries):
        tries[each.request_id].append(each)
    return [View(row, None, tries[row.id], sum(requests.costs(row.id).values())) for row in rows]


def find(name: str, site: str | None) -> Job | JobArray:
    """Return the job or array of this name. Raises ``ConfigError`` with the nearest name if there is none."""
    try:
        try:
            return get_job_array(name, site)
        except ConfigError:
            return get_job(name, site)
    except ConfigError as error:
        known = [row.name for row in open_requests().list_requests(Filter(site=site), 1000)]
        remedy = did_you_mean(name, known) if known and len(known) <= 10 else _nearest(name, known)
        reason = "there is no such job or array" + (f" at site {site}" if site else "")
        raise ConfigError([Problem("NAME", name, reason, remedy)], "simcampaign jobs") from error
    except ConflictError as error:
        raise ConflictError(str(error.args[0]), "say which: --site NAME") from error


def update(found: Iterable[Job | JobArray]) -> None:
    """Ask the sites where jobs are: one look at each site. Raises ``SiteError`` or ``NetworkError``."""
    active: dict[str, set[int]] = {}
    for each in found:
        if each.status.active:
            request_id = each.position[0] if isinstance(each, Job) else each.position
            active.setdefault(each.site_name, set()).add(request_id)
    for site, request_ids in active.items():
        look_at(open_place(site).workplace, request_ids)


def _nearest(name: str, known: Sequence[str]) -> str:
    """Return the nearest name; nothing if none is near, as all would be too many."""
    remedy = did_you_mean(name, known)
    return remedy if remedy.startswith("did you mean") else ""


def find_all(names: Iterable[str], site: str | None) -> list[Job | JobArray]:
    """Return jobs and arrays by name, each once. Raises ``ConfigError`` with all names that there are not."""
    found: list[Job | JobArray] = []
    problems: list[Problem] = []
    for name in dict.fromkeys(names):
        try:
            found.append(find(name, site))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems, "simcampaign jobs")
    return found


def print_views(views: Iterable[View]) -> None:
    """Print jobs as a table, and below it what is known of those that did not finish well."""
    shown = list(views)
    print_table(COLUMNS, [each.row() for each in shown], right=("AGE", "RUN TIME", "COST"))


def all_finished(views: Iterable[View]) -> bool:
    """Tell whether every job has ended well."""
    return all(each.state is JobState.FINISHED for each in views)
