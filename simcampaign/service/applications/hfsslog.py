"""What the log of a batch run of HFSS 3D Layout says: the project, the initial mesh, adaptive passes, the sweep.

The log is for people, and differs between versions: lines that are not understood are passed over, and what is not
said is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

_PROJECT = re.compile(r"\bProject:\s*([^,\]\n]+?)\s*,\s*Design:\s*([^,\]\n]+)")
_FILE = re.compile(r"^\s*(?:\[\w+\]\s*)?Batch Solve/Save:\s*(\S.*)$", re.IGNORECASE)
_USER = re.compile(r"\bRunning as user\s*:\s*(\S+)", re.IGNORECASE)
_COMMAND = re.compile(r"\bUsing command line\s*:\s*(\S.*)$", re.IGNORECASE)
_INITIAL = re.compile(r"\binitial mesh", re.IGNORECASE)
_PASS = re.compile(r"\bAdaptive Pass\s+(?:number\s+)?#?(\d{1,6})\b", re.IGNORECASE)
_SWEEP = re.compile(r"\b(Interpolating|Discrete|Fast|Broadband)\b[^\n]{0,60}\bSweep\b", re.IGNORECASE)
_FREQUENCY = re.compile(
    r"\bFrequency\s*[-:=]\s*(\d{1,15}(?:\.\d{1,15})?(?:e[+-]?\d{1,2})?)\s*([kMGT]?)Hz", re.IGNORECASE
)
_TETRAHEDRA = re.compile(r"\bTetrahedra\s*[:=]\s*(\d{1,15})\b", re.IGNORECASE)
_MATRIX = re.compile(r"\bMatrix size\s*[:=]\s*(\d{1,15})\b", re.IGNORECASE)
_MEMORY = re.compile(r"\bMemory\s*[:=]?\s*(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]?)(?:i?B|\s*bytes)?\b", re.IGNORECASE)
_REAL = re.compile(r"\bReal Time\s*[:=]?\s*(\d{1,4}):(\d{2}):(\d{2})", re.IGNORECASE)
_CPU = re.compile(r"\bCPU Time\s*[:=]?\s*(\d{1,4}):(\d{2}):(\d{2})", re.IGNORECASE)
_ELAPSED = re.compile(r"\bElapsed time\s*[:=]?\s*(\d{1,4}):(\d{2}):(\d{2})", re.IGNORECASE)
_DELTA = re.compile(r"\bDelta S\s*[:=]\s*(\d{1,9}(?:\.\d{1,15})?(?:e[+-]?\d{1,2})?)", re.IGNORECASE)
_COUNT = re.compile(r"\b(\d{1,9})\s+frequencies\b(?!\s+in parallel)|\bFrequencies\s*[:=]\s*(\d{1,9})\b", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not|never)\s+(?:yet\s+)?converged", re.IGNORECASE)
# "Solution has converged at pass number 3", and, in the profile, "Adaptive Passes converged"
_CONVERGED = re.compile(r"\b(?:has|passes) converged\b(?:\s+at\s+pass\s+number\D{0,3}(\d{1,6}))?", re.IGNORECASE)
_SIZES = {"": 2.0**-20, "K": 2.0**-10, "M": 1.0, "G": 2.0**10, "T": 2.0**20}
_HERTZ = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
LONGEST_LINE = 4000
"""Characters of a line that are looked at."""


@dataclass
class Project:
    """What is solved."""

    name: str | None = None
    file: str | None = None
    design: str | None = None
    user: str | None = None
    cmd_line: str | None = None


@dataclass
class InitialMesh:
    """The mesh before the first pass."""

    tetrahedra: int | None = None
    memory_mb: float | None = None
    """In MiB."""

    real_time_sec: int | None = None
    cpu_time_sec: int | None = None


@dataclass
class AdaptivePass:
    """One pass of refinement."""

    pass_nr: int
    freq_hz: float | None = None
    tetrahedra: int | None = None
    matrix_size: int | None = None
    memory_mb: float | None = None
    """In MiB."""

    delta_s: float | None = None
    converged: bool = False
    elapsed_sec: int | None = None


@dataclass
class Sweep:
    """The sweep over frequencies."""

    type: str
    frequencies: int | None = None
    solved: list[float] = field(default_factory=list)
    """Frequencies in Hz that were solved, in order."""

    elapsed_sec: int | None = None


@dataclass
class HfssLog:
    """All that was understood."""

    project: Project = field(default_factory=Project)
    init_mesh: InitialMesh = field(default_factory=InitialMesh)
    adaptive: list[AdaptivePass] = field(default_factory=list)
    sweep: Sweep | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as clients know it."""
        converged = any(each.converged for each in self.adaptive)
        return {**asdict(self), "log_parser": {"is_converged": converged}}


