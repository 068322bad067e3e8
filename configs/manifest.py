"""The three configs of the flow that lists locations and builds the manifest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from configs.names import Name, PathKey
from configs.series import Conditions, Expanding, InitConfig, Seeds
from simcampaign.errors import Problem
from simcampaign.fields import STRICT, Text
from simcampaign.series import ALL_GROUPS, Series


@dataclass
class ManifestContextConfig:
    """Where files are."""

    __pydantic_config__ = STRICT

    working_location: Text
    """Directory or s3:// address that holds the series' files."""

    manifest_location: Text
    """Directory or s3:// address that holds the manifest."""


@dataclass
class ManifestSeriesConfig(Expanding):
    """The runs that the summary counts."""

    __pydantic_config__ = STRICT

    name: Name
    """Name of the series, the first part of every file's name."""

    seeds: Seeds
    """Random seeds: a list, text such as "0-99,200" (both ends included), or {start: 0, stop: 100} (without stop)."""

    conditions: Conditions
    """Conditions: a list of mappings, each with a unique key, or a generator."""

    extensions: list[str] = field(default_factory=list)
    """Extensions of the files that a complete run leaves, without the leading dot; empty: those that are found."""

    manifest_key: PathKey = "manifest.csv"
    """File of the manifest in the manifest location; CSV, or Parquet by its ending."""

    template_key: str = ""
    """Not used here, as inits and groups; the series of a run flow can be given as it is."""

    inits: list[InitConfig] = field(default_factory=list)
    """Not used here."""

    groups: dict[str, str | None] = field(default_factory=lambda: {ALL_GROUPS: ""})
    """Groups of conditions; runs of a group set to null do not count as missing."""

    after: list[str] = field(default_factory=list)
    """Not used here."""

    @classmethod
    def examine(
        cls, fields: Mapping[str, Any], base: Path | None = None, faulty: Collection[str] = ()
    ) -> tuple[Series, list[Problem]]:
        """Return the series that ``fields`` describe and what is wrong with it; no extension is no mistake here."""
        fields = {**fields, "after": []}
        if fields.get("extensions"):
            return super().examine(fields, base, faulty)
        series, problems = super().examine(fields, base, {*faulty, "extensions"})
        return replace(series, extensions=[]), problems


@dataclass
class ManifestParametersConfig:
    """What is listed."""

    __pydantic_config__ = STRICT

    update_manifest: bool = True
    """List the locations; otherwise the manifest is summarised as it is."""

    search_locations: list[Text] = field(default_factory=list)
    """Directories or s3:// addresses to list; empty: the working location."""

    include_filters: list[Text] = field(default_factory=lambda: ["*"])
    """Patterns of the file keys to take, with * and ?."""

    exclude_filters: list[Text] = field(default_factory=list)
    """Patterns of the file keys to leave out; they win."""
