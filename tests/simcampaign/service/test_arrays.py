"""Arrays: many jobs in one request, over HTTP, with a real service."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simcampaign.service.server import Server, running
from tests.support import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("arrays") / "home") as started:
        yield started


def jobs(*scripts: str) -> list[dict[str, Any]]:
    return [{"files": {"job.sh": script}} for script in scripts]


def submit(server: Server, array: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = server.http.post("/arrays", json=array, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def counts(server: Server, array_id: str) -> dict[str, int]:
    found = server.http.get(f"/arrays/{array_id}").json()["counts"]
    return {state: count for state, count in found.items() if count}


def test_jobs_of_an_array_share_a_config_and_have_files_of_their_own(server: Server) -> None:
    config = {"jobid": "pair", "input": "job.sh", "files": {"said.txt": "hello"}, "group": "twins"}
    answer = submit(server, {"config": config, "jobs": jobs("cat said.txt; echo 0", "cat said.txt; echo 1")})
    assert answer["job_ids"] == ["pair-0", "pair-1"]
    done = server.wait(*answer["job_ids"])
    assert [(job["status"], job["array"], job["group"]) for job in done] == [("completed", "pair", "twins")] * 2
    assert [server.http.get(f"/jobs/pair-{number}/log").text for number in (0, 1)] == ["hello0\n", "hello1\n"]
    assert counts(server, "pair") == {"completed": 2}
    listed = server.http.get("/jobs", params={"array": "pair"}).json()
    assert [job["id"] for job in listed] == ["pair-0", "pair-1"]
    assert "pair" in [array["id"] for array in server.http.get("/arrays").json()]


def test_an_array_with_a_mistake_is_refused_as_a_whole_with_every_mistake(server: Server) -> None:
    wrong = [*jobs("true"), {"files": {"../x": ""}}, {"site": "nowhere"}, {"jobid": "mine"}]
    answer = server.http.post("/arrays", json={"config": {"jobid": "none"}, "jobs": wrong})
    assert answer.status_code == 400
    paths = [problem["path"] for problem in answer.json()["problems"]]
    assert any(path.startswith("jobs[1]") for path in paths)
    assert any(path.startswith("jobs[2]") for path in paths)
    assert any(path.startswith("jobs[3]") for path in paths)
    assert server.http.get("/arrays/none").status_code == 404
    assert server.http.get("/jobs", params={"array": "none"}).json() == []


def test_a_client_may_not_choose_commands_in_an_array(server: Server) -> None:
    answer = server.http.post("/arrays", json={"jobs": [{"command": ["id"]}, {"environment": {"A": "1"}}]})
    assert answer.status_code == 400
    assert {problem["path"] for problem in answer.json()["problems"]} >= {
        "jobs[0]: config.command",
        "jobs[1]: config.environment.A",
    }


def test_the_same_array_once_more_is_the_first_and_another_is_refused(server: Server) -> None:
    array = {"config": {"held": True}, "jobs": jobs("true", "true")}
    first = submit(server, array, **{"Idempotency-Key": "again"})
    assert submit(server, array, **{"Idempotency-Key": "again"})["array_id"] == first["array_id"]
    other = server.http.post("/arrays", json={**array, "jobs": jobs("true")}, headers={"Idempotency-Key": "again"})
    assert other.status_code == 409
    assert counts(server, first["array_id"]) == {"queued": 2}
    server.http.post(f"/arrays/{first['array_id']}/cancel")
    until(lambda: counts(server, first["array_id"]) == {"cancelled": 2})


def test_an_id_that_a_job_has_is_not_taken_by_an_array(server: Server) -> None:
    server.wait(server.shell("true", jobid="mine-1"))
    answer = server.http.post("/arrays", json={"config": {"jobid": "mine"}, "jobs": jobs("true", "true")})
    assert answer.status_code == 409
    assert server.http.get("/jobs/mine-0").status_code == 404


def test_an_array_is_cancelled_and_what_failed_is_tried_again_once(server: Server, tmp_path: Path) -> None:
    flag = tmp_path / "go"
    array = submit(server, {"jobs": jobs(f"test -e {flag}", "true", "exec sleep 100", "exec sleep 100")})["array_id"]
    until(lambda: counts(server, array).get("running", 0) == 2)
    assert server.http.post(f"/arrays/{array}/cancel").json()["success"]
    until(lambda: counts(server, array) == {"failed": 1, "completed": 1, "cancelled": 2})
    flag.touch()
    again = server.http.post(f"/arrays/{array}/retry").json()["job_ids"]
    assert again == [f"{array}-0-r1", f"{array}-2-r1", f"{array}-3-r1"]
    assert server.http.post(f"/arrays/{array}/retry").status_code == 409
    assert server.wait(f"{array}-0-r1")[0]["status"] == "completed"
    server.http.post(f"/arrays/{array}/cancel")
    until(lambda: counts(server, array) == {"failed": 1, "completed": 2, "cancelled": 4})


def test_an_array_survives_the_death_of_the_service(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        notes = tmp_path / "notes"
        scripts = [f"echo {number} >> {notes}" for number in range(30)]
        array = submit(server, {"jobs": jobs(*scripts)})["array_id"]
        until(lambda: counts(server, array).get("completed", 0) > 3)
        server.stop(signal.SIGKILL)
        server.start()
        until(lambda: counts(server, array) == {"completed": 30})
        assert sorted(map(int, notes.read_text().split())) == list(range(30))


@pytest.mark.parametrize("size", [1000, pytest.param(10_000, marks=pytest.mark.faults)])
def test_many_jobs_are_one_request(server: Server, size: int) -> None:
    server.http.timeout = 300
    config = {"held": True, "files": {"job.sh": "true"}}
    answer = submit(server, {"config": config, "jobs": [{"series": f"s{number}"} for number in range(size)]})
    array = answer["array_id"]
    assert len(answer["job_ids"]) == size
    assert counts(server, array) == {"queued": size}
    listed = server.http.get("/jobs", params={"array": array, "limit": 10, "brief": True}).json()
    assert [job["id"] for job in listed] == answer["job_ids"][:10]
    assert server.http.post(f"/arrays/{array}/cancel").json()["jobs"] == size
    assert counts(server, array) == {"cancelled": size}


def test_an_array_with_more_jobs_than_that_is_refused(server: Server) -> None:
    assert server.http.post("/arrays", json={"jobs": [{}] * 10_001}).status_code == 400
