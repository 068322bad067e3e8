"""The examiner: a process of its own reads the files that clients sent, so that none of them can harm the service.

Run as a program it reads paths, one a line, and answers each with a line of JSON, after an empty one once it is ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcampaign.errors import ConfigError, SimcampaignError

SECONDS = 60.0
"""Longest time that reading one file may take."""

START_SECONDS = 300.0
"""Longest time until it is ready; some libraries are large."""

MEMORY_BYTES = 8 * 2**30
"""Address space of the examiner; more is the end of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a file holds."""

    fault: str = ""
    """Why it cannot be solved; empty if it can."""

    type: str = ""
    cells: int = 0
    steps: int = 0
    credits: float = 0.0
    parents: tuple[str, ...] = ()
    """Tasks whose results stand in it in place of data."""


class Examiner:
    """Asks its process, one file at a time; a process that ends or takes too long is replaced. Safe to share."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Ask a process of this command, with these variables beside those of the service."""
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._ready = False

    def start(self) -> None:
        """Begin, so that whoever asks first does not wait for it."""
        with self._lock, contextlib.suppress(OSError):
            self._running()

    def examine(self, path: Path) -> Finding:
        """Return what is in a file."""
        with self._lock:
            try:
                process = self._running()
                self._ready = self._ready or self._answer(process, START_SECONDS) != ""
                if not self._ready:
                    self._end()
                    return Finding(f"the program that reads such files does not start: {self._command[0]}")
                assert process.stdin is not None  # noqa: S101 - asked for
                process.stdin.write(f"{path}\n")
                process.stdin.flush()
                line = self._answer(process, SECONDS)
            except OSError:
                line = ""
            if not line:
                self._end()
                return Finding("its file ended the program that read it, or kept it for too long")
            answer = json.loads(line)
            return Finding(**{**answer, "parents": tuple(answer.get("parents", ()))})

    def stop(self) -> None:
        """End the process, whatever it reads."""
        process = self._process
        if process is not None:
            process.kill()
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._ready = False
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environment
            )
        return self._process

    def _answer(self, process: subprocess.Popen[str], seconds: float) -> str:
        """Return a line, empty if none comes."""
        assert process.stdout is not None  # noqa: S101 - asked for
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        return process.stdout.readline() if ready else ""

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def look_into(path: Path) -> dict[str, Any]:
    """Return the fields of a ``Finding``."""
    from simcampaign import solver  # noqa: PLC0415 - only the process that reads files needs it

    try:
        simulation = solver.read(path)
        quote = solver.type_of(simulation).estimate(simulation)
        parents = sorted({each.task_id for each in simulation.references()})
    except ConfigError as error:
        return {"fault": "; ".join(str(each).replace(str(path), "simulation") for each in error.problems)}
    except (SimcampaignError, MemoryError, RecursionError) as error:
        return {"fault": str(error) or type(error).__name__}
    return {
        "type": simulation.type_name(),
        "cells": quote.cells,
        "steps": quote.steps,
        "credits": quote.credits,
        "parents": parents,
    }


def main() -> None:
    """Answer until there is nothing more to read."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    sys.stdout.write("\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(look_into(Path(line.rstrip("\n")))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
