"""Run one campaign input with ngspice: ``python -m models.lowpass INPUT OUTPUT_DIR``."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BAD_INPUT = 2
BROKE_DOWN = 3

_RUN = re.compile(r"^\*run (\S+)$", re.MULTILINE)
_VALUE = re.compile(r"(\w+)=(\S+)")
_NO_FILE_NAME = re.compile(r"^\.|[/\0]")

_HELP = """\
Run INPUT with ngspice and write what each of its runs left as KEY.csv (one row: the parts' values in ohm and farad, the
cutoff in hertz) and KEY.tsv (gain in decibel against frequency in hertz).

INPUT is a netlist that names its runs in lines `*run KEY`, in the order in which its control block writes 0.txt and
0.dat, 1.txt and 1.dat, …: `NAME=VALUE` words, and the table of wrdata.

exit status: 0 all runs are written, 2 the input is wrong, 3 the simulation broke down
"""


class BrokeDown(Exception):  # noqa: N818 - told as it is
    """ngspice did not write what it should."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m models.lowpass", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", metavar="INPUT", type=Path)
    parser.add_argument("output", metavar="OUTPUT_DIR", type=Path, help="where the files go; made if it is missing")
    options = parser.parse_args(arguments)
    try:
        keys = _RUN.findall(options.input.read_text(encoding="utf-8"))
    except OSError as error:
        return _complain(f"{options.input}: cannot be read: {error.strerror}", BAD_INPUT)
    if not keys or any(_NO_FILE_NAME.search(key) for key in keys):
        return _complain(f"{options.input}: names no runs in lines `*run KEY`", BAD_INPUT)
    try:
        with tempfile.TemporaryDirectory() as folder:
            simulate(options.input.absolute(), Path(folder))
            options.output.mkdir(parents=True, exist_ok=True)
            for number, key in enumerate(keys):
                save(Path(folder), number, options.output / key)
    except BrokeDown as error:
        return _complain(str(error), BROKE_DOWN)
    except OSError as error:
        return _complain(f"{error.filename or options.output}: {error.strerror}", BAD_INPUT)
    return 0


def simulate(source: Path, folder: Path) -> None:
    """Run ngspice in a folder; what it prints is the job's log. Raises ``BrokeDown``."""
    try:
        code = subprocess.run(
            ["ngspice", "-b", str(source)], cwd=folder, stdin=subprocess.DEVNULL, check=False
        ).returncode
    except FileNotFoundError as error:
        raise BrokeDown("ngspice is not installed (Debian: apt-get install ngspice)") from error
    if code:
        raise BrokeDown(f"ngspice ended with {code}")


def save(folder: Path, number: int, target: Path) -> None:
    """Write the files of a run, each whole or not at all; ``target`` is their name without an extension.

    Raises ``BrokeDown`` if ngspice, which does not end for a mistake in a netlist, left none.
    """
    try:
        values = dict(_VALUE.findall((folder / f"{number}.txt").read_text()))
        rows = [line.split() for line in (folder / f"{number}.dat").read_text().splitlines()]
    except FileNotFoundError as error:
        raise BrokeDown(f"{target.name}: ngspice wrote no {Path(str(error.filename)).name}") from error
    if "cutoff_hz" not in values or len(rows) < 2:
        raise BrokeDown(f"{target.name}: ngspice found no cutoff")
    _write(target.with_name(f"{target.name}.csv"), [",".join(values), ",".join(values.values())])
    header = "frequency_hz\tgain_db"
    _write(target.with_name(f"{target.name}.tsv"), [header, *("\t".join(row) for row in rows[1:])])


def _write(path: Path, lines: list[str]) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text("\n".join([*lines, ""]), encoding="utf-8")
    temporary.replace(path)


def _complain(message: str, status: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"lowpass: {message}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
