"""The manifest in its place: loaded, listed anew, saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from simcampaign import manifest as manifests
from simcampaign.series import Series
from simcampaign.storage import Location


def load_manifest(location: Location, key: str) -> pl.DataFrame | None:
    """Return the saved manifest, or None if there is none yet. Raises ``LocationError`` if it is damaged."""
    data = location.read_if_there(key)
    return None if data is None else manifests.parse(data, key)


def save_manifest(location: Location, key: str, manifest: pl.DataFrame) -> None:
    """Save a manifest, whole or not at all."""
    location.write(key, manifests.serialise(manifest, key))


def list_locations(
    locations: Sequence[Location], series: Series, include: Sequence[str] = ("*",), exclude: Sequence[str] = ()
) -> pl.DataFrame:
    """Build a manifest of everything in some locations."""
    return manifests.build(_listings([(location, "") for location in locations]), series, include, exclude)


def refresh_manifest(series: Series, working: Location, manifest: Location) -> tuple[pl.DataFrame, bool]:
    """Return the manifest with the series' files in the working location as they are now; saves nothing.

    Rows of other locations and of other series stay as they were. Returns, too, whether it is not the saved one.
    """
    prefix = f"{series.name}/"
    found = manifests.build(_listings([(working, prefix)]), series)
    saved = load_manifest(manifest, series.manifest_key)
    if saved is None:
        return found, True
    ours = (pl.col("LOCATION") == str(working)) & pl.col("FULL_KEY").str.starts_with(prefix)
    renewed = pl.concat([saved.filter(~ours), found]).sort("FULL_KEY", "LOCATION")
    return renewed, not renewed.equals(saved)


def _listings(places: Sequence[tuple[Location, str]]) -> Iterator[tuple[str, list[str]]]:
    for location, prefix in places:
        for keys in location.scan(prefix):
            yield str(location), keys
