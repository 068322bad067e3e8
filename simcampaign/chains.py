"""Chains: the files of other series that a series builds upon, and how its inputs name them.

A template, or the text of a condition's variable, takes a file with ``output("series", key, seed, "extension")``: its
place, once it is there. A run whose files are not there yet waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from simcampaign.manifest import COLUMNS
from simcampaign.series import fold, run_key

FUNCTION = "output"
"""What templates call."""


def file_name(series: str, condition_key: str, seed: int, extension: str) -> str:
    """Return the name of a run's file, folded as keys are: ``NAME_CONDITIONKEY_SEED.EXTENSION``."""
    return fold(f"{run_key(series, condition_key, seed)}.{extension}")


@dataclass(frozen=True)
class Outputs:
    """The files of other series that are there."""

    series: Sequence[str] = ()
    """Names of the series whose files may be taken."""

    places: Mapping[str, str] = field(default_factory=dict)
    """Where each file is, by its name."""

    def with_files(self, series: str, manifest: pl.DataFrame) -> Outputs:
        """Return these and a series' files in a manifest; of several of one name, that of the newest date."""
        rows = manifest.filter(pl.col("KEY").str.starts_with(fold(f"{series}_"))).sort("FULL_KEY")
        found = {
            fold(f"{key}.{extension}"): f"{location.rstrip('/')}/{full_key}"
            for key, extension, location, full_key in rows.select(COLUMNS).iter_rows()
        }
        return Outputs(self.series, {**self.places, **found})


class Taking:
    """What one rendering takes of other series, and what of that is not there."""

    def __init__(self, outputs: Outputs) -> None:
        """Take from these files."""
        self._outputs = outputs
        self.missing: list[str] = []

    def __call__(self, series: str, key: str, seed: int, extension: str) -> str:
        """Return where a run's file is; its mere name, noted as missing, if it is not there.

        Raises ``ValueError`` for a series that is not declared.
        """
        if series not in self._outputs.series:
            known = ", ".join(self._outputs.series) or "none"
            raise ValueError(f"series '{series}' is not among series.after ({known}); add it there")
        name = file_name(str(series), str(key), int(seed), str(extension))
        place = self._outputs.places.get(name)
        if place is None:
            self.missing.append(name)
        return place or name


def takes(text: str) -> bool:
    """Tell whether a text takes a file of another series."""
    return "{{" in text and FUNCTION in text