def parse(text: str) -> HfssLog:
    """Return what a log says; any text is taken."""
    log = HfssLog()
    section: InitialMesh | AdaptivePass | Sweep | None = None
    for line in _lines(text):
        _read_project(log.project, line)
        if match := _PASS.search(line):
            number = int(match[1])
            if not log.adaptive or log.adaptive[-1].pass_nr != number:
                log.adaptive.append(AdaptivePass(number))
            section = log.adaptive[-1]
        elif match := _SWEEP.search(line):
            log.sweep = log.sweep or Sweep(match[1].capitalize())
            section = log.sweep
        elif _INITIAL.search(line) and not log.adaptive:
            section = log.init_mesh
        if isinstance(section, Sweep):
            _read_sweep(section, line)
        elif section is not None:
            _read_figures(section, line)
        if (match := _CONVERGED.search(line)) and not _NOT.search(line):
            _mark_converged(log.adaptive, match[1])
    return log


def _mark_converged(passes: list[AdaptivePass], number: str | None) -> None:
    """Mark the pass of this number; where none is given, the last one, unless an earlier one is marked."""
    if number is not None:
        passes = [each for each in passes if each.pass_nr == int(number)]
    elif any(each.converged for each in passes):
        return
    if passes:
        passes[-1].converged = True


def _lines(text: str) -> Iterator[str]:
    return (line[:LONGEST_LINE] for line in text.splitlines())


def _read_project(project: Project, line: str) -> None:
    """Take what a line says of the project; what was said first counts."""
    if match := _PROJECT.search(line):
        project.name, project.design = project.name or match[1], project.design or match[2].strip()
    for name, pattern in (("file", _FILE), ("user", _USER), ("cmd_line", _COMMAND)):
        if getattr(project, name) is None and (match := pattern.search(line)):
            setattr(project, name, match[1].strip())


def _read_figures(section: InitialMesh | AdaptivePass, line: str) -> None:
    """Take the figures of a line; what was said last counts, but of memory the most."""
    known = {each.name for each in fields(section)}
    for name, value in _figures(line):
        if name in known:
            before = getattr(section, name) or 0
            setattr(section, name, max(value, before) if name == "memory_mb" else value)


def _figures(line: str) -> Iterator[tuple[str, Any]]:
    for name, pattern in (("tetrahedra", _TETRAHEDRA), ("matrix_size", _MATRIX)):
        if match := pattern.search(line):
            yield name, int(match[1])
    for name, pattern in (("real_time_sec", _REAL), ("cpu_time_sec", _CPU), ("elapsed_sec", _ELAPSED)):
        if match := pattern.search(line):
            yield name, _seconds(match)
    if match := _MEMORY.search(line):
        yield "memory_mb", float(match[1]) * _SIZES[match[2].upper()]
    if match := _FREQUENCY.search(line):
        yield "freq_hz", float(match[1]) * _HERTZ[match[2].upper()]
    if match := _DELTA.search(line):
        yield "delta_s", float(match[1])


def _read_sweep(sweep: Sweep, line: str) -> None:
    if match := _FREQUENCY.search(line):
        sweep.solved.append(float(match[1]) * _HERTZ[match[2].upper()])
    elif match := _COUNT.search(line):
        sweep.frequencies = int(match[1] or match[2])
    if match := _ELAPSED.search(line):
        sweep.elapsed_sec = _seconds(match)


def _seconds(match: re.Match[str]) -> int:
    hours, minutes, seconds = (int(each) for each in match.groups())
    return (hours * 60 + minutes) * 60 + seconds
