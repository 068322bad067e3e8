"""The command that solves a file: what a site starts for a task.

Exit status: 0 solved, 1 the solver failed, 2 the input is wrong, 143 it was told to stop (SIGTERM). The output is there
whole or not at all.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from simcampaign.errors import ConfigError, LocationError, Problem, SimcampaignError
from simcampaign.solver.document import write_whole
from simcampaign.solver.registry import read, read_result, type_of

FAILED = 1
WRONG = 2
STOPPED = 128 + signal.SIGTERM


class Stopped(BaseException):
    """SIGTERM came; nothing between here and the top may hold it up."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = _parser()
    asked = parser.parse_args(argv)
    if not asked.quote and asked.output is None:
        parser.error("OUTPUT is missing")
    signal.signal(signal.SIGTERM, _stop)
    try:
        if asked.quote:
            _say(json.dumps(_quote(asked.input)))
        else:
            _solve(asked.input, asked.output, asked.parent)
    except Stopped:
        return _fail("told to stop; nothing was written", STOPPED)
    except (ConfigError, LocationError) as error:
        return _fail(str(error), WRONG)
    except SimcampaignError as error:
        return _fail(str(error), FAILED)
    except MemoryError:
        return _fail("the simulation does not fit into the memory of this machine; make the grid coarser", FAILED)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simcampaign.solver", description=__doc__)
    parser.add_argument("input", metavar="INPUT", type=Path, help="file of a simulation, HDF5 or JSON")
    parser.add_argument("output", metavar="OUTPUT", type=Path, nargs="?", help="file of the result")
    parser.add_argument("--quote", action="store_true", help="print what it costs at most, and solve nothing")
    parser.add_argument(
        "--parent",
        metavar="TASK_ID=RESULT_FILE",
        action="append",
        default=[],
        help="result of a task that the simulation refers to; may be given several times",
    )
    return parser


def _quote(source: Path) -> dict[str, object]:
    simulation = read(source)
    kind = type_of(simulation)
    return {"type": kind.name, **asdict(kind.estimate(simulation))}


def _solve(source: Path, target: Path, parents: Sequence[str]) -> None:
    simulation = read(source)
    kind = type_of(simulation)
    results = dict(_parent(each) for each in parents)
    if simulation.references():
        simulation = simulation.resolved(results)
    kind.estimate(simulation)
    solved = kind.solve(simulation, _tell)
    if solved.log:
        _say(solved.log)
    cost = {"credits": solved.credits, "cells": solved.cells, "steps": solved.steps, "type": kind.name}
    # Whoever sees the result sees its cost, too.
    write_whole(target.with_name(f"{target.name}.json"), json.dumps(cost).encode())
    solved.result.to_file(target)


def _parent(text: str) -> tuple[str, Any]:
    task_id, separator, file = text.partition("=")
    if not (task_id and separator and file):
        raise ConfigError([Problem("--parent", text, "must be TASK_ID=RESULT_FILE")])
    return task_id, read_result(file)


def _tell(percent: float, field_decay: float) -> None:
    _say(f"progress {percent:.1f} {field_decay:.3g}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _fail(message: str, status: int) -> int:
    sys.stderr.write(f"{message}\n")
    return status


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Stopped
