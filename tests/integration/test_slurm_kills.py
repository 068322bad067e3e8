"""Campaigns on Slurm whose driver is killed at random instants: no run twice, none forgotten."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simcampaign.engine.collect import is_settled
from simcampaign.jobs import JobState
from simcampaign.sites.cluster import SlurmSite
from simcampaign.sites.cluster.slurm import SlurmOptions
from tests.driving import Kills
from tests.integration.services.slurm import NoSlurm, SlurmCluster, slurm_cluster
from tests.simcampaign.engine.conftest import Toy


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    try:
        with slurm_cluster(nodes=3, cpus=6) as cluster:
            for name, value in cluster.environment.items():
                monkeypatch.setenv(name, value)
            yield cluster
    except NoSlurm as error:
        pytest.skip(f"Slurm cannot be run here: {error}")


@pytest.fixture
def toy(cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A place for campaigns whose jobs run on the cluster."""
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SIMCAMPAIGN_LEDGER_URL", raising=False)
    toy: Any = Toy(tmp_path)
    toy.site = SlurmSite("hpc", SlurmOptions(scratch=str(tmp_path / "scratch"), poll_seconds=2))
    return toy  # type: ignore[no-any-return]


class SlurmKills(Kills):
    """Campaigns of three arrays."""

    early = 6.0

    def __init__(self, toy: Any, seed: int) -> None:
        super().__init__(seed)
        self.toy = toy

    def campaign(self, number: int, seeds: range) -> Any:
        toy = self.toy
        toy.notes = toy.root / f"notes-{number}"
        toy.ledger_url = f"sqlite:///{toy.root / f'ledger-{number}.sqlite'}"
        toy.working = toy.root / f"out-{number}"
        conditions = [{"key": f"c{index}", "group": "xyz"[index % 3], "do": "nap:0.05"} for index in range(6)]
        return toy.campaign(conditions, seeds, series={"groups": dict.fromkeys("xyz", "")})

    def check(self, campaign: Any) -> None:
        toy = self.toy
        wanted = sorted(f"{key} {seed}" for key in campaign.conditions for seed in campaign.series.seeds)
        assert sorted(toy.noted()) == wanted, "a run was started twice, or never"
        assert sorted(toy.noted("end")) == wanted
        assert campaign.ledger.arrays(campaign.id, open_only=True) == []
        assert is_settled(campaign)
        manifest = (toy.working / "manifest.csv").read_text().splitlines()
        assert len(manifest) == 1 + 2 * len(wanted)
        assert failed(campaign) == 0
        campaign.ledger.database.engine.dispose()


def failed(campaign: Any) -> int:
    counts = campaign.ledger.job_counts(array.id for array in campaign.ledger.arrays(campaign.id))
    return sum(
        count
        for states in counts.values()
        for state, count in states.items()
        if state not in {JobState.FINISHED, JobState.QUEUED}
    )


def test_drivers_killed_at_random_instants_start_every_run_exactly_once(toy: Any) -> None:
    kills = SlurmKills(toy, seed=7)
    number = 0
    while kills.kills < 3:
        campaign = kills.campaign(number, range(5))
        kills.run(toy, campaign, longest=4.0)
        kills.check(campaign)
        number += 1


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_drivers_killed_at_fifty_random_instants_start_every_run_exactly_once(toy: Any) -> None:
    kills = SlurmKills(toy, seed=50)
    number = 0
    while kills.kills < 55 or kills.in_submission < 5:
        campaign = kills.campaign(number, range(10))
        kills.run(toy, campaign, longest=5.0)
        kills.check(campaign)
        number += 1


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_a_controller_that_is_down_for_a_minute_changes_no_state(toy: Any, cluster: SlurmCluster) -> None:
    """Drivers are killed meanwhile, too; new ones wait for the controller or go on by what the jobs left."""
    kills = SlurmKills(toy, seed=3)
    campaign = kills.campaign(0, range(20))
    driver = toy.driver(campaign)
    driver.stdin.write("go\n")
    while len(toy.noted()) < 5:
        time.sleep(0.05)
    cluster.stop_controller()
    stopped = time.monotonic()
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    while time.monotonic() - stopped < 60:
        driver = toy.driver(campaign)
        driver.stdin.write("go\n")
        timer = threading.Timer(kills.dice.uniform(5, 15), driver.send_signal, [signal.SIGKILL])
        timer.start()
        driver.communicate()
        timer.cancel()
        assert failed(campaign) == 0
    cluster.start_controller()
    kills.run(toy, campaign, longest=120.0)
    kills.check(campaign)
