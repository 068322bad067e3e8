"""Processes that use the API are killed at any instant: no job runs twice, none is lost."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from simcampaign import api
from simcampaign.engine.owner import identity
from simcampaign.ledger import ArrayState, Ledger, Requests
from simcampaign.ledger.schema import arrays
from tests.simcampaign.api.conftest import sh
from tests.simcampaign.api.killing import Nursery, Submitters


@pytest.fixture
def submitters() -> Iterator[Submitters]:
    nursery = Nursery()
    yield Submitters(nursery, "local")
    nursery.close()


RUN = 'run_many(simulations, "local", "results-{name}", job_name="{name}", environment={{"A": "b"}}, verbose=False)'


@pytest.mark.timeout(600)
def test_submitters_killed_at_random_instants_start_every_job_exactly_once(submitters: Submitters) -> None:
    submitters.kill(seed=3, kills=15)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_submitters_killed_at_many_random_instants_start_every_job_exactly_once(submitters: Submitters) -> None:
    submitters.kill(seed=50, kills=150)


@pytest.mark.timeout(600)
def test_a_run_that_is_killed_again_and_again_goes_on_where_it_was(submitters: Submitters) -> None:
    """The same call takes the job up again; a run that was killed after its very end is told of its folder."""
    dice = random.Random(8)
    kills = number = 0
    while kills < 10:
        number += 1
        name = f"r{number}"
        call = submitters.code(name, RUN)
        while (ended := submitters.nursery.run(call, kill_after=dice.uniform(0, 0.4))[0]) == -9:
            kills += 1
        assert ended == 0 or api.get_job_array(name).is_archived
        assert submitters.ran(name) == ["0", "1", "2"]
        for index in range(3):
            assert Path(f"results-{name}/job_{index:04d}/out").read_text() == "made in memory"


def gone(requests: Requests, name: str) -> None:
    """Make the submitter of a request a process of this host that is no more."""
    with requests.ledger.database.write() as connection:
        connection.execute(
            sa.update(arrays).where(arrays.c.group == name).values(owner=f"{os.uname().nodename}:1:0.00")
        )


def claimed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submit a job in a process that dies just before the site has it."""

    class Dead(BaseException):
        pass

    def die(*_: object) -> None:
        raise Dead

    simulation = api.Simulation(sh(f"echo ran >> {Path('ran').absolute()}; cat x"), files={"x": "x.txt", "y": b"y"})
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "renew", die)
        with pytest.raises(Dead):
            api.run_async(simulation, "local", job_name=name)
    gone(Requests(Ledger()), name)


def test_a_job_whose_submitter_died_before_the_site_had_it_is_submitted_by_whoever_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("x.txt").write_text("what it was\n")
    claimed("orphan", monkeypatch)
    job = api.get_job("orphan", "local")
    assert job.status == "queued"
    assert job.result().logs() == "what it was\n"
    assert Path("ran").read_text() == "ran\n"


def test_files_that_changed_since_are_taken_from_the_site_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x.txt").write_text("what it was\n")
    claimed("orphan", monkeypatch)
    Path("x.txt").write_text("another text\n")
    assert api.get_job("orphan", "local").result().logs() == "what it was\n"


def test_a_job_that_cannot_be_submitted_any_more_is_lost_and_says_why(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    Path("x.txt").write_text("what it was\n")
    claimed("orphan", monkeypatch)
    Path("x.txt").unlink()
    for file in (home / "local" / "scratch").rglob("x"):
        file.unlink()
    job = api.get_job("orphan", "local")
    assert job.update_status() == "lost"
    assert "x: what it was when the job was submitted is nowhere any more" in str(job.exception())
    assert not Path("ran").exists()


def test_a_job_that_is_cancelled_before_the_site_had_it_never_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x.txt").write_text("what it was\n")
    claimed("orphan", monkeypatch)
    job = api.get_job("orphan", "local")
    job.cancel()
    assert job.wait() == "cancelled"
    assert not Path("ran").exists()
    job.delete()


def test_an_intent_of_a_process_that_lives_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x.txt").write_text("what it was\n")
    claimed("alive", monkeypatch)
    requests = Requests(Ledger())
    row = requests.find("alive")[0]
    with subprocess.Popen(["sleep", "60"]) as other:
        owner = f"{identity().rsplit(':', 2)[0]}:{other.pid}:{psutil.Process(other.pid).create_time():.2f}"
        array = requests.parts([row.id])[0].array
        assert requests.ledger.take_over(array, owner)
        assert api.get_job("alive").update_status() == "queued"
        assert requests.parts([row.id])[0].array.state is ArrayState.INTENT
        other.kill()
    assert api.get_job("alive").result().logs() == "what it was\n"
