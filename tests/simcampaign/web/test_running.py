"""A person's way through ``web``: against a real service, with real simulations."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest

from simcampaign import solver, web
from simcampaign.errors import ConfigError, ConflictError, LocationError
from tests.simcampaign.service.server import Server
from tests.simcampaign.web.things import warm, waveguide

API = "/solver/v1"


def test_a_nested_shape_comes_back_as_it_was_and_the_same_simulation_is_solved_once(
    service: Server, tmp_path: Path
) -> None:
    data = web.run(
        {"a": [waveguide(0.4)], "b": (waveguide(0.4),)}, "nested", tmp_path / "data", "shapes", verbose=False
    )
    assert isinstance(data["a"], list)
    assert isinstance(data["b"], tuple)
    assert data["a"][0] == data["b"][0]
    assert len(web.get_tasks(folder="shapes")) == 1
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["nested_a_0.hdf5", "nested_b_0.hdf5"]


def test_a_budget_below_the_estimate_starts_nothing(service: Server, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="more than the budget"):
        web.run(waveguide(0.45), "dear", tmp_path / "dear.hdf5", "budget", verbose=False, budget=0)
    assert [each["status"] for each in web.get_tasks(folder="budget")] == ["ready"]


def test_the_steps_alone_quote_start_load_and_forget_a_task(service: Server, tmp_path: Path) -> None:
    task = web.upload(waveguide(0.5), "steps")
    assert web.get_info(task)["status"] == "ready"
    web.start(task)
    web.start(task)
    data = web.load(task, tmp_path / "data.hdf5")
    assert data == solver.ModeSolverData.from_file(tmp_path / "data.hdf5")
    assert web.get_run_info(task)[0] == 100
    assert 0 < web.real_cost(task) <= web.estimate_cost(task)
    assert "n_eff" in web.download_log(task, tmp_path / "log").read_text()
    web.delete(task)
    with pytest.raises(LocationError, match=task):
        web.get_info(task)


def test_a_reference_gets_the_result_of_a_task_that_is_not_done_yet(service: Server, tmp_path: Path) -> None:
    heat = web.upload(warm(100.0), "heat")
    light = waveguide(0.5).model_copy(update={"temperature": web.ref(heat)["temperature"]})
    task = web.upload(light, "light")
    web.start(heat)
    web.start(task)
    assert web.load(task, tmp_path / "light.hdf5").type_name() == "ModeSolverData"
    assert web.get_info(task)["parents"] == [heat]


def test_what_is_no_simulation_is_refused_in_words(service: Server) -> None:
    with pytest.raises(ConfigError, match="is no simulation"):
        web.run({"a": 3}, "wrong", verbose=False)


def make(http: httpx.Client, data: bytes, key: str) -> httpx.Response:
    task = {"key": key, "name": key, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return http.post(f"{API}/tasks", json={"tasks": [task]})


def send(http: httpx.Client, task: str, data: bytes, offset: int) -> httpx.Response:
    headers = {"content-type": "application/octet-stream"}
    return http.put(f"{API}/tasks/{task}/simulation", params={"offset": offset}, content=data, headers=headers)


def test_an_upload_goes_on_where_it_was_cut_off_and_a_repeated_key_is_the_same_task(
    service: Server, tmp_path: Path
) -> None:
    waveguide(0.55).to_file(tmp_path / "simulation.hdf5")
    data = (tmp_path / "simulation.hdf5").read_bytes()
    task = make(service.http, data, "ranges").json()["tasks"][0]["id"]
    assert send(service.http, task, data[:500], 0).json()["arrived"] == 500
    assert send(service.http, task, data[700:], 700).status_code == 409
    again = make(service.http, data, "ranges").json()["tasks"][0]
    assert (again["id"], again["arrived"]) == (task, 500)
    assert send(service.http, task, data[500:], 500).json()["status"] == "ready"
    assert make(service.http, b"another", "ranges").status_code == 409


def test_what_arrives_garbled_is_not_taken(service: Server) -> None:
    task = make(service.http, b"true content", "garbled").json()["tasks"][0]["id"]
    assert send(service.http, task, b"wrong bytes!", 0).status_code == 409
    assert send(service.http, task, b"true content", 0).json()["status"] == "invalid"


def test_a_result_is_served_in_ranges_under_its_checksum(service: Server, tmp_path: Path) -> None:
    web.run(waveguide(0.6), "ranged", tmp_path / "ranged.hdf5", "ranged", verbose=False)
    (task,) = web.get_tasks(folder="ranged")
    answer = service.http.get(f"{API}/tasks/{task['id']}/result", headers={"range": "bytes=100-199"})
    assert (answer.status_code, answer.headers["etag"]) == (206, f'"{task["result"]["sha256"]}"')
    assert answer.content == (tmp_path / "ranged.hdf5").read_bytes()[100:200]


def test_what_an_earlier_download_left_is_not_taken_for_the_result(service: Server, tmp_path: Path) -> None:
    task = web.upload(waveguide(0.55), "left over")
    web.start(task)
    web.monitor(task, verbose=False)
    result = web.get_info(task)["result"]
    left = tmp_path / f".data.hdf5.{result['sha256'][:16]}.part"
    left.write_bytes(b"x" * result["size"])
    web.download(task, tmp_path / "data.hdf5")
    assert hashlib.sha256((tmp_path / "data.hdf5").read_bytes()).hexdigest() == result["sha256"]
