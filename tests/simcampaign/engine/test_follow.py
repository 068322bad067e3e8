"""Following: what running jobs print is shown as they print it, each line once."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from simcampaign.engine.collect import uncollected
from simcampaign.engine.follow import MOST, Follower
from simcampaign.engine.reconcile import look
from tests.support import until

CHATTY = """
import os, sys, time
print("begun", os.environ["SIMCAMPAIGN_SEEDS"], flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
print("half a li", end="", flush=True)
while not os.path.exists(sys.argv[1] + "2"):
    time.sleep(0.01)
print("ne")
"""


def test_each_line_is_shown_once_when_it_is_whole(toy: Any) -> None:
    campaign = toy.campaign("ok", [0, 1])
    gate = toy.root / "gate"
    command = (sys.executable, "-c", CHATTY, str(gate))
    campaign = replace(campaign, settings=replace(campaign.settings, command=command))
    toy.submit(campaign, *toy.plan_and_claim(campaign))
    arrays, lines = uncollected(campaign), []
    follower = Follower(campaign, lines.append)

    def followed(*ends: str) -> bool:
        follower.look(arrays)
        return sorted(line.partition(": ")[2] for line in lines) == sorted(ends)

    until(lambda: followed("begun 0", "begun 1"))
    gate.touch()
    until(lambda: all(b"half" in data for _, data in campaign.site.logs(arrays[0].remote_id, [0, 1])))
    assert followed("begun 0", "begun 1"), "a line that is not whole is not shown"
    (toy.root / "gate2").touch()
    until(lambda: followed("begun 0", "begun 1", "half a line", "half a line"))
    assert {line.partition(": ")[0] for line in lines} == {f"{arrays[0].name}_{index:04d}" for index in range(2)}
    until(lambda: look(campaign, arrays) or not campaign.site.running(arrays[0].remote_id, MOST))
