"""Three ticks of a campaign of any size at a simulated AWS Batch, each a flow run of a real Prefect server.

    python -m tests.flows.big_campaign DIRECTORY CONDITIONS SEEDS MAX_ARRAY_SIZE REQUESTS

It prints, for each tick, what it took as JSON; the size of the file REQUESTS is how many requests the server answered.
The same ticks without Prefect tell what Prefect costs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from prefect import State, flow

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.tick import tick
from tasks.body import final_state
from tasks.outcome import Outcome
from tasks.ticks import run_ticks
from tests.simcampaign.sites.batch.scale import campaign_at
from tests.simcampaign.sites.batch.simulated import SimulatedBatch


def opener(directory: Path, client: SimulatedBatch, shape: tuple[int, int, int]) -> Callable[[], Campaign]:
    """Open the campaign anew for every tick, as the flow does; nothing is left of its files, so no logs are saved."""
    directory.mkdir()

    def open_campaign() -> Campaign:
        campaign = campaign_at(directory, client, *shape)
        return replace(campaign, settings=replace(campaign.settings, save_logs=False, clean_jobs=False))

    return open_campaign


def main(directory: Path, shape: tuple[int, int, int], dots: Path) -> None:
    watched, plain = SimulatedBatch(), SimulatedBatch()
    open_watched, open_plain = opener(directory / "watched", watched, shape), opener(directory / "plain", plain, shape)

    @flow(name="big-campaign", flow_run_name="big")
    def run_flow() -> State[Outcome]:
        return final_state(run_ticks(open_watched))

    for name in ("submit", "look", "collect"):
        for client in (watched, plain):
            for job in client.submitted:
                if name == "look":
                    client.start(job, 10)
                else:
                    client.end(job)
        requests, wall, cpu = _requests(dots), time.perf_counter(), time.process_time()
        state = run_flow(return_state=True)
        taken = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        outcome = state.result()
        taken["requests"] = _requests(dots) - requests
        wall, cpu = time.perf_counter(), time.process_time()
        tick(open_plain())
        without = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        flow_run_id = str(state.state_details.flow_run_id)
        told = {"tick": name, "flow_run_id": flow_run_id, "counts": outcome.counts, **taken, "without": without}
        sys.stdout.write(f"{json.dumps(told)}\n")
        sys.stdout.flush()


def _requests(dots: Path) -> int:
    return dots.stat().st_size


if __name__ == "__main__":
    conditions, seeds, size = map(int, sys.argv[2:5])
    main(Path(sys.argv[1]), (conditions, seeds, size), Path(sys.argv[5]))
