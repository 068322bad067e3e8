"""Campaigns in containers whose driver and runners are killed at random instants: no run twice, none forgotten."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from simcampaign.engine.campaign import Campaign, Settings
from simcampaign.engine.collect import is_settled
from simcampaign.jobs import Resources
from simcampaign.layout import Layout
from simcampaign.series import Series
from simcampaign.storage import Location
from tests.driving import Kills, start_driver
from tests.integration.containers import Bench, bench_at, engine_of
from tests.integration.services.busybox import BUSYBOX

TEMPLATE = """\
{% for c in conditions %}
{{ name }} {{ c.key }} {{ c.start_seed }} {{ c.end_seed }}
{% endfor %}
"""
MODEL = """
while read -r name key seed last; do
  [ -n "$name" ] || continue
  while [ "$seed" -le "$last" ]; do
    echo "start $key $seed" >> /mnt/notes
    run=$(printf '%s_%s_%04d' "$name" "$key" "$seed")
    for extension in a b; do echo "$seed" > "$1$run.part" && mv "$1$run.part" "$1$run.$extension"; done
    seed=$((seed + 1))
  done
done < "$0"
"""


class ContainerKills(Kills):
    """Campaigns of tiny jobs in three arrays, until there were kills enough."""

    early = 4.0

    def __init__(self, bench: Bench, seed: int, most: int) -> None:
        super().__init__(seed, most)
        self.bench, self.runners = bench, 0
        self.templates = bench.root / "templates"
        self.templates.mkdir()
        (self.templates / "toy.txt").write_text(TEMPLATE)

    @property
    def kills(self) -> int:
        return self.drivers + self.runners

    def campaign(self, seeds: int) -> Campaign:
        place = self.bench.root / f"place-{uuid.uuid4().hex[:8]}"
        place.mkdir()
        name = f"toy{uuid.uuid4().hex[:6]}"
        conditions = [{"key": f"c{index}", "group": "xyz"[index % 3]} for index in range(6)]
        return Campaign(
            series=Series(
                name,
                conditions,
                list(range(seeds)),
                ["a", "b"],
                template_key="toy.txt",
                groups=dict.fromkeys("xyz", ""),
            ),
            layout=Layout.today(name),
            working=Location.open(str(place)),
            manifest=Location.open(str(place)),
            ledger_url=f"sqlite:///{place}.sqlite",
            settings=Settings(
                model="toy",
                command=("sh", "-c", MODEL, "{input}", "{output}"),
                image=BUSYBOX,
                resources=Resources(0.5),
                retries=200,
                retry_delay=0.5,
                clean_jobs=False,
            ),
            templates=Location.open(str(self.templates)),
            site=self.bench.site(slots=4),
        )

    def driver(self, campaign: Campaign) -> subprocess.Popen[str]:
        return start_driver(campaign, self.bench.root)

    def strike(self, driver: subprocess.Popen[str]) -> None:
        """Kill the driver, its runners, or both."""
        whom = self.dice.choice(["driver", "runners", "both"])
        if whom != "runners":
            driver.kill()
        if whom != "driver":
            for process in self.runners_at_work():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
                    self.runners += 1

    def runners_at_work(self) -> Iterator[psutil.Process]:
        for lock in (self.bench.root / "site" / "arrays").glob("*/runner.lock"):
            words = lock.read_text().split()
            with suppress(psutil.NoSuchProcess, ValueError, IndexError):
                process = psutil.Process(int(words[0]))
                if str(lock.parent) in process.cmdline():
                    yield process

    def is_in_submission(self, place: Any, campaign: Campaign) -> bool:
        return not self.notes(campaign)

    def story(self) -> str:
        return "\n".join(path.read_text() for path in (self.bench.root / "site" / "arrays").glob("*/journal"))

    def notes(self, campaign: Campaign) -> list[str]:
        path = campaign.working.path(campaign.layout.root) / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def check(self, campaign: Campaign) -> None:
        wanted = sorted(f"start {key} {seed}" for key in campaign.conditions for seed in campaign.series.seeds)
        noted = sorted(self.notes(campaign))
        assert sorted(set(noted)) == wanted, "a run was forgotten"
        assert noted == wanted, "a run was started twice"
        arrays = campaign.ledger.arrays(campaign.id)
        assert {array.state for array in arrays} <= {"over", "abandoned"}
        for array in arrays:
            self.bench.names.append(array.name)
            self.bench.containers(array.name)  # no job has two
        assert is_settled(campaign)
        campaign.ledger.database.engine.dispose()


@pytest.fixture
def bench(kind: str) -> Iterator[Bench]:
    with engine_of(kind) as engine, bench_at(engine) as bench:
        yield bench


def campaigns(kills: ContainerKills, seeds: int, longest: float) -> None:
    while kills.kills < kills.most:
        campaign = kills.campaign(seeds)
        kills.run(kills, campaign, longest)
        kills.check(campaign)


@pytest.mark.parametrize("kind", ["docker"])
def test_drivers_and_runners_killed_at_random_instants_start_every_run_exactly_once(bench: Bench) -> None:
    campaigns(ContainerKills(bench, 4, most=8), seeds=2, longest=5.0)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("kind", "most"), [("docker", 55), ("podman", 20)])
def test_drivers_and_runners_killed_many_times_start_every_run_exactly_once(bench: Bench, most: int) -> None:
    kills = ContainerKills(bench, 50, most)
    campaigns(kills, seeds=2, longest=6.0)
    assert min(kills.drivers, kills.runners) >= most // 5
