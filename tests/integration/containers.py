"""Containers on this host: a daemon of each kind, and arrays of jobs in a tiny image."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from simcampaign.jobs import ArraySpec, JobReport, JobSpec, JobState, Resources
from simcampaign.sites.docker import DockerSite
from simcampaign.sites.docker.container import ARRAY_LABEL, INDEX_LABEL
from simcampaign.sites.docker.options import DockerOptions
from tests.integration.services.busybox import BUSYBOX, NoBusybox, make_busybox
from tests.integration.services.dockerd import NoDocker, docker_host
from tests.integration.services.podman import ROOTLESS_USER, NoPodman, podman_host
from tests.support import is_idle, until

ENGINES = ("docker", "podman", "rootless")


@dataclass(frozen=True)
class Engine:
    """A daemon that has the tiny image."""

    kind: str
    address: str

    @property
    def owner(self) -> int:
        """The number of the user that outputs belong to."""
        return ROOTLESS_USER if self.kind == "rootless" else os.getuid()

    @property
    def client(self) -> Any:
        """A client of the daemon that is closed with ``with``."""
        return closing(docker.APIClient(base_url=self.address, version="auto", timeout=60))


@contextmanager
def engine_of(kind: str) -> Iterator[Engine]:
    """Give a daemon of a kind, or skip the test with the reason."""
    with ExitStack() as stack:
        try:
            host = docker_host() if kind == "docker" else podman_host(rootless=kind == "rootless")
            engine = Engine(kind, stack.enter_context(host))
            make_busybox(engine.address)
        except (NoDocker, NoPodman, NoBusybox) as error:
            pytest.skip(f"{kind}: containers cannot be run here: {error}")
        yield engine


@dataclass
class Bench:
    """A place for arrays of containers: a root for the site and a dated location."""

    engine: Engine
    root: Path
    address: str = ""
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.address = self.address or self.engine.address
        self.working = self.root / "a location" / "2025-01-01"
        for folder in ("inputs", "outputs"):
            (self.working / folder).mkdir(parents=True)
        for path in (self.root, *self.root.rglob("*")):
            os.chown(path, self.engine.owner, self.engine.owner)

    def site(self, **options: Any) -> DockerSite:
        """Make a new object of the site."""
        given = {"base_url": self.address, "slots": 3, "grace_seconds": 1.0, **options}
        return DockerSite(options=DockerOptions(**given), root=self.root / "site")

    def array(
        self, shell: str | Sequence[str], size: int = 1, resources: Resources | None = None, **changes: Any
    ) -> ArraySpec:
        """Describe an array whose jobs run a script, or a command."""
        name = f"toy-{uuid.uuid4().hex[:8]}"
        self.names.append(name)
        url = f"{self.working}/"
        jobs = [JobSpec(i, f"{name}_{i}", f"{url}inputs/{name}_{i}.txt", f"{i}-{i + 1}") for i in range(size)]
        given: dict[str, Any] = {
            "command": ("sh", "-c", shell) if isinstance(shell, str) else tuple(shell),
            "image": BUSYBOX,
            "resources": resources or Resources(0.5),
            **changes,
        }
        return ArraySpec(
            name=name, file_set=f"{name}_set", working_url=url, output=f"{url}outputs/", jobs=jobs, **given
        )

    def directory(self, name: str) -> Path:
        """The site's own directory of an array."""
        return self.root / "site" / "arrays" / name

    def containers(self, name: str) -> dict[int, dict[str, Any]]:
        """The containers of an array by index; two of one job are an error."""
        with self.engine.client as client:
            found = client.containers(all=True, filters={"label": [f"{ARRAY_LABEL}={name}"]})
        by_index = {int(each["Labels"][INDEX_LABEL]): each for each in found}
        assert len(by_index) == len(found), "a job has two containers"
        return by_index

    def outputs(self) -> Mapping[str, str]:
        """What is in the files of outputs, by name."""
        return {path.name: path.read_text() for path in sorted((self.working / "outputs").iterdir())}

    def notes(self, name: str = "notes") -> list[str]:
        """The lines of a file in the location that jobs append to."""
        path = self.working / name
        return path.read_text().splitlines() if path.exists() else []

    def end(self) -> None:
        """End all runners and containers."""
        with self.engine.client as client:
            for name in self.names:
                directory = self.directory(name)
                if directory.is_dir():
                    (directory / "cancel").touch()
                for each in self.containers(name).values():
                    client.remove_container(each["Id"], force=True)
                until(lambda: not directory.is_dir() or is_idle(directory))  # noqa: B023 - called at once


@contextmanager
def bench_at(engine: Engine, address: str = "") -> Iterator[Bench]:
    """Give a bench below ``/tmp``, where other users can get, too."""
    root = Path(tempfile.mkdtemp(prefix="bench ", dir="/tmp"))
    bench = Bench(engine, root, address)
    try:
        yield bench
    finally:
        bench.end()
        shutil.rmtree(root)


@dataclass
class Watched:
    """What looks at an array told so far."""

    site: DockerSite
    remote_id: str
    jobs: dict[int, JobReport] = field(default_factory=dict)
    cursor: str = ""

    def look(self) -> dict[int, JobReport]:
        report = self.site.status({self.remote_id: self.cursor})[self.remote_id]
        assert report.known
        self.cursor = report.cursor
        self.jobs.update((each.index, each) for each in report.changes)
        return self.jobs

    def end(self, size: int) -> dict[int, JobReport]:
        """Look until that many jobs have ended."""
        return until(lambda: self.jobs if self._ended(size) else None)

    def _ended(self, size: int) -> bool:
        return sum(not job.state.active for job in self.look().values()) >= size

    def running(self, *indices: int) -> None:
        """Look until these jobs run."""
        until(lambda: all(index in self.look() and self.jobs[index].state is JobState.RUNNING for index in indices))


def submitted(site: DockerSite, array: ArraySpec) -> Watched:
    """Submit an array."""
    return Watched(site, site.submit(array))
