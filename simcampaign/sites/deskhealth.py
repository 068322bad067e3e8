"""Whether jobs can run on a host: Python, cores, memory, disk, and whether files can be written and locked.

Standard library only, Python 3.9 or later: it is copied to hosts beside ``desk.py``.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from simcampaign.sites import arraydir
    from simcampaign.sites.background import take_lock
    from simcampaign.sites.processes import processes
else:  # run as a program, beside copies of these
    import arraydir
    from background import take_lock
    from processes import processes

SPARE_BYTES = 100 * 2**20
"""A disk with less room than this is not fit for jobs."""


def doctor(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Look whether jobs can run here: ``[[subject, fine or null, detail], …]``."""
    cores = os.cpu_count() or 1
    slots = request["slots"] or cores
    version = ".".join(map(str, sys.version_info[:3]))
    findings: list[tuple[str, bool | None, str]] = [
        ("python", sys.version_info >= (3, 9), f"Python {version}, {sys.executable}"),
        ("slots", None if slots > cores else True, f"{slots} for jobs, on {cores} cores"),
        _memory(),
    ]
    for subject, folder in (("root", root), ("scratch", Path(os.path.expanduser(request["scratch"])))):  # noqa: PTH111
        findings.extend(_room(subject, folder))
    return {"host": socket.gethostname(), "findings": findings}


def _memory() -> tuple[str, bool | None, str]:
    if not processes():
        return "memory", None, "there is no /proc here, so memory limits of jobs are not kept"
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return "memory", True, f"{total // 2**20} MiB; limits of jobs are kept by looking every second"


def _room(subject: str, folder: Path) -> Iterator[tuple[str, bool | None, str]]:
    """Try to write, rename, lock and remove a file in a folder, as arrays and jobs will."""
    trial = folder / f".try-{arraydir.unique()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.mkdir()
        try:
            arraydir.write(trial / "file", ["x"])
            (trial / "file").rename(trial / "renamed")
            os.close(take_lock(str(trial)) or os.open(os.devnull, os.O_RDONLY))
        finally:
            shutil.rmtree(trial)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield subject, False, f"{folder} cannot be written to: {error.strerror}; make it writable, or give another one"
        return
    yield subject, True, f"{folder} can be written to and locked"
    detail = f"{free // 2**20} MiB free in {folder}"
    yield f"disk of {subject}", free >= SPARE_BYTES, detail if free >= SPARE_BYTES else f"{detail}; make room"
