"""Campaigns on AWS Batch whose driver is killed at random instants, and rivals on one ledger.

No run twice, none forgotten, and the same manifest as if nothing had happened.
"""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simcampaign.engine.collect import is_settled
from tests.driving import Kills

SEEDS_OF_200_RUNS = range(20)


class BatchKills(Kills):
    """Campaigns of three arrays, each in a place of its own."""

    early = 3.0

    def __init__(self, played: Any, seed: int, new_ledger: Callable[[], str], most: int = 0) -> None:
        super().__init__(seed, most)
        self.played, self.new_ledger = played, new_ledger

    def campaign(self, seeds: range = SEEDS_OF_200_RUNS) -> tuple[Any, Any]:
        """A place of its own, and in it a campaign of ten conditions in three arrays."""
        number = uuid.uuid4().hex[:8]
        root = self.played.root / number
        root.mkdir()
        bucket = f"kills-{number}"
        self.played.aws.client("s3").create_bucket(Bucket=bucket)
        played = replace(self.played, bucket=bucket, root=root, ledger_url=self.new_ledger())
        conditions = [{"key": f"c{index}", "group": "xyz"[index % 3], "do": "nap:0.02"} for index in range(10)]
        return played, played.campaign(conditions, seeds, series={"groups": dict.fromkeys("xyz", "")})

    def is_in_submission(self, played: Any, campaign: Any) -> bool:
        return len(played.submitted()) < 3

    def check(self, played: Any, campaign: Any) -> None:
        played.check_once(campaign)
        assert len(played.submitted()) == 3, "one array a group, however often the driver was killed"
        assert is_settled(campaign)
        assert played.keys() >= {"toy.PLAN.json", "toy.SUMMARY.html"}
        assert len(played.keys("logs")) == len(played.wanted(campaign))
        campaign.ledger.database.engine.dispose()


def sqlite_in(folder: Path) -> Callable[[], str]:
    return lambda: f"sqlite:///{folder / uuid.uuid4().hex}.sqlite"


def test_drivers_killed_at_random_instants_submit_every_run_exactly_once(played: Any) -> None:
    kills = BatchKills(played, 7, sqlite_in(played.root), most=5)
    while kills.kills < kills.most:
        place, campaign = kills.campaign(range(5))
        kills.run(place, campaign, longest=4.0)
        kills.check(place, campaign)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_drivers_killed_at_fifty_random_instants_submit_every_run_exactly_once(played: Any) -> None:
    kills = BatchKills(played, 50, sqlite_in(played.root), most=50)
    while kills.kills < kills.most:
        place, campaign = kills.campaign()
        kills.run(place, campaign, longest=8.0)
        kills.check(place, campaign)
    assert kills.in_submission >= 5, "too few kills came before all arrays were submitted"


def rivals(played: Any, campaign: Any, dice: random.Random) -> None:
    """Two drivers of one campaign, the second a moment after the first."""
    drivers = [played.driver(campaign) for _ in range(2)]
    for driver in drivers:
        timer = threading.Timer(dice.uniform(0, 0.5), driver.stdin.write, ["go\n"])
        timer.start()
        timer.join()
    said = [driver.communicate()[0] for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0]
    assert "complete\n" in said


@pytest.mark.parametrize("ledger", ["sqlite", "postgres"])
def test_two_drivers_on_one_ledger_submit_every_run_exactly_once(
    played: Any, ledger: str, request: pytest.FixtureRequest
) -> None:
    new_ledger = request.getfixturevalue("new_postgres_ledger") if ledger == "postgres" else sqlite_in(played.root)
    kills = BatchKills(played, 3, new_ledger)
    place, campaign = kills.campaign(range(5))
    rivals(place, campaign, kills.dice)
    kills.check(place, campaign)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_drivers_killed_on_postgresql_submit_every_run_exactly_once(
    played: Any, new_postgres_ledger: Callable[[], str]
) -> None:
    kills = BatchKills(played, 11, new_postgres_ledger, most=10)
    while kills.kills < kills.most:
        place, campaign = kills.campaign()
        kills.run(place, campaign, longest=8.0)
        kills.check(place, campaign)
