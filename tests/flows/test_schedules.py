"""Campaigns on a schedule: a real server, a real worker, ticks until the series is complete, and kills meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.flows.prefect_parts import ROOT, deploy_all, lay_out, load_average, make_pool, worker
from tests.support import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
LONG = 400.0


def scheduled_every(seconds: int, folder: Path) -> Path:
    """The declared deployments with a schedule that a test can wait for, and two seeds."""
    text = (ROOT / "deployments/prefect.yaml").read_text(encoding="utf-8")
    cron = 'cron: "*/10 * * * *", timezone: UTC'
    assert cron in text
    text = text.replace(cron, f"interval: {seconds}").replace("seeds: 0-7", "seeds: 0-1")
    (folder / "prefect.yaml").write_text(text, encoding="utf-8")
    return folder / "prefect.yaml"


def test_a_scheduled_campaign_ticks_until_it_is_complete_and_pauses_its_schedule(
    place: Any, api: Any, tmp_path: Path
) -> None:
    lay_out(place)
    make_pool(api.url)
    deploy_all(place, scheduled_every(30, tmp_path))
    deployment = api.deployment("run-campaign/colony")
    requests, began = api.requests(), time.monotonic()
    with worker(place):
        until(lambda: not api.deployment("run-campaign/colony")["schedules"][0]["active"], LONG)
        wall = time.monotonic() - began
        asked = api.requests() - requests
        until(lambda: not api.flow_runs(deployment, "RUNNING", "PENDING"), LONG)
    ticks = api.flow_runs(deployment, "COMPLETED")
    print(f"8 runs on schedule: {wall:.0f} s, {len(ticks)} ticks, {asked} requests with the worker's; {load_average()}")  # noqa: T201
    assert [tick["state"]["name"] for tick in ticks].count("Completed") == 1
    assert ticks[0]["state"]["message"] == "8 of 8 runs done"
    assert ticks[0]["name"].startswith("colony: ")
    assert ticks[0]["name"].endswith("of 8 to do")
    assert all(tick["auto_scheduled"] for tick in ticks)
    assert api.flow_runs(deployment, "FAILED", "CRASHED") == []
    outputs = {path.name for path in place.root.glob("demo/colony/*/outputs/*.csv")}
    assert len(outputs) == 8
    told = {"campaign.submitted", "campaign.progressed", "campaign.complete"}
    until(lambda: campaign_events(api) == told, LONG)  # the server writes events down some seconds after they are sent
    kinds = {artifact["key"]: artifact for artifact in api.artifacts(ticks[0])}
    assert set(kinds) == {"runs-colony", "map-colony", "summary-colony"}
    assert kinds["runs-colony"]["description"].startswith("**0 of 8 to do** (**8** done)")
    assert kinds["map-colony"]["data"].startswith("data:image/png;base64,")


def campaign_events(api: Any) -> set[str]:
    found = api.post("events/filter", filter={"event": {"prefix": ["campaign."]}})["events"]
    return {event["event"] for event in found}


def start_tick(api: Any, deployment: dict[str, Any]) -> None:
    api.post(f"deployments/{deployment['id']}/create_flow_run", state={"type": "SCHEDULED"})


def test_ticks_that_are_killed_overlap_and_lose_their_server_run_nothing_twice_and_lose_nothing(
    place: Any, prefect_server: Any, api: Any
) -> None:
    place.configure(
        context={"kind": "local", "slots": 2},
        series={"name": "hurt", "seeds": "0-19", "conditions": [{"key": "p", "do": "ok", "x": 1}]},
    )
    make_pool(api.url)
    done = place.run("toy.yaml", "--deploy", "hurt", flow="flows.run_campaign")
    assert done.status == 0, done.text
    deployment = api.deployment("run-campaign/hurt")
    with worker(place, "first") as first:
        start_tick(api, deployment)
        until(lambda: api.flow_runs(deployment, "RUNNING"), LONG)
        os.killpg(first.pid, signal.SIGKILL)  # the worker and the tick that it runs, wherever that is
        first.wait()
    prefect_server.kill()
    prefect_server.start()
    # A slot stays taken by what was killed, until it is known to be dead; a person says so.
    for flow_run in api.flow_runs(deployment, "RUNNING", "PENDING"):
        state = {"type": "CRASHED", "message": "its worker was killed"}
        api.post(f"flow_runs/{flow_run['id']}/set_state", state=state, force=True)
    with worker(place, "second"):
        start_tick(api, deployment)
        start_tick(api, deployment)
        # Two more here at the same time, which no limit of a deployment holds back.
        both = [place.start("toy.yaml", flow="flows.run_campaign") for _ in range(2)]
        for process in both:
            process.communicate(timeout=LONG)

        def settled() -> bool:
            return not api.flow_runs(deployment, "RUNNING", "PENDING", "SCHEDULED")

        until(settled, LONG)
        last = place.run("toy.yaml", "--until-complete", flow="flows.run_campaign")
    assert last.status == 0, last.text
    assert sorted(place.noted()) == sorted(f"p {seed}" for seed in range(20)), "each run started once"
    assert sorted(place.noted("end")) == sorted(place.noted())
    states = {flow_run["state"]["type"] for flow_run in api.flow_runs(deployment)}
    assert states <= {"CRASHED", "COMPLETED", "CANCELLED"}


def test_a_tick_that_is_left_out_because_another_is_at_work_cancels_no_jobs(place: Any, api: Any) -> None:
    place.configure(
        context={"kind": "local"},
        series={"name": "kept", "seeds": "0", "conditions": [{"key": "p", "do": "hold", "x": 1}]},
    )
    make_pool(api.url)
    assert place.run("toy.yaml", "--deploy", "kept", flow="flows.run_campaign").status == 0
    assert place.run("toy.yaml", flow="flows.run_campaign").status == 1
    until(lambda: place.noted() == ["p 0"])
    deployment = api.deployment("run-campaign/kept")
    with worker(place, "third"):
        for _ in range(3):
            start_tick(api, deployment)
        until(lambda: len(api.flow_runs(deployment, "COMPLETED", "CANCELLED")) == 3, LONG)
    assert api.flow_runs(deployment, "COMPLETED")
    place.let_go()
    done = place.run("toy.yaml", "--until-complete", flow="flows.run_campaign")
    assert done.status == 0, done.text
    assert place.noted() == ["p 0"]
    assert place.noted("end") == ["p 0"]


def test_a_campaign_of_a_hundred_thousand_runs_costs_prefect_few_task_runs_and_requests(
    place: Any, prefect_server: Any, api: Any, tmp_path: Path
) -> None:
    sizes = ["1000", "100", "10000"]
    command = [sys.executable, "-m", "tests.flows.big_campaign", str(tmp_path / "big"), *sizes, str(api.dots)]
    (tmp_path / "big").mkdir()
    done = subprocess.run(command, cwd=ROOT, env=place.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ticks = [json.loads(line) for line in done.stdout.splitlines()]
    for each in ticks:
        # Task runs reach the server as events, some time after the flow run has ended.
        until(lambda: api.task_runs({"id": each["flow_run_id"]}))  # noqa: B023 - called at once
        each["task_runs"] = len(api.task_runs({"id": each["flow_run_id"]}))
        took, without = each["wall"], each["without"]["wall"]
        print(  # noqa: T201
            f"{each['tick']}: {each['task_runs']} task runs, {each['requests']} requests; {took:.1f} s "
            f"({each['cpu']:.1f} s of CPU), {took - without:.1f} s more than without Prefect; {load_average()}"
        )
    assert [each["counts"] for each in ticks[:2]] == [{"in flight": 100_000}] * 2
    assert max(each["task_runs"] for each in ticks) <= 50
    assert max(each["requests"] for each in ticks) <= 200
    table = next(artifact for artifact in api.artifacts({"id": ticks[0]["flow_run_id"]}) if artifact["type"] == "table")
    assert len(json.loads(table["data"])) <= 500, "the list stays usable"
