"""The solver that ``web`` starts on this machine when none is configured."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simcampaign.service.server import end_runners
from tests.support import until

ROOT = Path(__file__).parents[3]
FIRST = """
from simcampaign import web
from tests.simcampaign.web.things import warm
task = web.upload(warm(10.0), "embedded")
web.start(task)
web.monitor(task, verbose=False)
"""
LISTS = """
from simcampaign import web
print(*(task["status"] for task in web.get_tasks()))
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    end_runners(tmp_path / "home")


def program(text: str, home: Path, minutes: float) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIMCAMPAIGN_")}
    more = {"SIMCAMPAIGN_HOME": str(home), "SIMCAMPAIGN_SOLVER_IDLE_MINUTES": f"{minutes:g}"}
    return subprocess.Popen(
        [sys.executable, "-c", text],
        cwd=ROOT,
        env=environment | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_is_started_once_ends_when_idle_and_comes_back_with_its_tasks(home: Path) -> None:
    seconds = 6.0
    both = [program(FIRST, home, seconds / 60) for _ in range(2)]
    said = [each.communicate(timeout=240)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert sum("a solver was started here" in each for each in said) == 1
    claim = (home / "web" / "ledger.sqlite.service").read_text().split()
    process = Path("/proc") / claim[1]
    until(lambda: not process.exists() or "Z (" in (process / "stat").read_text(), 120)
    assert "nobody needed this service" in (home / "web" / "service.log").read_text()
    third = program(LISTS, home, seconds / 60)
    out, error = third.communicate(timeout=240)
    assert out.split() == ["completed", "completed"]
    assert "a solver was started here" in error
    claim = (home / "web" / "ledger.sqlite.service").read_text().split()
    until(lambda: not (Path("/proc") / claim[1]).exists(), 120)
