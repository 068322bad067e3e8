"""Processes that submit to containers and to Slurm are killed at random instants: no job runs twice, none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.containers import engine_of
from tests.integration.services.busybox import BUSYBOX
from tests.integration.services.slurm import NoSlurm, slurm_cluster
from tests.simcampaign.api.killing import Nursery, Submitters

KILLS = 50


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SIMCAMPAIGN_SITES", raising=False)
    monkeypatch.delenv("SIMCAMPAIGN_LEDGER_URL", raising=False)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def containers(home: Path) -> Iterator[Submitters]:
    with engine_of("docker") as engine:
        fields = f'base_url = "{engine.address}"\nimage = "{BUSYBOX}"\nremove = true\n'
        (home / "sites.toml").write_text(f"[docker]\n{fields}")
        Path("sites.toml").write_text("an input")
        nursery = Nursery()
        yield Submitters(nursery, "docker", inside=True)
        nursery.close()


@pytest.fixture
def cluster(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Submitters]:
    try:
        with slurm_cluster() as slurm:
            for name, value in slurm.environment.items():
                monkeypatch.setenv(name, value)
            (home / "sites.toml").write_text(f'[slurm]\npoll_seconds = 1\nscratch = "{home}/scratch"\n')
            Path("sites.toml").write_text("an input")
            nursery = Nursery()
            yield Submitters(nursery, "slurm")
            nursery.close()
    except NoSlurm as error:
        pytest.skip(f"Slurm cannot be run here: {error}")


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_submitters_to_containers_killed_at_random_instants_start_every_job_exactly_once(
    containers: Submitters,
) -> None:
    containers.kill(seed=1, kills=KILLS)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_submitters_to_slurm_killed_at_random_instants_start_every_job_exactly_once(cluster: Submitters) -> None:
    cluster.kill(seed=2, kills=KILLS)
