"""A solver as a site: each job of an array is a task, its input the simulation, its output the result."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict

from simcampaign.errors import SimcampaignError, SiteError
from simcampaign.fields import STRICT, Text
from simcampaign.jobs import ArrayReport, ArraySpec, Cause, JobReport, JobState, Resources
from simcampaign.logfilter import filter_log, line_filter
from simcampaign.sites.base import Capabilities, Depot, Finding, Queue
from simcampaign.sites.hosts.base import Entry, Host
from simcampaign.web import endpoint
from simcampaign.web.cloud import Cloud, CloudTask, Simulation
from simcampaign.web.own_cloud import OwnCloud
from simcampaign.web.tidy3d_cloud import Tidy3dCloud

Writer = Callable[[str], Any]
"""Makes of a rendered text the bytes of a simulation's file, or a simulation that has ``to_file``."""

LARGEST = 1000
"""Tasks that are started together, all or none."""

RESULT = ".hdf5"
_LONGEST_FOLDER = 120


@dataclass(kw_only=True)
class SolverOptions:
    """What a person writes about a solver."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    url: Text | None = None
    """Where the solver is, such as https://solver.example.org; by default what SIMCAMPAIGN_SOLVER_URL says, or this
    machine's own, which is started when it is needed."""

    token_file: Text | None = None
    """File with the token; by default that of SIMCAMPAIGN_SOLVER_TOKEN or SIMCAMPAIGN_SOLVER_TOKEN_FILE."""

    client: Literal["simcampaign", "tidy3d"] = "simcampaign"
    """Who talks to the solver: simcampaign to its own service, or Tidy3D's official client to its cloud, with the API
    key of its own configuration; url and token_file are not for it."""

    python: Text | None = None
    """The Python of an environment that has tidy3d, for its client; by default the one that runs simcampaign."""


