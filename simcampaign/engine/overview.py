"""An overview of a series: its locations listed into the manifest, counted and shown; nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from simcampaign import manifest as manifests
from simcampaign.costs import estimate
from simcampaign.engine.campaign import SeriesRecord
from simcampaign.engine.known import known_runs
from simcampaign.engine.listing import list_locations, load_manifest, save_manifest
from simcampaign.engine.page import build_page, save_summary
from simcampaign.errors import LocationError
from simcampaign.plan import make_plan
from simcampaign.storage import Location
from simcampaign.summary import render_text, summarise


@dataclass(frozen=True)
class Overview:
    """What was found, and where the summary is."""

    complete: bool
    counts: dict[str, int]
    files: int
    table: str
    """One row a condition, one column an extension."""

    summary: str


def list_series(
    record: SeriesRecord, locations: Sequence[Location], include: Sequence[str] = ("*",), exclude: Sequence[str] = ()
) -> pl.DataFrame:
    """List locations into the manifest, which is saved and returned; without a location the working one is listed."""
    for location in locations:
        if location.is_local and not location.path().is_dir():
            hint = "check parameters.search_locations"
            raise LocationError(f"search location {location}: there is no such directory", hint)
    manifest = list_locations(locations or [record.working], record.series, include, exclude)
    itself = (pl.col("FULL_KEY") == record.series.manifest_key) & (pl.col("LOCATION") == str(record.manifest))
    manifest = manifest.filter(~itself)
    save_manifest(record.manifest, record.series.manifest_key, manifest)
    return manifest


def saved_manifest(record: SeriesRecord) -> pl.DataFrame:
    """Return the manifest as it is saved. Raises ``LocationError`` if there is none."""
    key = record.series.manifest_key
    manifest = load_manifest(record.manifest, key)
    if manifest is None:
        hint = "set parameters.update_manifest=true to build it"
        raise LocationError(f"manifest {key}: is not in {record.manifest}", hint)
    return manifest


def publish_overview(record: SeriesRecord, manifest: pl.DataFrame) -> Overview:
    """Save the summary of a series as text and page, from its manifest and what the ledger has of it."""
    if not record.series.extensions:
        # Without a word on what a complete run leaves, a run is complete when it has what any run has.
        found = [each for each in summarise(manifest, record.series).extensions if each]
        record = replace(record, series=replace(record.series, extensions=found))
    recorded = record.recorded_id
    rows = [] if recorded is None else record.ledger.runs(recorded)
    present = manifest if record.series.extensions else manifests.empty()
    plan = make_plan(record.series, present, known_runs(rows, record.series, lambda _: False))
    page = build_page(record, plan, manifest, estimate(plan.runs_to_do, 1.0, 0.0, None, None))
    save_summary(record, page)
    return Overview(
        complete=plan.complete,
        counts=plan.counts,
        files=manifest.height,
        table=render_text(page.summary, limit=50),
        summary=record.working.url(record.layout.summary_page),
    )
