"""The solver's service as its clients see it: over HTTP and Socket.IO, with real simulations."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.simcampaign.service.server import Server, running
from tests.simcampaign.service.sockets import listening
from tests.simcampaign.service.solver_tasks import (
    API,
    Gate,
    create,
    ended,
    get,
    heat,
    heated,
    jobs_of,
    send,
    start,
    upload,
    waveguide,
)
from tests.support import until


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, gate: Gate) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("solver") / "home", gate.settings, "--solver") as service:
        yield service


@pytest.fixture(autouse=True)
def _open_gate(gate: Gate) -> Iterator[None]:
    yield
    gate.open()
    gate.fail(on=False)


def test_of_tasks_started_together_all_start_or_none(server: Server, tmp_path: Path) -> None:
    fine = upload(server.http, waveguide(0.41), tmp_path)
    parent = upload(server.http, heat(301), tmp_path)
    child = upload(server.http, heated(0.42, parent), tmp_path)
    answer = start(server.http, [fine, child], budget=1e9)
    assert answer.status_code == 409
    assert f"{child} needs the result of task {parent}, which is ready; none was started" in answer.json()["error"]
    assert [get(server.http, each)["status"] for each in (fine, parent, child)] == ["ready"] * 3
    assert start(server.http, [child, parent, fine], budget=1e9).status_code == 200
    assert [ended(server.http, each)["status"] for each in (child, parent, fine)] == ["completed"] * 3


def test_a_budget_that_all_together_exceed_starts_none(server: Server, tmp_path: Path) -> None:
    tasks = [upload(server.http, waveguide(width), tmp_path) for width in (0.43, 0.44)]
    one = get(server.http, tasks[0])["estimated"]
    assert start(server.http, tasks, budget=1.5 * one).status_code == 409
    assert [get(server.http, each)["status"] for each in tasks] == ["ready", "ready"]


def test_a_parent_that_fails_makes_its_children_fail_with_a_cause_that_says_so(
    server: Server, gate: Gate, tmp_path: Path
) -> None:
    gate.close()
    gate.fail(on=True)
    parent = upload(server.http, heat(302), tmp_path)
    child = upload(server.http, heated(0.45, parent), tmp_path)
    start(server.http, [parent, child])
    grandchild = upload(server.http, waveguide(0.46, temperature={"task_id": child, "name": "E"}), tmp_path)
    start(server.http, [grandchild])
    gate.open()
    for task, needed in ((child, parent), (grandchild, child)):
        failed = ended(server.http, task)
        assert (failed["status"], failed["cause"]) == ("failed", "staging")
        assert failed["message"].startswith(f"task {needed}, whose result it needs, is failed")


def test_a_failed_task_is_tried_again_only_as_a_new_attempt(server: Server, gate: Gate, tmp_path: Path) -> None:
    gate.fail(on=True)
    task = upload(server.http, waveguide(0.47), tmp_path)
    start(server.http, [task])
    failed = ended(server.http, task)
    assert (failed["status"], failed["cause"]) == ("failed", "application")
    gate.fail(on=False)
    assert start(server.http, [task]).json()["tasks"][0]["status"] == "failed"
    start(server.http, {task: 2})
    start(server.http, {task: 2})
    assert ended(server.http, task)["status"] == "completed"
    assert sorted(job["id"] for job in jobs_of(server, task)) == [task, f"{task}-a2"]
    server.http.post(f"{API}/delete", json={"tasks": [task]})
    assert jobs_of(server, task) == []


def test_a_parent_whose_children_wait_cannot_be_deleted(server: Server, gate: Gate, tmp_path: Path) -> None:
    parent = upload(server.http, heat(303), tmp_path)
    start(server.http, [parent])
    assert ended(server.http, parent)["status"] == "completed"
    gate.close()
    child = upload(server.http, heated(0.48, parent), tmp_path)
    start(server.http, [child])
    refused = server.http.post(f"{API}/delete", json={"tasks": [parent]})
    assert refused.status_code == 409
    assert f"task {child} is" in refused.json()["error"]
    server.http.post(f"{API}/abort", json={"tasks": [child]})
    assert ended(server.http, child)["status"] == "cancelled"
    assert server.http.post(f"{API}/delete", json={"tasks": [parent, child]}).json() == {"deleted": [parent, child]}


def test_one_request_tells_how_far_running_tasks_are_and_so_does_a_push(
    server: Server, gate: Gate, tmp_path: Path
) -> None:
    gate.close()
    task = upload(server.http, waveguide(0.49), tmp_path)
    with listening(server) as ear:
        start(server.http, [task])
        ear.until("job_started", task)
        ear.ask("subscribe", {"progress": task})
        assert ear.until("job_progress", task) == {"job_id": task, "percent": 42.0, "message": "0.25"}

    def told() -> tuple[float | None, float | None]:
        (info,) = server.http.post(f"{API}/status", json={"tasks": {task: ""}}).json()["tasks"]
        return info["percent"], info["field_decay"]

    assert until(lambda: told() if told()[0] else None) == (42.0, 0.25)
    gate.open()
    assert ended(server.http, task)["percent"] == 100


def test_who_asks_after_no_task_is_not_kept_waiting(server: Server) -> None:
    answer = server.http.post(f"{API}/status", json={"tasks": {}, "wait": 30}, timeout=20)
    assert answer.json() == {"tasks": [], "missing": []}


def test_a_file_that_takes_long_to_read_keeps_no_other_one_waiting(server: Server, tmp_path: Path) -> None:
    upload(server.http, waveguide(0.5), tmp_path)
    assert server.process is not None
    children = psutil.Process(server.process.pid).children()
    reader = next(each for each in children if "simcampaign.service.solver.examiner" in each.cmdline())
    waveguide(0.51).to_file(tmp_path / "slow.hdf5")
    slow = (tmp_path / "slow.hdf5").read_bytes()
    task = create(server.http, slow, "slow")["id"]
    reader.suspend()
    try:
        client = httpx.Client(base_url=server.http.base_url, timeout=60)
        waiting = threading.Thread(target=send, args=(client, task, slow))
        waiting.start()
        until(lambda: get(server.http, task)["arrived"] == len(slow))
        for number in range(5):
            upload(server.http, waveguide(0.52 + number / 100), tmp_path)
        assert get(server.http, task)["status"] == "draft"
    finally:
        reader.resume()
    waiting.join(60)
    assert get(server.http, task)["status"] == "ready"


def test_a_service_that_is_killed_while_it_starts_tasks_neither_loses_nor_doubles_one(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    gate.close()
    server = Server(tmp_path / "home", gate.settings, "--solver")
    server.start()
    try:
        parent = upload(server.http, heat(304), tmp_path)
        tasks = [parent, *(upload(server.http, heated(0.4 + number / 100, parent), tmp_path) for number in range(2))]
        for delay in (0.0, 0.01):
            client = httpx.Client(base_url=server.http.base_url, timeout=30)

            def ask(client: httpx.Client = client) -> None:
                with contextlib.suppress(httpx.TransportError):
                    start(client, tasks)

            asking = threading.Thread(target=ask)
            asking.start()
            asking.join(delay)
            server.stop(signal.SIGKILL)
            asking.join(30)
            client.close()
            server.start()
            assert len({get(server.http, each)["status"] == "ready" for each in tasks}) == 1, "all start, or none"
        assert start(server.http, tasks).status_code == 200
        gate.open()
        assert [ended(server.http, each)["status"] for each in tasks] == ["completed"] * 3
        assert [len(jobs_of(server, each)) for each in tasks] == [1] * 3
        assert [get(server.http, each)["attempt"] for each in tasks] == [1] * 3
    finally:
        server.end()
