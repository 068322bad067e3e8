"""Campaigns run by processes of their own, which tests kill at random instants."""

from __future__ import annotations

import math
import pickle
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

DRIVER = Path(__file__).with_name("simcampaign") / "engine" / "drive.py"


def start_driver(campaign: Any, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a process that runs the campaign as soon as it is sent a line; it has imported everything."""
    file = folder / "campaign.pickle"
    file.write_bytes(pickle.dumps(replace(campaign)))
    command = [sys.executable, str(DRIVER), str(file), *words]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


class Kills:
    """Campaigns whose driver is killed again and again; what a campaign is, and what it leaves, is a subclass's."""

    early = 8.0
    """Half of the kills come in the first part of the longest time, where things are submitted."""

    def __init__(self, seed: int, most: float = math.inf) -> None:
        """When there were ``most`` kills, drivers are left alone."""
        self.dice, self.most = random.Random(seed), most
        self.drivers = 0
        self.in_submission = 0

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return self.drivers

    def run(self, place: Any, campaign: Any, longest: float, also: Callable[[], None] = lambda: None) -> None:
        """Run the campaign to its end, by one driver after another; ``also`` is done after each kill."""
        while True:
            driver = place.driver(campaign)
            limit = longest if self.dice.random() < 0.5 else longest / self.early
            timer = threading.Timer(self.dice.uniform(0, limit), self.strike, [driver])
            if self.kills < self.most:
                timer.start()
            said = driver.communicate("go\n")[0]
            timer.cancel()
            while timer.is_alive():
                timer.join()
            if driver.returncode == 0:
                assert said == "complete\n", self.story()
                return
            assert driver.returncode == -signal.SIGKILL
            self.drivers += 1
            self.in_submission += self.is_in_submission(place, campaign)
            also()

    def strike(self, driver: subprocess.Popen[str]) -> None:
        """Kill what is to be killed."""
        driver.kill()

    def is_in_submission(self, place: Any, campaign: Any) -> bool:
        """Say whether the kill came before everything was submitted; as a rule no run has started then."""
        return not place.noted()

    def story(self) -> str:
        """What else is known of a campaign that did not end well."""
        return ""
