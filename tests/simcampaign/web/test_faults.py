"""What the network, the service and the person do to a program that has simulations solved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simcampaign import web
from tests.integration.proxy import LOST_REPLY, UNAVAILABLE, Fault, Proxy
from tests.simcampaign.service.server import Server
from tests.simcampaign.web.things import waveguide
from tests.support import until

ROOT = Path(__file__).parents[3]
STEPS = ["tasks", "simulation", "start", "status", "result"]
"""Calls of the way of a simulation, in order."""


def program(folder: Path, name: str) -> list[str]:
    return [sys.executable, "-m", "tests.simcampaign.web.program", str(folder), name]


def kill_and_call_again(proxy: Proxy, folder: Path, step: str) -> None:
    """Kill a program once its call of a kind was done and the reply is lost; let it run again, to its end."""
    name = f"killed in {step}"
    proxy.break_all(step, LOST_REPLY)
    later = STEPS[STEPS.index(step) + 1 :]
    for each in later:  # the program may find out without the reply, but gets no further
        proxy.break_all(each, UNAVAILABLE)
    before = proxy.counts[step]
    killed = subprocess.Popen(program(folder, name), cwd=ROOT)
    until(lambda: proxy.counts[step] > before, 120)
    killed.kill()
    killed.wait(30)
    for each in (step, *later):
        proxy.break_all(each, None)
    assert (folder / "killed.batch").exists()
    subprocess.run(program(folder, name), cwd=ROOT, check=True, timeout=240)
    assert sorted(each.name for each in folder.iterdir()) == [
        f"killed_{name}.hdf5" for name in ("narrow", "same_0", "wide_0")
    ]
    tasks = web.get_tasks(folder=name)
    assert [(each["status"], each["attempt"]) for each in tasks] == [("completed", 1)] * 2


def test_a_program_that_was_killed_goes_on_with_the_same_tasks(proxy: Proxy, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    kill_and_call_again(proxy, tmp_path / "data", "start")


@pytest.mark.faults
@pytest.mark.parametrize("step", STEPS)
def test_a_program_may_be_killed_in_any_step(proxy: Proxy, tmp_path: Path, step: str) -> None:
    (tmp_path / "data").mkdir()
    kill_and_call_again(proxy, tmp_path / "data", step)


def test_storms_lost_replies_and_cut_downloads_cost_no_task_and_no_byte_twice(proxy: Proxy, tmp_path: Path) -> None:
    for step in STEPS:
        proxy.break_next(step, UNAVAILABLE, UNAVAILABLE, LOST_REPLY)
    proxy.break_next("result", Fault(most=3000))
    data = web.run([waveguide(0.5), waveguide(0.55)], "storm", tmp_path / "data", "storm", verbose=False)
    assert data[0] != data[1]
    assert [proxy.left(step) for step in STEPS] == [0] * 5
    assert [(each["status"], each["attempt"]) for each in web.get_tasks(folder="storm")] == [("completed", 1)] * 2


def test_a_download_goes_on_where_it_was_cut(proxy: Proxy, tmp_path: Path) -> None:
    task = web.upload(waveguide(0.52), "cut")
    web.start(task)
    web.monitor(task, verbose=False)
    proxy.break_next("result", Fault(most=3000))
    size = web.get_info(task)["result"]["size"]
    before = proxy.sent["result"]
    web.download(task, tmp_path / "data.hdf5")
    assert (tmp_path / "data.hdf5").stat().st_size == size
    assert size <= proxy.sent["result"] - before < size + 3000  # heads come on top; what had come did not come again


@pytest.mark.faults
def test_a_service_that_is_away_for_long_is_waited_for(proxy: Proxy, service: Server, tmp_path: Path) -> None:
    proxy.break_next("status", *[UNAVAILABLE] * 7)
    web.run(waveguide(0.53), "away", tmp_path / "away.hdf5", "away", verbose=False)
    assert proxy.left("status") == 0
