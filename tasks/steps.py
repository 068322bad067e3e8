"""The steps of a campaign run as Prefect tasks, over the engine.

Nothing is cached by Prefect: the ledger is the record of what was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar, cast

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import opaque

from simcampaign.engine import overview, watch
from simcampaign.engine.campaign import Campaign, SeriesRecord
from simcampaign.engine.overview import Overview
from simcampaign.engine.steps import PLAIN, Steps
from simcampaign.engine.watch import Progress, WatchEnd
from simcampaign.ledger import ArrayRow
from simcampaign.storage import Location

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")


def whole(value: T) -> T:
    """Hand a value to a task as it is; Prefect would look for futures in every condition of a series otherwise."""
    return cast("T", opaque(value))


def _watched(step: Callable[P, R], name: str, run_name: str | None = None) -> Callable[P, R]:
    """Return a step of the engine as a task that is handed its arguments as they are."""
    made = task(name=name, task_run_name=run_name, cache_policy=NO_CACHE, persist_result=False)(step)
    called = cast("Callable[..., R]", made)

    def run(*values: P.args, **named: P.kwargs) -> R:
        return called(*map(whole, values), **named)

    return run


WATCHED = Steps(
    attach=_watched(PLAIN.attach, "attach to jobs in flight"),
    plan=_watched(PLAIN.plan, "plan"),
    claim=_watched(PLAIN.claim, "claim"),
    copy_inits=_watched(PLAIN.copy_inits, "copy inits", "copy inits {submission.group}"),
    save_inputs=_watched(PLAIN.save_inputs, "save inputs", "save inputs {submission.group}"),
    stage_files=_watched(PLAIN.stage_files, "stage files", "stage files {submission.group}"),
    submit=_watched(PLAIN.submit, "submit", "submit {submission.claimed.name}"),
    fetch_outputs=_watched(PLAIN.fetch_outputs, "fetch outputs"),
    save_logs=_watched(PLAIN.save_logs, "save logs"),
    clean=_watched(PLAIN.clean, "clean jobs"),
    summarise=_watched(PLAIN.summarise, "summarise"),
)
"""The engine's steps, each as a task."""


@task(name="poll", cache_policy=NO_CACHE, persist_result=False)
def poll(
    campaign: Campaign,
    arrays: Sequence[ArrayRow],
    on_progress: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> WatchEnd:
    """Watch all arrays in one plain loop."""
    return watch.watch(campaign, arrays, on_progress, stop)


@task(name="terminate jobs", cache_policy=NO_CACHE, persist_result=False)
def terminate(campaign: Campaign, arrays: Sequence[ArrayRow], on_progress: Callable[[Progress], None]) -> WatchEnd:
    """End the jobs that have not ended, one call an array, and wait until they have."""
    return watch.terminate(campaign, arrays, on_progress)


@task(name="list files", cache_policy=NO_CACHE, persist_result=False)
def list_series(
    record: SeriesRecord, locations: Sequence[Location], include: Sequence[str], exclude: Sequence[str]
) -> pl.DataFrame:
    """List locations into the manifest."""
    return overview.list_series(record, locations, include, exclude)


@task(name="load manifest", cache_policy=NO_CACHE, persist_result=False)
def saved_manifest(record: SeriesRecord) -> pl.DataFrame:
    """Load the manifest as it is."""
    return overview.saved_manifest(record)


@task(name="summarise manifest", cache_policy=NO_CACHE, persist_result=False)
def publish_overview(record: SeriesRecord, manifest: pl.DataFrame) -> Overview:
    """Save the summary as text and page."""
    return overview.publish_overview(record, manifest)
