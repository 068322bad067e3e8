"""The verbs ``jobs``, ``status`` and ``wait``."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import ExitStack, contextmanager
from typing import Any

from simcampaign.api import Job, JobArray
from simcampaign.cli.output import print_json, say, span
from simcampaign.cli.views import View, all_finished, find_all, list_views, print_views, update, view
from simcampaign.errors import ConfigError, Problem
from simcampaign.jobs import JobState
from simcampaign.ledger import Filter
from simcampaign.mistakes import did_you_mean
from simcampaign.sites.registry import site_names

_SHOW_SECONDS = 0.5
"""Between two changes of what is shown while waiting."""


def list_jobs(options: argparse.Namespace) -> int:
    """List jobs, newest first."""
    which = Filter(options.site, _states(options.status), options.group, options.since)
    views = list_views(which, options.limit)
    if not views:
        _check_site(options.site)
    if options.json:
        print_json({"jobs": [each.document() for each in views]})
    elif views:
        print_views(views)
        if len(views) == options.limit:
            say(f"the newest {options.limit}; more: --limit")
    else:
        say("no such jobs")
    return 0


def _check_site(name: str | None) -> None:
    """Raise ``ConfigError`` if no site has this name and none of its jobs is known, so that it is misspelt."""
    if name is not None and name not in site_names() and not list_views(Filter(name), 1):
        raise ConfigError([Problem("--site", name, "there is no such site", did_you_mean(name, site_names()))])


def _states(text: str | None) -> set[JobState] | None:
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    problems = [
        Problem("--status", word, "there is no such state", did_you_mean(word, JobState))
        for word in words
        if word not in list(JobState)
    ]
    if problems:
        raise ConfigError(problems)
    return {JobState(word) for word in words}


def status(options: argparse.Namespace) -> int:
    """Ask the sites for the states of jobs; 0 if all have finished."""
    found = find_all(options.names, options.site)
    update(found)
    return _report(options, [view(each) for each in found])


def wait(options: argparse.Namespace) -> int:
    """Wait for the end of jobs; 0 if all have finished."""
    found = find_all(options.names, options.site)
    waiting = _await(found, options.timeout, shown=not options.json)
    code = _report(options, [view(each) for each in found])
    if waiting:
        say(f"{', '.join(waiting)} did not end within {span(options.timeout)}; waiting again takes up where this ended")
    return code


def _await(found: Sequence[Job | JobArray], timeout: float | None, shown: bool) -> list[str]:
    """Wait for the end of all, with one look at each site for all of its jobs; returns names of what has not ended."""
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    with ExitStack() as stack:
        ended: dict[Future[None], str] = {}
        for each in found:
            if waiter := each.watch(None):
                stack.callback(each.unwatch, waiter)
                ended[waiter.ended] = each.job_name
        show = stack.enter_context(_progress(shown))
        while ended and (left := deadline - time.monotonic()) > 0:
            show(found)
            for future in wait_for(ended, min(left, _SHOW_SECONDS)).done:
                future.result()
                del ended[future]
        return list(ended.values())


@contextmanager
def _progress(shown: bool) -> Iterator[_Show]:
    """Give what shows on a terminal how far jobs are."""
    if not shown or not sys.stderr.isatty():
        yield _Show(None)
        return
    from rich.console import Console  # noqa: PLC0415 - takes a tenth of a second, which --json need not

    with Console(stderr=True).status("") as line:
        yield _Show(line)


class _Show:
    """Shows how far jobs are in one line."""

    def __init__(self, line: Any) -> None:
        self._line = line
        self._began = time.monotonic()

    def __call__(self, jobs: Sequence[Job | JobArray]) -> None:
        if self._line is None:
            return
        counts = Counter[JobState]()
        for each in jobs:
            counts += Counter(each.counts if isinstance(each, JobArray) else {each.status: 1})
        states = ", ".join(f"{counts[state]} {state}" for state in JobState if counts[state])
        self._line.update(f"{states} · {span(time.monotonic() - self._began)}")


def _report(options: argparse.Namespace, views: Sequence[View]) -> int:
    """Show jobs, and why some did not finish."""
    if options.json:
        print_json({"jobs": [each.document() for each in views]})
    else:
        print_views(views)
        for each in views:
            for name, why in each.failures():
                say(f"{name}: {why}")
    return 0 if all_finished(views) else 1
