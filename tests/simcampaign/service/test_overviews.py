"""What a page asks a job manager for: overviews, the order of the queue, logs as they grow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simcampaign.service.server import Server, running
from tests.support import until

SETTINGS = """allow_commands = true
[applications.greet]
executable = "/bin/echo"
arguments = ["{name}"]
[applications.greet.environment]
SECRET = "not-for-clients"
[applications.greet.fields]
name = {type = "choice", choices = ["ann", "bob"], default = "ann"}
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("overviews") / "home", SETTINGS) as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    yield shared
    shared.clear()


def held(server: Server, job_id: str, **others: Any) -> str:
    return server.shell("true", jobid=job_id, held=True, **others)


def waiting(server: Server, **params: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.http.get("/queue/jobs", params=params).json()
    return found


def test_the_overview_counts_the_jobs_of_a_filter_in_every_state(server: Server) -> None:
    server.wait(server.shell("true", group="counted"), server.shell("exit 3", group="counted"))
    held(server, "counted-3", group="counted")
    found = server.http.get("/api/overview", params={"group": "counted"}).json()
    assert {state: count for state, count in found["counts"].items() if count} == {
        "completed": 1,
        "failed": 1,
        "queued": 1,
    }
    assert set(found["counts"]) == {"queued", "scheduled", "running", "completed", "failed", "cancelled", "lost"}
    assert found["last_event"] > 0


def test_a_text_is_found_in_ids_users_groups_and_series_whatever_its_case(server: Server) -> None:
    held(server, "needle-1", group="hay")
    held(server, "other", user="Needles", group="hay")
    held(server, "percent", series="100%_sure", group="hay")

    def ids(text: str) -> list[str]:
        return [job["id"] for job in server.http.get("/jobs", params={"text": text, "group": "hay"}).json()]

    assert ids("NEEDLE") == ["needle-1", "other"]
    assert ids("%_s") == ["percent"]
    assert ids("percents") == []
    assert server.http.get("/api/overview", params={"text": "needle", "group": "hay"}).json()["counts"]["queued"] == 2


def test_names_for_filters_are_those_that_jobs_have(server: Server) -> None:
    held(server, "named", user="zoe", group="named", series="growth")
    names = server.http.get("/api/names").json()
    assert "zoe" in names["user"]
    assert "named" in names["group"]
    assert "growth" in names["series"]
    assert "local" in names["site"]
    assert "" not in names["series"]


def test_a_brief_list_leaves_configs_out_and_nothing_else(server: Server) -> None:
    job_id = held(server, "brief")
    [job] = server.http.get("/jobs", params={"text": job_id}).json()
    [brief] = server.http.get("/jobs", params={"text": job_id, "brief": "true"}).json()
    assert job.pop("config")
    assert brief == job


def test_the_queue_is_listed_in_its_order_with_positions_and_ranks_page_by_page(server: Server) -> None:
    for job_id, priority in (("low", -1), ("first", 0), ("second", 0), ("high", 7)):
        held(server, job_id, priority=priority)
    answer = server.http.get("/queue/jobs")
    jobs = answer.json()
    assert [job["id"] for job in jobs] == ["high", "first", "second", "low"]
    assert [job["position"] for job in jobs] == [1, 2, 3, 4]
    assert answer.headers["x-total-count"] == "4"
    assert sorted((job["rank"] for job in jobs), reverse=True) == [job["rank"] for job in jobs]
    assert "config" not in jobs[0]
    assert [job["id"] for job in waiting(server, offset=1, limit=2)] == ["first", "second"]
    # What the page does when one is dragged: the smallest priority that brings it before another.
    ranks = {job["id"]: job["rank"] for job in jobs}
    priority = -1 + int((ranks["second"] - ranks["low"]) // 1) + 1
    server.http.post("/jobs/low/priority", json={"priority": priority})
    assert [job["id"] for job in waiting(server)][1] == "low"


def test_applications_are_told_with_their_fields_and_without_what_is_the_owners(server: Server) -> None:
    answer = server.http.get("/applications")
    assert answer.json()["commands"] is True
    [greet] = answer.json()["applications"]
    assert (greet["name"], greet["sites"]) == ("greet", ["local"])
    assert greet["fields"]["name"]["choices"] == ["ann", "bob"]
    assert "/bin/echo" not in answer.text
    assert "not-for-clients" not in answer.text


def test_a_log_is_told_as_it_is_printed_until_its_job_is_over(server: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job_id = server.shell(f"echo one; until [ -e '{gate}' ]; do sleep 0.01; done; printf 'two \\033[1m'")
    until(lambda: server.job(job_id)["status"] == "running")
    told: list[tuple[str, dict[str, Any]]] = []
    with server.http.stream("GET", f"/jobs/{job_id}/log/events") as answer:
        kind = ""
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                told.append((kind, json.loads(value)))
                if "one" in told[-1][1]["text"]:
                    gate.touch()
    assert told[-1][0] == "log_end"
    assert "".join(payload["text"] for _, payload in told) == "one\ntwo \\x1b[1m"
    # After a break it goes on where it was.
    assert told[-1][1]["next_offset"] == len(b"one\ntwo \x1b[1m")
    after = server.http.get(f"/jobs/{job_id}/log/events", params={"offset": 4}).text
    assert "one" not in after
    assert "two" in after
    assert server.http.get("/jobs/nobody/log/events").status_code == 404


def test_the_newest_event_stays_the_newest_when_its_job_is_deleted(server: Server) -> None:
    job_id = server.shell("true")
    server.wait(job_id)
    before = server.http.get("/api/overview").json()["last_event"]
    server.http.delete(f"/jobs/{job_id}")
    assert server.http.get("/api/overview").json()["last_event"] == before
