"""Where the contract is tried: a site, and how to see what really happened there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from simcampaign.jobs import ArraySpec, Cause, JobReport, JobSpec, JobState, job_environment
from simcampaign.sites.base import Site
from simcampaign.sites.registry import configure_site
from tests.contract.acts import Act, script
from tests.contract.cloud import Cloud, Performance
from tests.contract.fake import FakeSite, Fault

FIND_ELSEWHERE = """
import json, sys
from simcampaign.sites.registry import open_site
print(json.dumps(open_site(sys.argv[1]).site.find(sys.argv[2])))
"""


def told_everywhere(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that a job of an array with this environment is told."""
    array = array_of((), "", 1, "/", {"environment": environment})
    return sorted(job_environment(array, array.jobs[0]))


class Place(Protocol):
    """A site under test."""

    knows_programs: bool
    """True if it can tell before a submission that a program is not there."""

    exact_output: bool
    """True if what a job printed comes back byte by byte; False if bytes that are no text are replaced."""

    cleans: bool
    """True if an array that was cleaned cannot be seen any more."""

    filters: bool
    """True if the service filters logs; the test server of AWS does not."""

    patience: float
    """Seconds within which small jobs end here."""

    def site(self) -> Site:
        """Make a new object of the site."""
        ...

    def configure(self, **changes: Any) -> Site:
        """Make one with other options. Raises ``ConfigError``."""
        ...

    def unreachable(self) -> Site | None:
        """Make one whose service is not there; None if it needs no service."""
        ...

    def names(self, environment: Mapping[str, str]) -> list[str]:
        """Return the variables that a job of an array with this environment is told."""
        ...

    def array(self, acts: Sequence[Act], name: str = "", size: int = 0, **changes: Any) -> ArraySpec:
        """Describe an array whose jobs act so, the last act for all that are left.

        ``inputs`` among the changes are the names of their inputs.
        """
        ...

    def told(self, array: ArraySpec, job: JobSpec) -> Mapping[str, str]:
        """Return the environment that the job must see."""
        ...

    def started(self, array: ArraySpec) -> list[int]:
        """Return the indices of jobs that were really started, sorted; one that was started twice is there twice."""
        ...

    def let_go(self, array: ArraySpec) -> None:
        """Let the array's held jobs end."""
        ...

    def listing(self) -> set[str]:
        """Return what of arrays can be seen at the site, by any means."""
        ...


def new_name() -> str:
    """Return a name that no array has had."""
    return f"c{uuid.uuid4().hex[:12]}"


def array_of(acts: Sequence[Act], name: str, size: int, url: str, changes: Mapping[str, Any]) -> ArraySpec:
    """Describe an array; its jobs do nothing yet."""
    name = name or new_name()
    inputs = changes.get("inputs") or [f"{name}_{index}.xml" for index in range(size or len(acts))]
    jobs = [JobSpec(i, f"{name}_{i:04d}", f"{url}in puts/{each}", f"{i}-{i + 3}") for i, each in enumerate(inputs)]
    others = {key: value for key, value in changes.items() if key != "inputs"}
    values: dict[str, Any] = {"command": (), "jobs": jobs, "model": "toy", **others}
    return ArraySpec(name=name, file_set=f"{name}_group", working_url=url, output=f"{url}outputs/", **values)


