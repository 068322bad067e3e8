"""The sites that the contract is tried at, each started once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from simcampaign.jobs import ArraySpec, JobReport, Resources
from simcampaign.sites.base import Site
from tests.contract.acts import BOTH_STREAMS, FAILS, HOSTILE_OUTPUT, NAMES_ITSELF, QUIET
from tests.contract.aws_place import AwsPlace, without_aws_settings
from tests.contract.places import ConfiguredPlace, FakePlace, Place, Verdict, Watched, verdicts
from tests.integration.containers import engine_of
from tests.integration.services.aws import Aws, aws_server
from tests.integration.services.busybox import BUSYBOX
from tests.integration.services.processes import free_port
from tests.integration.services.schedulers import played_scheduler
from tests.integration.services.sge import NoGridEngine, grid_engine
from tests.integration.services.slurm import NoSlurm, slurm_cluster
from tests.integration.services.sshd import NoSshd, ssh_servers
from tests.support import is_idle, until

Start = Callable[[pytest.FixtureRequest, Path], Iterator[Place]]


def fake(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    yield FakePlace()


def local(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    root = folder / 'ro\'ot of "it"'
    options = {"root": str(root), "slots": 2, "grace_seconds": 0.3}
    yield ConfiguredPlace("local", options, folder, lambda: arrays_with("array.json", root))
    await_runners(root)


def containers(kind: str) -> Start:
    """Containers of a daemon, which sees a folder of its own."""

    def start(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
        with engine_of(kind) as engine:
            root = folder / "site"
            yield ConfiguredPlace(
                "docker",
                {"root": str(root), "base_url": engine.address, "slots": 2, "grace_seconds": 0.3, "remove": True},
                folder,
                lambda: arrays_with("array.json", root),
                seen_as="/mnt/",
                broken={"base_url": f"unix://{folder}/nobody.sock"},
                array_settings={"image": BUSYBOX, "resources": Resources(0.5)},
                knows_programs=False,
                exact_output=False,
            )
            await_runners(root)

    return start


def cluster(backend: str, service: Callable[[], AbstractContextManager[Any]]) -> Start:
    """A scheduler's commands on this host."""

    def start(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
        with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
            try:
                running = stack.enter_context(service())
            except (NoSlurm, NoGridEngine) as error:
                pytest.skip(f"{backend}: {error}")
            for name, value in running.environment.items():
                patch.setenv(name, value)
            scratch = folder / "scratch of 'it'"
            yield ConfiguredPlace(
                backend,
                {"scratch": str(scratch), "poll_seconds": 0.5},
                folder,
                lambda: arrays_with("submitted", scratch),
                broken={"host": "127.0.0.1", "port": free_port(), "connect_timeout": 2.0},
                patience=120.0,
            )

    return start


def batch(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    """The test server of AWS, whose jobs are played."""
    aws = request.getfixturevalue("contract_aws")
    with pytest.MonkeyPatch.context() as patch:
        for name in without_aws_settings():
            patch.delenv(name)
        for name, value in aws.environment.items():
            patch.setenv(name, value)
        aws.client("s3").create_bucket(Bucket="contract")
        yield AwsPlace(aws, "contract")


@pytest.fixture(scope="session")
def contract_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with aws_server(tmp_path_factory.mktemp("contract-aws"), {"BATCH_SLOTS": "4"}) as aws:
        yield aws


def ssh(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    """A server on loopback whose sessions have a home of their own; it happens to share this host's files."""
    with ExitStack() as stack:
        try:
            servers = stack.enter_context(ssh_servers(folder / "sshd"))
        except NoSshd as error:
            pytest.skip(f"ssh: {error}")
        root = folder / "root of 'it'"
        options = {"host": "node0", "config_file": str(servers.config), "root": str(root)}
        yield ConfiguredPlace(
            "ssh",
            {**options, "slots": 2, "grace_seconds": 0.3},
            folder,
            lambda: arrays_with("array.json", root),
            broken={"host": "127.0.0.1", "port": free_port(), "connect_timeout": 2.0},
        )
        await_runners(root)


def arrays_with(file: str, root: Path) -> set[str]:
    """The arrays below a root; a name that was fenced off has no such file."""
    return {path.parent.name for path in (root / "arrays").glob(f"*/{file}")}


def await_runners(root: Path) -> None:
    for directory in root.glob("arrays/[!.]*"):
        until(lambda: is_idle(directory))  # noqa: B023 - called at once


STARTS: dict[str, Start] = {
    "fake": fake,
    "local": local,
    "ssh": ssh,
    "docker": containers("docker"),
    "slurm": cluster("slurm", slurm_cluster),
    "batch": batch,
    "sge": cluster("sge", grid_engine),
    "lsf": cluster("lsf", lambda: played_scheduler("lsf")),
    "pbs": cluster("pbs", lambda: played_scheduler("pbs")),
}


@pytest.fixture(scope="session", params=list(STARTS))
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from STARTS[request.param](request, tmp_path_factory.mktemp(f"at-{request.param}"))


@pytest.fixture
def site(place: Place) -> Site:
    return place.site()


@dataclass
class Over:
    """An array that is over, with everything that was told of it on the way."""

    site: Site
    array: ArraySpec
    remote_id: str
    watched: Watched
    jobs: dict[int, JobReport] = field(default_factory=dict)

    @property
    def verdicts(self) -> dict[int, Verdict]:
        """How its jobs ended."""
        return verdicts(self.jobs)

    def told_by(self, site: Site) -> dict[int, Verdict]:
        """How its jobs ended by the word of another object of the site, once it has told of all."""
        return verdicts(Watched(self.watched.place, site, self.remote_id).end(len(self.array.jobs)))

    @property
    def stranger(self) -> str:
        """An id as the site gives them, of an array that never was."""
        if self.array.name in self.remote_id:
            return self.remote_id.replace(self.array.name, "never-was")
        return str(uuid.UUID(int=0))


@pytest.fixture(scope="session")
def over(place: Place) -> Over:
    """Jobs that end in every way: named output, exit 3, hostile output, both streams, none."""
    site = place.site()
    array = place.array([NAMES_ITSELF, FAILS, HOSTILE_OUTPUT, BOTH_STREAMS, QUIET])
    remote_id = site.submit(array)
    watched = Watched(place, site, remote_id)
    return Over(site, array, remote_id, watched, watched.end(len(array.jobs)))
