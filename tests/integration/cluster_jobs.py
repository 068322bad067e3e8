"""Arrays for tests of clusters, and looking at them until they are over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simcampaign.errors import NetworkError
from simcampaign.jobs import ArraySpec, JobReport, JobSpec, JobState, Resources
from simcampaign.sites.cluster import ClusterSite
from tests.support import until


def shell_array(name: str, script: str, size: int, resources: Resources | None = None, **options: Any) -> ArraySpec:
    """Return an array whose jobs run ``script`` with their index as ``$1``."""
    jobs = [JobSpec(index, f"{name}_{index:04d}", f"/in/{index}", str(index)) for index in range(size)]
    command = ("/bin/sh", "-c", script, "sh", "{index}")
    return ArraySpec(name, name, "/working/", "/out/", command, jobs, resources or Resources(), options=options)


@dataclass
class Followed:
    """An array that is looked at again and again, as the engine does."""

    site: ClusterSite[Any]
    remote_id: str
    cursor: str = ""
    known: bool = True
    states: dict[int, JobState] = field(default_factory=dict)
    ends: dict[int, JobReport] = field(default_factory=dict)
    silences: list[NetworkError] = field(default_factory=list)
    """What was said by a scheduler that did not answer."""

    def look(self) -> None:
        """Look once; a job that has ended must not change any more."""
        try:
            report = self.site.status({self.remote_id: self.cursor})[self.remote_id]
        except NetworkError as error:
            self.silences.append(error)
            return
        self.known, self.cursor = report.known, report.cursor
        for change in report.changes:
            assert change.index not in self.ends, f"{change} after {self.ends[change.index]}"
            self.states[change.index] = change.state
            if not change.state.active:
                self.ends[change.index] = change

    def until_state(self, indices: Sequence[int], state: JobState, patience: float = 60.0) -> None:
        """Look until these jobs are in this state."""

        def reached() -> bool:
            self.look()
            return all(self.states.get(index) is state for index in indices)

        until(reached, patience)

    def until_over(self, size: int, patience: float = 60.0) -> dict[int, JobReport]:
        """Look until so many jobs have ended; returns how."""

        def over() -> bool:
            self.look()
            return len(self.ends) >= size

        until(over, patience)
        return self.ends


def text_of(site: ClusterSite[Any], remote_id: str, index: int) -> str:
    """Return what a job printed."""
    return b"".join(data for _, data in site.logs(remote_id, [index])).decode()


def marks(folder: Path) -> list[str]:
    """Return the names of files that jobs left to say that they ran, one for each start."""
    return sorted(path.name for path in folder.iterdir())
