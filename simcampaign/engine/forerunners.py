"""Forerunners: the series that a series builds upon, and what of theirs is there."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from simcampaign import manifest as manifests
from simcampaign.chains import Outputs
from simcampaign.engine.listing import load_manifest
from simcampaign.plan import files_present
from simcampaign.series import Series
from simcampaign.storage import Location


def outputs(series: Series, working: Location, manifest: Location, *, refresh: bool) -> Outputs:
    """Return the files of the series that ``series`` names in ``after``; ``refresh`` lists them anew."""
    if not series.after:
        return Outputs()
    files = _files(series.after, series.manifest_key, working, manifest, refresh=refresh)
    return Outputs.of(series.after, files)


def incomplete(series: Series, working: Location, manifest: Location, *, refresh: bool) -> list[str]:
    """Return the names of those series that are to be complete before ``series`` starts, and are not."""
    found = []
    for forerunner in series.forerunners:
        files = _files([forerunner.name], forerunner.manifest_key, working, manifest, refresh=refresh, known=forerunner)
        keys = [str(each["key"]) for each in forerunner.conditions if forerunner.group_of(each) is not None]
        present = files_present(files, forerunner.name, keys, forerunner.seeds, forerunner.extensions)
        if not present.all():
            found.append(forerunner.name)
    return found


def _files(
    names: Sequence[str],
    key: str,
    working: Location,
    manifest: Location,
    *,
    refresh: bool,
    known: Series | None = None,
) -> pl.DataFrame:
    """Return the manifest rows of these series, those in the working location as they are now."""
    saved = load_manifest(manifest, key)
    saved = manifests.empty() if saved is None else saved
    if not refresh:
        return saved
    folders = [f"{name}/" for name in names]
    found = manifests.build(((str(working), keys) for folder in folders for keys in working.scan(folder)), known)
    ours = (pl.col("LOCATION") == str(working)) & pl.any_horizontal(
        [pl.col("FULL_KEY").str.starts_with(folder) for folder in folders]
    )
    return pl.concat([saved.filter(~ours), found])
