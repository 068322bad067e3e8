"""Prefect's own server for one run."""

from __future__ import annotations

import os
import select
import subprocess
import sys

from simcampaign.sites.processes import look_up

VICTIM = """
import subprocess, sys, time
from flows.stage import ended_with_us

server = subprocess.Popen(["sleep", "300"])
with ended_with_us(server):
    print(server.pid, flush=True)
    time.sleep(300)
"""


def test_a_server_does_not_outlive_a_flow_that_was_killed() -> None:
    flow = subprocess.Popen([sys.executable, "-c", VICTIM], stdout=subprocess.PIPE, text=True)
    assert flow.stdout is not None
    server = int(flow.stdout.readline())
    pidfd = os.pidfd_open(server)
    flow.kill()
    flow.wait()
    select.select([pidfd], [], [], 30)
    os.close(pidfd)
    found = look_up(server)
    assert found is None or not found.alive
