"""The outputs of a series: its dated folders, and the files of its runs in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

DATED = re.compile(r"\d{4}-\d{2}-\d{2}")
"""The name of a dated location."""


class OutputsError(Exception):
    """There is nothing to report of, or a file cannot be read; the message names the place and the reason."""


def dated_folders(location: Path, name: str | None) -> tuple[str, list[Path]]:
    """Return a series' name and its dated folders, oldest first.

    ``location`` is a dated location, whose name and neighbours are those of the series, or a working location; then
    ``name`` tells the series, unless there is only one. Raises ``OutputsError`` if there is no dated folder.
    """
    if DATED.fullmatch(location.name):
        return location.parent.name, sorted(_dated(location.parent))
    found = sorted(folder.name for folder in location.glob("*") if _dated(folder)) if name is None else [name]
    if len(found) > 1:
        raise OutputsError(f"{location}: holds several series ({', '.join(found)}); choose one with --name")
    folders = sorted(_dated(location / found[0])) if found else []
    if not folders:
        raise OutputsError(
            f"{location}: holds no dated folder of {name or 'a series'}, like {name or 'NAME'}/2026-01-31"
        )
    return found[0], folders


def _dated(folder: Path) -> list[Path]:
    return [child for child in folder.glob("*") if DATED.fullmatch(child.name)]


def find_runs(name: str, folders: Sequence[Path], extension: str) -> dict[str, dict[int, Path]]:
    """Return the files of all runs by condition and seed; of a run done on several days the latest counts.

    ``folders`` come oldest first. Raises ``OutputsError`` if there is no such file.
    """
    run = re.compile(rf"{re.escape(name)}_(?P<condition>.+)_(?P<seed>\d{{4,}})\.{re.escape(extension)}")
    runs: dict[str, dict[int, Path]] = {}
    for folder in folders:
        for path in sorted((folder / "outputs").glob(f"*.{extension}")):
            if found := run.fullmatch(path.name):
                runs.setdefault(found["condition"], {})[int(found["seed"])] = path
    if not runs:
        places = ", ".join(f"{folder}/outputs" for folder in folders)
        raise OutputsError(f"there is no {name}_CONDITION_SEED.{extension} in {places}")
    return runs
