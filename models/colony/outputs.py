"""Writing what a run leaves: a time series (CSV) and the cells at its end (HDF5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple
from pathlib import Path

import h5py

from models.colony.growth import Colony, Parameters

HEADER = "time_h,cells,dead,radius_um,nutrient"
"""Columns of the time series; ``cells`` are the living ones."""


def write_series(path: Path, colony: Colony) -> None:
    """Write the time series; the file appears under its name only when it is complete."""
    rows = (astuple(sample) for sample in colony.samples)
    lines = [f"{time:.2f},{alive},{dead},{radius:.2f},{nutrient:.4f}" for time, alive, dead, radius, nutrient in rows]
    with _complete(path) as temporary:
        temporary.write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")


def write_cells(path: Path, colony: Colony, condition: str, seed: int, parameters: Parameters) -> None:
    """Write the cells at the end; the file appears under its name only when it is complete."""
    with _complete(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update({"condition": condition, "seed": seed})
        file.attrs.update({name: value for name, value in asdict(parameters).items() if value is not None})
        file.create_dataset("position_um", data=colony.positions_um.astype("f4"), compression="gzip")
        file.create_dataset("alive", data=colony.alive)
        file.create_dataset("age_h", data=colony.age_h.astype("f4"), compression="gzip")


@contextmanager
def _complete(path: Path) -> Iterator[Path]:
    """Give a temporary name in the same folder, which becomes ``path`` in one step at the end."""
    # Names that begin with a dot are never taken for outputs; the process id keeps two writers apart.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
