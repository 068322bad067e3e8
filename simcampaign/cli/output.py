"""What a terminal is shown: tables, JSON documents, ages and sizes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

_UNPIPED_WIDTH = 240
"""Columns of a table that goes to a file or another program, so that no name is cut."""

_STEPS = ((86400.0, "d", 3600.0, "h"), (3600.0, "h", 60.0, "m"), (60.0, "m", 1.0, "s"))


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON document."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_line(text: str = "") -> None:
    """Print a line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Tell the person something that is no result."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print rows under headings; columns named in ``right`` are aligned there, those that are empty are left out."""
    from rich.console import Console  # noqa: PLC0415 - takes a tenth of a second, which --json need not
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    lines = list(rows)
    shown = [place for place, _ in enumerate(columns) if place == 0 or any(line[place] for line in lines)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place in shown:
        justify = "right" if columns[place] in right else "left"
        table.add_column(columns[place], justify=justify, overflow="fold")  # type: ignore[arg-type]
    for line in lines:
        table.add_row(*(Text(line[place]) for place in shown))
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _UNPIPED_WIDTH
    Console(width=wide, highlight=False).print(table)


def span(seconds: float | None) -> str:
    """Return a time in two units at most, e.g. ``2h 5m``; empty if it is not known."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    for size, unit, smaller, small in _STEPS:
        if seconds >= size:
            rest = int(seconds % size // smaller)
            return f"{int(seconds // size)}{unit} {rest}{small}" if rest else f"{int(seconds // size)}{unit}"
    return f"{seconds:.0f}s" if seconds >= 10 else f"{seconds:.1f}s"


def amount(number: float | None) -> str:
    """Return a number of a table; empty if it is not known."""
    return "" if number is None else f"{number:g}"


def size(count: int) -> str:
    """Return bytes as people write them."""
    number = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