@dataclass
class FakePlace:
    """The fake site."""

    fault: Callable[[str], Fault | None] = lambda call: None
    knows_programs = True
    exact_output = True
    cleans = True
    filters = True
    patience = 20.0
    acts: dict[str, Sequence[Act]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cloud = Cloud(self._perform)

    def _perform(self, array: ArraySpec, job: JobSpec) -> Performance:
        acts = self.acts[array.name]
        act = acts[min(job.index, len(acts) - 1)]
        printed = act.printed(array, job, job_environment(array, job))
        return Performance(None if act.held else 0.5, act.code, printed)

    def site(self) -> Site:
        return FakeSite(self.cloud, price=0.5, fault=self.fault)

    def configure(self, **changes: Any) -> Site:
        return FakeSite.configure("fake", changes)

    def unreachable(self) -> Site:
        return FakeSite(self.cloud, fault=lambda call: Fault.CUT)

    names = staticmethod(told_everywhere)

    def array(self, acts: Sequence[Act], name: str = "", size: int = 0, **changes: Any) -> ArraySpec:
        array = array_of(acts, name, size, "/fake place/", {"command": ("act",), **changes})
        self.acts[array.name] = acts
        return array

    def told(self, array: ArraySpec, job: JobSpec) -> Mapping[str, str]:
        return job_environment(array, job)

    def started(self, array: ArraySpec) -> list[int]:
        return sorted(index for name, index in self.cloud.started if name == array.name)

    def let_go(self, array: ArraySpec) -> None:
        for each in self.cloud.arrays.values():
            each.let_go |= each.spec.name == array.name

    def listing(self) -> set[str]:
        return {array.spec.name for array in self.cloud.arrays.values()}


@dataclass
class ConfiguredPlace:
    """A site of ``sites.toml`` whose jobs are shell scripts on this host, or see a directory of it."""

    backend: str
    options: Mapping[str, Any]
    folder: Path
    """Where ``sites.toml`` is, and what jobs note."""

    files: Callable[[], set[str]]
    """What can be seen of arrays at the site."""

    seen_as: str = ""
    """What jobs call the folder for notes, if they see it elsewhere."""

    broken: Mapping[str, Any] | None = None
    """Options with which its service cannot be reached."""

    array_settings: Mapping[str, Any] = field(default_factory=dict)
    knows_programs: bool = True
    exact_output: bool = True
    cleans: bool = True
    filters: bool = True
    patience: float = 60.0

    def __post_init__(self) -> None:
        self.notes = self.folder / 'it\'s a "work" $HOME folder'
        self.notes.mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        return f"a_{self.backend}"

    @property
    def file(self) -> Path:
        return self.folder / "sites.toml"

    def site(self) -> Site:
        return self.configure()

    def configure(self, **changes: Any) -> Site:
        return configure_site(self.name, self._table(changes)).site

    def unreachable(self) -> Site | None:
        return None if self.broken is None else self.configure(**self.broken)

    def _table(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        return {"backend": self.backend, **self.options, **changes}

    def find_elsewhere(self, name: str) -> str | None:
        """Look for an array from a new process."""
        lines = [f"{name} = {toml(value)}" for name, value in self._table({}).items()]
        self.file.write_text("\n".join([f"[{self.name}]", *lines, ""]))
        done = subprocess.run(
            [sys.executable, "-c", FIND_ELSEWHERE, self.name, name],
            env={**os.environ, "SIMCAMPAIGN_SITES": str(self.file), "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        found: str | None = json.loads(done.stdout)
        return found

    names = staticmethod(told_everywhere)

    def array(self, acts: Sequence[Act], name: str = "", size: int = 0, **changes: Any) -> ArraySpec:
        name = name or new_name()
        words = ("{index}", "{input}", "{job_id}", "{seeds}", "{working}")
        command = ("sh", "-c", script(acts, name), "sh", *words)
        settings = {"command": command, **self.array_settings, **changes}
        return array_of(acts, name, size, f"{self.notes}/", settings)

    def told(self, array: ArraySpec, job: JobSpec) -> Mapping[str, str]:
        told = job_environment(array, job)
        if self.seen_as:
            return {name: value.replace(f"{self.notes}/", self.seen_as) for name, value in told.items()}
        return told

    def started(self, array: ArraySpec) -> list[int]:
        file = self.notes / f"{array.name}.starts"
        return sorted(map(int, file.read_text().split())) if file.exists() else []

    def let_go(self, array: ArraySpec) -> None:
        (self.notes / f"{array.name}.go").touch()

    def listing(self) -> set[str]:
        return self.files()


def toml(value: Any) -> str:
    """Return a value as TOML; JSON is the same for all but mappings and None."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {toml(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)


Verdict = tuple[JobState, Cause | None, int | None]


def verdicts(jobs: Mapping[int, JobReport]) -> dict[int, Verdict]:
    """Return how jobs ended: what a site must say the same of at every look, whoever looks."""
    return {index: (job.state, job.cause, job.exit_code) for index, job in jobs.items()}


class Watched:
    """What is known of an array after all looks so far."""

    def __init__(self, place: Place, site: Site, remote_id: str) -> None:
        self.place, self.site, self.remote_id, self.cursor = place, site, remote_id, ""
        self.jobs: dict[int, JobReport] = {}
        self.told: list[JobReport] = []
        """Everything that was told, in that order."""

    def look(self) -> dict[int, JobReport]:
        report = self.site.status({self.remote_id: self.cursor})[self.remote_id]
        assert report.known
        self.cursor = report.cursor
        self.told += report.changes
        self.jobs.update((change.index, change) for change in report.changes)
        return self.jobs

    def until(self, seen: Callable[[], object]) -> dict[int, JobReport]:
        """Look until there is something to see."""
        deadline = time.monotonic() + self.place.patience
        while self.look() is None or not seen():
            assert time.monotonic() < deadline, f"in vain: {self.jobs}"
            self.site.wait([self.remote_id], 0.5)
        return self.jobs

    def end(self, size: int) -> dict[int, JobReport]:
        """Look until that many jobs have ended."""
        return self.until(lambda: sum(not job.state.active for job in self.jobs.values()) >= size)
