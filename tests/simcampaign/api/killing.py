"""Processes that submit arrays through the API, and are killed while they do."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from simcampaign import api
from simcampaign.errors import ConfigError
from simcampaign.sites.registry import open_site

NURSERY = Path(__file__).with_name("nursery.py")


class Nursery:
    """Starts processes that use the API, and kills them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(NURSERY)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._read() == "ready"

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, code: str, kill_after: float | None = None) -> tuple[int, float]:
        """Run code in a new process; returns its exit code, and seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"code": code, "kill_after": kill_after}) + "\n")
        answer: dict[str, Any] = json.loads(self._read())
        return answer["code"], answer["seconds"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


SUBMIT = 'run_many_async(simulations, "{site}", job_name="{name}", environment={{"A": "b"}})'


class Submitters:
    """Processes that submit arrays of three jobs to a site; each job notes that it ran."""

    def __init__(self, nursery: Nursery, site: str, inside: bool = False) -> None:
        """``inside`` if jobs see nothing of this host but the folder of their array."""
        self.nursery, self.site, self.inside = nursery, site, inside

    def code(self, name: str, call: str = SUBMIT) -> str:
        """Return what submits an array of this name."""
        notes = "../notes" if self.inside else Path(f"notes-{name}").absolute()
        act = f'echo "$(cat n)" >> {notes}; cat m > out'
        return f"""
simulations = [
    api.Simulation(["sh", "-c", {act!r}], {{"n": str(index).encode(), "m": b"made in memory", "own.sh": "sites.toml"}})
    for index in range(3)
]
api.{call.format(name=name, site=self.site)}
"""

    def ran(self, name: str) -> list[str]:
        """Return which jobs ran, each as often as it did."""
        files = [Path(f"notes-{name}")]
        if self.inside:
            files = list(Path(open_site(self.site).site.scratch).glob(f"{name}_*/notes"))
        return sorted(word for file in files if file.exists() for word in file.read_text().split())

    def submit(self, name: str, dice: random.Random, longest: float) -> int:
        """Submit, killed once; then have it found by another process, or submitted by the same call again."""
        ended, _ = self.nursery.run(self.code(name), kill_after=dice.uniform(0, longest))
        try:
            array = api.get_job_array(name, self.site)
        except ConfigError:  # nothing was written down yet
            array = None
        if array is None or dice.random() < 0.5:
            assert self.nursery.run(self.code(name))[0] == 0
            array = api.get_job_array(name, self.site)
        assert array.wait(timeout_in_seconds=120) == "finished", array.exception()
        assert self.ran(name) == ["0", "1", "2"]
        assert array.logs() == ["", "", ""]
        array.delete()
        return int(ended == -9)

    def kill(self, seed: int, kills: int) -> None:
        """Kill so many of them at random instants, and check that every job runs exactly once."""
        dice = random.Random(seed)
        _, usual = self.nursery.run(self.code("usual"))
        api.get_job_array("usual").wait()
        assert self.ran("usual") == ["0", "1", "2"]
        done = number = 0
        while done < kills:
            number += 1
            done += self.submit(f"k{number}", dice, usual * 1.1)
