"""The flow of solvers against a real solver service, with real mode solves."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simcampaign.service.server import Server, running
from tests.simcampaign.service.solver_tasks import API, Gate
from tests.support import until

FLOW = "flows.run_solver_simulations"
ROOT = Path(__file__).parents[2]
RUNS = {f"strip_{key}_000{seed}" for key in ("w0.40", "w0.50") for seed in range(2)}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, gate: Gate) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("solver") / "home", gate.settings, "--solver") as server:
        yield server


@pytest.fixture
def strip(place: Any, service: Server, api: Any) -> Any:
    """A place with a sweep of four runs in two groups, of one array each."""
    place.environment["SIMCAMPAIGN_SOLVER_URL"] = str(service.http.base_url).rstrip("/")
    shutil.copy(ROOT / "templates/waveguide.json.j2", place.root / "templates")
    (place.root / "writing.py").write_text(
        "from simcampaign import solver\n\n\ndef write(text):\n"
        "    return solver.ModeSolver.model_validate({k: v for k, v in __import__('json').loads(text).items()"
        " if k not in ('type', 'version')})\n"
    )
    conditions = [
        {"key": f"w{width:.2f}", "group": group, "width": width, "height": 0.22, "cell": 0.2}
        for group, width in (("narrow", 0.4), ("wide", 0.5))
    ]
    config = {
        "context": {
            "working_location": "out",
            "manifest_location": "out",
            "template_location": "templates",
        },
        "series": {
            "name": "strip",
            "template_key": "waveguide.json.j2",
            "seeds": "0-1",
            "extensions": ["hdf5"],
            "groups": {"narrow": "", "wide": ""},
            "conditions": conditions,
        },
        "parameters": {"model": "STRIP", "retry_delay": 1},
    }
    (place.root / "strip.yaml").write_text(json.dumps(config))
    return place


def results(place: Any) -> set[str]:
    return {Path(name).stem for name in place.files() if name.endswith(".hdf5") and "/outputs/" in name}


def tasks(service: Server) -> list[dict[str, Any]]:
    return list(service.http.get(f"{API}/tasks").json()["tasks"])


@pytest.mark.timeout(600)
def test_what_would_exceed_the_budget_is_not_started(strip: Any, service: Server) -> None:
    # A mode solve of so few cells costs 0.0012 credits: there is room for one array of two runs.
    refused = strip.run("strip.yaml", "parameters.budget=0.003", flow=FLOW)
    assert refused.status == 1, refused.text
    assert "would exceed parameters.budget = 0.003; none of them was started" in refused.text
    assert results(strip) == {run for run in RUNS if "w0.40" in run}
    assert tasks(service) == []


@pytest.mark.timeout(600)
def test_what_is_started_survives_a_kill_of_the_flow_and_is_solved_once(
    strip: Any, service: Server, gate: Gate
) -> None:
    gate.close()
    arguments = ("strip.yaml", "context.writer=writing:write", "parameters.budget=1")
    killed = strip.start(*arguments, flow=FLOW)
    until(lambda: "running" in {each["status"] for each in tasks(service)}, 240)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    gate.open()
    done = strip.run(*arguments, flow=FLOW)
    assert done.status == 0, done.text
    assert "4 of 4 runs done" in done.out
    assert results(strip) == RUNS
    jobs = [job for job in service.http.get("/jobs").json() if job["application"] == "solver"]
    assert jobs == [], "tasks are deleted with their jobs once results and logs are here"
    logs = [name for name in strip.files() if "/logs/" in name]
    assert len(logs) == 4, "each run was solved once"
    assert "n_eff" in (strip.root / logs[0]).read_text()
    again = strip.run(*arguments, flow=FLOW)
    assert again.status == 0, again.text
    assert again.out.startswith("Nothing is left to do"), again.text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("series.extensions=[csv]", "a solver leaves one file per run"),
        ("parameters.seeds_per_job=2", "a simulation is one run"),
        ("context.writer=nowhere:write", "cannot be imported"),
        ("context.site=local", "solves no simulations"),
    ],
)
def test_what_a_solver_cannot_do_is_said_before_anything_is_created(strip: Any, given: str, said: str) -> None:
    done = strip.run("strip.yaml", given, flow=FLOW)
    assert done.status == 2, done.text
    assert said in done.text
    assert not any(name.startswith("out/") for name in strip.files())
