"""The sites that the contract is tried at, each started once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from simcampaign.jobs import ArraySpec, JobReport
from simcampaign.sites.base import Site
from tests.contract.acts import BOTH_STREAMS, FAILS, HOSTILE_OUTPUT, NAMES_ITSELF, QUIET
from tests.contract.places import ConfiguredPlace, FakePlace, Place, Watched
from tests.support import is_idle, until

Start = Callable[[pytest.FixtureRequest, Path], Iterator[Place]]


def fake(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    yield FakePlace()


def local(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    root = folder / 'ro\'ot of "it"'
    options = {"root": str(root), "slots": 2, "grace_seconds": 0.3}
    yield ConfiguredPlace("local", options, folder, lambda: arrays_below(root))
    for directory in root.glob("arrays/[!.]*"):
        until(lambda: is_idle(directory))  # noqa: B023 - called at once


def arrays_below(root: Path) -> set[str]:
    return {path.name for path in (root / "arrays").glob("*") if not path.name.startswith(".")}


STARTS: dict[str, Start] = {"fake": fake, "local": local}


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


@pytest.fixture(scope="session")
def over(place: Place) -> Over:
    """Jobs that end in every way: named output, exit 3, hostile output, both streams, none."""
    site = place.site()
    array = place.array([NAMES_ITSELF, FAILS, HOSTILE_OUTPUT, BOTH_STREAMS, QUIET])
    remote_id = site.submit(array)
    watched = Watched(place, site, remote_id)
    return Over(site, array, remote_id, watched, watched.end(len(array.jobs)))