class SolverSite:
    """Has arrays solved by a cloud. The tasks of an array are in a folder of its name, which is the remote id."""

    options: ClassVar[type[Any]] = SolverOptions
    capabilities = Capabilities(max_array_size=LARGEST, adopts=True, cost=True)
    host: Host | None = None
    scratch = ""

    def __init__(self, cloud: Cloud, *, name: str = "solver", writer: Writer | None = None) -> None:
        """Describe the site; nobody is asked yet. ``writer`` makes simulations of rendered inputs."""
        self.name = name
        self.cloud = cloud
        self.writer = writer
        self.depot: Depot | None = _SolverDepot(self)
        self._known: dict[str, dict[int, CloudTask]] = {}

    @classmethod
    def configure(cls, name: str, options: SolverOptions) -> Self:
        """Make a site of what a person wrote."""
        if options.client == "tidy3d":
            return cls(Tidy3dCloud(options.python or sys.executable), name=name)
        return cls(OwnCloud(partial(endpoint.find, options.url, options.token_file)), name=name)

    def writing(self, writer: Writer) -> SolverSite:
        """Return the same site with another writer."""
        return type(self)(self.cloud, name=self.name, writer=writer)

    # Submitting

    def check(self, array: ArraySpec) -> None:
        """Raise ``SiteError`` for what a solver does not run."""
        if array.command:
            raise SiteError(f"command {array.command[0]!r}: a solver runs no commands", "leave it out")
        if array.image:
            raise SiteError(f"image {array.image!r}: a solver runs no images", "leave parameters.image out")
        if array.options:
            raise SiteError(f"{', '.join(sorted(array.options))}: tasks of a solver have no options", "leave it out")

    def upload(self, array: ArraySpec) -> list[CloudTask]:
        """Make the tasks of an array, or find them. Raises ``SiteError`` if one cannot be solved."""
        folder, known = _folder(array.name), self._load(array.name)
        if known.keys() == {job.index for job in array.jobs} and all(map(_is_quoted, known.values())):
            return [known[job.index] for job in array.jobs]
        with tempfile.TemporaryDirectory(prefix="simcampaign-") as scratch:
            wanted = [
                Simulation(_key(array.name, job.index), _run(job.run, job.job_id), self._file(job.input_path, scratch))
                for job in array.jobs
            ]
            tasks = list(self.cloud.upload(folder, wanted))
        faults = [task for task in tasks if task.fault]
        if faults:
            raise SiteError(
                f"{len(faults)} of {len(tasks)} simulations are refused, the first: {faults[0].name}: "
                f"{faults[0].fault}; nothing was started",
                "mend the template or the writer",
            )
        return tasks

    def _file(self, path: str, scratch: str) -> Path:
        """Return the file of a simulation, made by the writer if there is one."""
        source = Path(path)
        if self.writer is None:
            return source
        target = Path(scratch) / f"{source.stem}.hdf5"
        try:
            made = self.writer(source.read_text(encoding="utf-8"))
            if isinstance(made, bytes):
                target.write_bytes(made)
            else:
                made.to_file(target)
        except SimcampaignError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise SiteError(f"the writer made no simulation of {source.name}: {reason}", f"cat {path}") from error
        return target

    def submit(self, array: ArraySpec) -> str:
        """Upload what is not there, start all tasks together, and return the folder."""
        self.check(array)
        self.cloud.start([task.id for task in self.upload(array)])
        return array.name

    def find(self, name: str) -> str | None:
        """Return the folder if its tasks were started; else it is closed, and they are forgotten."""
        if self._load(name) and any(task.state is not None for task in self._known[name].values()):
            return name
        self._known.pop(name, None)
        return None if self.cloud.close(_folder(name), _key(name, 0)) else name

    def _load(self, name: str) -> dict[int, CloudTask]:
        """Ask for the tasks of an array, by index."""
        prefix = _key(name, "")
        found = {
            int(task.key.removeprefix(prefix)): task
            for task in self.cloud.tasks(_folder(name))
            if task.key.startswith(prefix)
        }
        self._known[name] = found
        return found

    # Looking

    def status(self, cursors: Mapping[str, str]) -> Mapping[str, ArrayReport]:
        """Return what changed: one request for a thousand tasks of all arrays."""
        before = {name: self._known.get(name) or self._load(name) for name in cursors}
        told = {name: _cursor(tasks) == cursors[name] for name, tasks in before.items()}
        seen = {task.id: task.seen for tasks in before.values() for task in tasks.values() if _is_active(task)}
        changed, missing = self.cloud.look(seen) if seen else ((), ())
        fresh = {task.id: task for task in changed}
        gone = set(missing)
        reports = {}
        for name, tasks in before.items():
            now = {index: fresh.get(task.id, task) for index, task in tasks.items()}
            self._known[name] = now
            new = [index for index, task in now.items() if not told[name] or task is not tasks[index]]
            changes = [_report(index, now[index]) for index in new]
            changes += [_lost(index) for index, task in now.items() if task.id in gone]
            reports[name] = ArrayReport(_cursor(now), changes, known=bool(now))
        return reports

    def wait(self, remote_ids: Sequence[str], timeout_seconds: float) -> None:
        """Return when a task changed, as the service tells at once, or after a while."""
        tasks = [task for name in remote_ids for task in (self._known.get(name) or self._load(name)).values()]
        self.cloud.wait({task.id: task.seen for task in tasks if _is_active(task)}, timeout_seconds)

    def logs(self, remote_id: str, indices: Sequence[int], pattern: str = "") -> Iterator[tuple[int, bytes]]:
        """Yield what tasks printed so far."""
        keep = line_filter(pattern)
        tasks = self._load(remote_id)
        there = [index for index in indices if index in tasks]
        for index, data in zip(there, self.cloud.logs([tasks[index].id for index in there]), strict=True):
            yield index, filter_log(data, keep) if pattern else data

    def running(self, remote_id: str, most: int) -> Sequence[int]:
        """Return indices of tasks that run now."""
        return [index for index, task in self._load(remote_id).items() if task.state is JobState.RUNNING][:most]

    def details(self, remote_id: str) -> Sequence[JobReport]:
        """Return nothing: ``status`` told everything."""
        del remote_id
        return ()

    def price_per_hour(self, resources: Resources) -> float:
        """Return 0: a solver's price is that of the simulation, not of time."""
        del resources
        return 0.0

    def cancel(self, remote_id: str, indices: Sequence[int] | None = None) -> None:
        """End what has not finished."""
        tasks = self._load(remote_id)
        self.cloud.abort([task.id for index, task in tasks.items() if indices is None or index in set(indices)])

    def clean(self, remote_id: str) -> None:
        """Do nothing: the tasks go with what the depot keeps."""
        self._known.pop(remote_id, None)

    def queues(self) -> Sequence[Queue]:
        """Return nothing: there are none."""
        return ()

    def doctor(self) -> Iterator[Finding]:
        """Look whether the solver answers."""
        try:
            yield Finding("solver", True, self.cloud.about())
        except SimcampaignError as error:
            yield Finding("solver", False, str(error))

    def tasks_of(self, name: str) -> dict[int, CloudTask]:
        """Return the tasks of an array by index, as they are now."""
        return self._load(name)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was seen, which is asked for again."""
        return {**self.__dict__, "_known": {}}


class _SolverDepot:
    """Simulations and results in the cloud."""

    def __init__(self, site: SolverSite) -> None:
        self._site = site

    def quote(self, array: ArraySpec) -> float:
        return sum(task.quoted or 0.0 for task in self._site.upload(array))

    def outputs(self, name: str) -> Sequence[Entry]:
        return [
            Entry(f"{task.name}{RESULT}", task.result_bytes, task.ended or 0.0)
            for task in self._site.tasks_of(name).values()
            if task.result_bytes is not None
        ]

    def get(self, name: str, files: Iterable[tuple[str, Path]]) -> int:
        tasks = {f"{task.name}{RESULT}": task for task in self._site.tasks_of(name).values()}
        wanted = list(files)
        for path, _ in wanted:
            if path not in tasks:
                raise SiteError(f"the result {path} is at the solver no more")
        return self._site.cloud.download((tasks[path], target) for path, target in wanted)

    def remove(self, names: Sequence[str]) -> None:
        for name in names:
            if tasks := self._site.tasks_of(name):
                self._site.cloud.delete([task.id for task in tasks.values()])


def _folder(name: str) -> str:
    """Return the folder of an array's tasks: its name, unless that is too long for one."""
    if len(name) <= _LONGEST_FOLDER:
        return name
    return f"{name[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _key(name: str, index: int | str) -> str:
    return f"{hashlib.sha256(name.encode()).hexdigest()[:32]}-{index}"


def _run(run: str, job_id: str) -> str:
    if not run:
        raise SiteError(f"job {job_id} has several runs, and a simulation is one", "set parameters.seeds_per_job: 1")
    return run


def _is_quoted(task: CloudTask) -> bool:
    return task.state is not None or task.quoted is not None


def _is_active(task: CloudTask) -> bool:
    return task.state is None or task.state.active


def _cursor(tasks: Mapping[int, CloudTask]) -> str:
    """Return what was told of tasks, in few letters."""
    text = "\n".join(f"{index} {tasks[index].seen}" for index in sorted(tasks))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _report(index: int, task: CloudTask) -> JobReport:
    state = task.state or JobState.QUEUED
    failed = not state.active and state is not JobState.FINISHED
    return JobReport(
        index,
        state,
        cause=(task.cause or Cause.INFRASTRUCTURE) if failed and state is not JobState.CANCELLED else None,
        started=task.started,
        ended=task.ended,
        message=task.message if failed else "",
        cost=task.quoted if state.active else task.cost,
    )


def _lost(index: int) -> JobReport:
    message = "the solver does not know its task any more"
    return JobReport(index, JobState.LOST, cause=Cause.LOST, message=message, cost=0.0)
