"""Telemetry: what this host has left, sampled off the way of everything else."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the host."""

    time: float
    """Seconds since the epoch."""

    cpu_percent: float
    memory_percent: float
    memory_used_gb: float
    memory_total_gb: float
    memory_free_gb: float
    disk_usage_percent: float
    disk_free_gb: float


class Telemetry:
    """Looks at the host every few seconds in a thread of its own; the last hour is kept."""

    def __init__(self, folder: Path, interval_seconds: float = 2.0) -> None:
        """Look at the disk that holds ``folder``."""
        self._folder = folder
        self._interval = interval_seconds
        self._samples: deque[Sample] = deque(maxlen=int(3600 / interval_seconds))
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        psutil.cpu_percent()  # the first call has nothing to compare with
        self._samples.append(self._look())

    @property
    def active(self) -> bool:
        """True while samples are taken."""
        return self._thread is not None

    @property
    def latest(self) -> Sample:
        """The newest sample."""
        return self._samples[-1]

    @property
    def history(self) -> Sequence[Sample]:
        """The samples of the last hour, oldest first."""
        return list(self._samples)

    def start(self) -> bool:
        """Start to look; False if that is done already."""
        if self._thread is not None:
            return False
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._samples.append(self._look())

    def _look(self) -> Sample:
        memory = psutil.virtual_memory()
        folder = next(each for each in (self._folder, *self._folder.parents) if each.exists())
        disk = psutil.disk_usage(str(folder))
        return Sample(
            time=time.time(),
            cpu_percent=psutil.cpu_percent(),
            memory_percent=memory.percent,
            memory_used_gb=round(memory.used / _GIB, 3),
            memory_total_gb=round(memory.total / _GIB, 3),
            memory_free_gb=round(memory.available / _GIB, 3),
            disk_usage_percent=disk.percent,
            disk_free_gb=round(disk.free / _GIB, 3),
        )
