"""Forerunners: the series that a series builds upon, and what of theirs is there."""

from __future__ import annotations

import polars as pl

from simcampaign import manifest as manifests
from simcampaign.chains import Outputs
from simcampaign.engine.listing import load_manifest, refresh_manifest
from simcampaign.plan import files_present
from simcampaign.series import Series
from simcampaign.storage import Location


def outputs(series: Series, working: Location, manifest: Location, *, refresh: bool) -> Outputs:
    """Return the files of the series that ``series`` names in ``after``; ``refresh`` lists them anew."""
    found = Outputs(tuple(series.after))
    for name in series.after:
        # Their conditions are not known here, nor needed: files are looked up by their names.
        other = Series(name, [], [], [], manifest_key=series.manifest_key)
        found = found.with_files(name, _files(other, working, manifest, refresh=refresh))
    return found


def incomplete(series: Series, working: Location, manifest: Location, *, refresh: bool) -> list[str]:
    """Return the names of those series that are to be complete before ``series`` starts, and are not."""
    return [
        other.name
        for other in series.forerunners
        if not _complete(other, _files(other, working, manifest, refresh=refresh))
    ]


def _complete(series: Series, files: pl.DataFrame) -> bool:
    keys = [str(each["key"]) for each in series.conditions if series.group_of(each) is not None]
    return bool(files_present(files, series.name, keys, series.seeds, series.extensions).all())


def _files(series: Series, working: Location, manifest: Location, *, refresh: bool) -> pl.DataFrame:
    if refresh:
        return refresh_manifest(series, working, manifest)[0]
    saved = load_manifest(manifest, series.manifest_key)
    return manifests.empty() if saved is None else saved
