"""The steps of a campaign run as Prefect tasks, over the engine.

Nothing is cached by Prefect: the ledger is the record of what was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from prefect import task
from prefect.cache_policies import NO_CACHE

from simcampaign.engine import collect, overview, planning, reconcile, staging, watch
from simcampaign.engine import submission as submissions
from simcampaign.engine.campaign import Campaign, SeriesRecord
from simcampaign.engine.overview import Overview
from simcampaign.engine.planning import Prepared
from simcampaign.engine.report import Published, publish
from simcampaign.engine.submission import Submission
from simcampaign.engine.watch import Progress, WatchEnd
from simcampaign.ledger import ArrayRow
from simcampaign.storage import Location


@task(name="attach to jobs in flight", cache_policy=NO_CACHE, persist_result=False)
def attach(campaign: Campaign) -> list[ArrayRow]:
    """Settle what earlier campaign runs left behind; returns the arrays in flight."""
    return reconcile.reconcile(campaign)


@task(name="plan", cache_policy=NO_CACHE, persist_result=False)
def plan(campaign: Campaign, selected: NDArray[np.bool_] | None = None) -> Prepared:
    """Load or refresh the manifest, read the ledger, decide what is to do and render it once."""
    return planning.prepare(campaign, selected=selected)


@task(name="claim", cache_policy=NO_CACHE, persist_result=False)
def claim(campaign: Campaign, prepared: Prepared) -> list[Submission]:
    """Write the arrays down as intents, all or none."""
    return submissions.claim(campaign, prepared.plan, prepared.version)


@task(name="copy inits", task_run_name="copy inits {submission.group}", cache_policy=NO_CACHE, persist_result=False)
def copy_inits(campaign: Campaign, submission: Submission) -> int:
    """Copy the inits whose seeds are to run."""
    return submissions.copy_inits(campaign, submission)


@task(name="save inputs", task_run_name="save inputs {submission.group}", cache_policy=NO_CACHE, persist_result=False)
def save_inputs(campaign: Campaign, submission: Submission) -> int:
    """Save the rendered inputs, in bulk."""
    return submissions.save_inputs(campaign, submission)


@task(name="stage files", task_run_name="stage files {submission.group}", cache_policy=NO_CACHE, persist_result=False)
def stage_files(campaign: Campaign, submission: Submission) -> int:
    """Put the saved files to the host of the jobs."""
    return submissions.stage_files(campaign, submission)


@task(name="submit", task_run_name="submit {submission.claimed.name}", cache_policy=NO_CACHE, persist_result=False)
def submit(campaign: Campaign, submission: Submission) -> str:
    """Hand one array to the site."""
    return submissions.submit_array(campaign, submission)


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


@task(name="fetch outputs", cache_policy=NO_CACHE, persist_result=False)
def fetch_outputs(campaign: Campaign, arrays: Sequence[ArrayRow]) -> int:
    """Fetch what ended jobs wrote on their host."""
    return staging.fetch(campaign, arrays)


@task(name="save logs", cache_policy=NO_CACHE, persist_result=False)
def save_logs(campaign: Campaign, arrays: Sequence[ArrayRow]) -> int:
    """Save the logs that exist."""
    return collect.save_logs(campaign, arrays)


@task(name="clean jobs", cache_policy=NO_CACHE, persist_result=False)
def clean(campaign: Campaign, arrays: Sequence[ArrayRow]) -> int:
    """Remove inputs and inits of finished jobs and the site's own files."""
    return collect.clean(campaign, arrays)


@task(name="summarise", cache_policy=NO_CACHE, persist_result=False)
def summarise(campaign: Campaign, command: str) -> Published:
    """Refresh the manifest, run the report command, and publish the summary."""
    return publish(campaign, command)


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
