"""Simulate the runs of one campaign input: ``python -m models.colony INPUT OUTPUT_DIR``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from models.colony.campaign import ConditionRange, InputError, founder_file, read_campaign, read_founders
from models.colony.growth import GrowthError, Sample, grow
from models.colony.outputs import write_cells, write_series

BAD_INPUT = 2
BROKE_DOWN = 3

PROGRESS_H = 12
"""Simulated hours between two lines of a run's progress."""

_HELP = """\
Simulate every (condition, seed) of INPUT and write NAME_CONDITION_SEED.csv (time series) and .h5 (cells at the end).

INPUT looks like this; a parameter that is left out has its default:

  <campaign name="colony">
    <condition key="rich" start_seed="0" end_seed="3">
      <parameter name="division_rate" value="0.8"/>
    </condition>
  </campaign>

parameters:
  steps          time steps of 3 minutes (1440)
  division_rate  divisions per cell and hour where nutrient and space abound (0.8)
  death_rate     deaths per cell and hour without a drug (0.005)
  nutrient       nutrient in the medium, relative to a rich one (1.0)
  drug_dose      concentration of the drug in micromolar (0)
  drug_start     when the drug is given, in hours (24)
  drug_end       when the drug is washed out, in hours (48)
  fail_at        break down at this time, in hours, to see how failures are shown (never)

A run starts from the cells in $BATCH_WORKING_URL/inits/$FILE_SET_NAME_SEED.csv (columns x_um,y_um) if that file
exists, and from one cell if not.

exit status: 0 all runs are written, 2 the input is wrong, 3 a simulation broke down
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.colony",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", metavar="INPUT", type=Path, help="campaign input (XML)")
    parser.add_argument("output", metavar="OUTPUT_DIR", type=Path, help="where the files go; made if it is missing")
    options = parser.parse_args(arguments)
    try:
        campaign = read_campaign(options.input)
        options.output.mkdir(parents=True, exist_ok=True)
        for condition in campaign.conditions:
            for seed in range(condition.start_seed, condition.end_seed + 1):
                _simulate(campaign.name, condition, seed, options.output)
    except InputError as error:
        return _complain(str(error), BAD_INPUT)
    except GrowthError as error:
        return _complain(str(error), BROKE_DOWN)
    except OSError as error:
        return _complain(f"{error.filename or options.output}: cannot be written: {error.strerror}", BAD_INPUT)
    return 0


def _simulate(name: str, condition: ConditionRange, seed: int, output: Path) -> None:
    began = time.perf_counter()
    key = f"{name}_{condition.key}_{seed:04d}"
    path = founder_file(name, seed)
    founders = read_founders(path) if path.exists() else None
    start = f"one cell, as there is no {path}" if founders is None else f"{len(founders)} cells of {path.name}"
    _say(f"{key}: starts from {start}")

    def progress(sample: Sample) -> None:
        if sample.time_h and sample.time_h % PROGRESS_H == 0:
            _say(
                f"{key}: t = {sample.time_h:5.1f} h  {sample.alive:5d} living cells  radius {sample.radius_um:5.1f} µm"
            )

    try:
        colony = grow(condition.parameters, seed, founders, progress)
    except GrowthError as error:
        raise GrowthError(f"{key}: {error}") from error
    write_series(output / f"{key}.csv", colony)
    write_cells(output / f"{key}.h5", colony, condition.key, seed, condition.parameters)
    _say(f"{key}: done in {time.perf_counter() - began:.2f} s")


def _say(line: str) -> None:
    # A job's log is read while the job runs.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _complain(message: str, status: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"colony: {message}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
