"""Orders: what each job of an array is to run, read from ``array.json`` and ``jobs.jsonl``.

Standard library only, Python 3.9 or later: it is copied to hosts beside ``runner.py``.
"""

# pathlib and dataclasses are not imported: they would make runners slower to start, and bigger.
# ruff: noqa: PTH118, PTH123

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

PLACEHOLDER = re.compile(r"\{(?:input|output|seeds|index|job_id|model|image|working)\}")


class Lines:
    """The lines of ``jobs.jsonl``: ``[index, job id, input path, seeds]``, and what a job has of its own, if anything.

    They are read as they are needed, to stay small. After the last one there may be more later.
    """

    def __init__(self, directory: str) -> None:
        self.file = open(os.path.join(directory, "jobs.jsonl"), "rb")  # noqa: SIM115 - for as long as the runner lives

    def __iter__(self) -> Iterator[list[Any]]:
        return self

    def __next__(self) -> list[Any]:
        start = self.file.tell()
        line = self.file.readline()
        if not line.endswith(b"\n"):
            self.file.seek(0, os.SEEK_END)  # forgets what was read ahead: the line may be cut off and written anew
            self.file.seek(start)
            raise StopIteration
        job: list[Any] = json.loads(line)
        return job


class Order(NamedTuple):
    """What one job is to run."""

    command: list[str]
    cwd: str
    environment: dict[str, str]


class Limits(NamedTuple):
    """What one job may take; None and 0 for no limit."""

    timeout_seconds: float | None
    memory_bytes: int


def own(job: list[Any]) -> dict[str, Any]:
    """Return what a job has of its own: command, directory, environment, limits."""
    return job[4] if len(job) > 4 else {}


def limits(array: dict[str, Any], mine: dict[str, Any]) -> Limits:
    """Return the limits of a job that has ``mine`` of its own."""
    memory_mb = mine.get("memory_mb") or array["memory_mb"] or 0
    return Limits(mine.get("timeout_seconds", array["timeout_seconds"]), memory_mb * 2**20)


def order(array: dict[str, Any], job: list[Any], inherited: dict[str, str]) -> Order:
    """Return what a job is to run; ``inherited`` is the environment that it gets besides."""
    values = {**array["values"], "index": str(job[0]), "job_id": job[1], "input": job[2], "seeds": job[3]}
    mine = own(job)
    cwd, folder = array["cwd"], mine.get("directory", array.get("directory", ""))  # older arrays have none
    if folder:
        cwd = os.path.join(cwd, _filled(folder, values))
    each = {name: values[key] for name, key in array["told_each"].items()}
    environment = {**inherited, **array["told"], **mine.get("told", {}), **each}
    return Order([_filled(word, values) for word in mine.get("command", array["command"])], cwd, environment)


def _filled(text: str, values: dict[str, str]) -> str:
    return PLACEHOLDER.sub(lambda found: values[found[0][1:-1]], text)
