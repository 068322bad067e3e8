"""Applications: the server's owner chooses the program, clients fill in fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simcampaign.errors import ConfigError
from simcampaign.service.applications import Asker, new_job
from simcampaign.service.core.work import Work
from simcampaign.service.settings import Settings, check
from tests.simcampaign.service.server import Server, running

SOLVER = """#!/bin/sh
for word in "$@"; do echo "[$word]"; done
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with projects, and a program that prints its arguments."""
    folder = tmp_path_factory.mktemp("applications").resolve()
    (folder / "projects" / "b.aedb").mkdir(parents=True)
    for name in ("a.aedt", "with blank & 'quote'.aedt", "a.txt"):
        (folder / "projects" / name).touch()
    (folder / "secret.aedt").touch()
    (folder / "projects" / "link.aedt").symlink_to(folder / "secret.aedt")
    (folder / "ansysedt").write_text(SOLVER)
    (folder / "ansysedt").chmod(0o755)
    return folder


def settings_text(place: Path) -> str:
    return f"""
roots = ["{place}/projects"]

[applications.hfss]
kind = "hfss"
executable = "{place}/ansysedt"

[applications.show]
executable = "{place}/ansysedt"
arguments = ["--mode", "{{mode}}", "--steps={{steps}}", "{{title}}", "{{project}}", "{{job_id}}"]
cores_field = "cpus"

[applications.show.fields]
mode = {{type = "choice", choices = ["fast", "exact"], default = "fast"}}
steps = {{type = "integer", at_least = 1, at_most = 100}}
title = {{default = "untitled"}}
project = {{type = "path"}}
cpus = {{type = "integer", default = 1, at_least = 1}}
"""


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    with running(place / "home", settings_text(place)) as server:
        yield server


@pytest.fixture
def settings(place: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(place / "other"))
    program = str(place / "ansysedt")
    hfss = {"kind": "hfss", "executable": program}
    return check({"roots": [str(place / "projects")], "applications": {"hfss": hfss}})


def printed(server: Server, job_id: str) -> list[str]:
    [job] = server.wait(job_id)
    assert job["status"] == "completed", job["message"]
    return [line[1:-1] for line in str(server.http.get(f"/jobs/{job_id}/log").text).splitlines()]


def test_fields_become_arguments_and_a_value_never_becomes_two(server: Server, place: Path) -> None:
    project = str(place / "projects" / "with blank & 'quote'.aedt")
    fields = {"steps": 7, "title": "a b; $(id) {mode}", "project": project}
    job_id = server.submit({"application": "show", "fields": fields, "jobid": "show-1"})
    words = ["--mode", "fast", "--steps=7", "a b; $(id) {mode}", project, "show-1"]
    assert printed(server, job_id) == words
    assert server.job(job_id)["application"] == "show"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "steps"),
        ({"steps": 0}, "1 or more"),
        ({"steps": 101}, "100 or less"),
        ({"steps": "7"}, "integer"),
        ({"steps": True}, "integer"),
        ({"mode": "other"}, "fast, exact"),
        ({"title": "--output=/etc/passwd"}, "option"),
        ({"title": "a\nb"}, "control"),
        ({"title": ["a"]}, "text"),
        ({"project": "/etc/passwd"}, "roots"),
        ({"project": "{}/projects/../secret.aedt"}, "roots"),
        ({"project": "{}/projects/link.aedt"}, "roots"),
        ({"project": "a.aedt"}, "roots"),
        ({"cpus": 5000}, "cores"),
        ({"executable": "/bin/sh"}, "executable"),
    ],
    ids=str,
)
def test_a_wrong_field_is_refused_with_its_name(server: Server, place: Path, fields: dict[str, Any], says: str) -> None:
    right = {"steps": 1, "project": str(place / "projects" / "a.aedt")}
    given = {**right, **fields} if fields else {"project": right["project"]}
    given["project"] = given["project"].replace("{}", str(place))
    answer = server.http.post("/jobs/submit", json={"config": {"application": "show", "fields": given}})
    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_an_application_says_where_it_runs_and_who_asks_for_more_is_refused(server: Server, place: Path) -> None:
    fields = {"steps": 1, "project": str(place / "projects" / "a.aedt")}
    for config in ({"site": "elsewhere"}, {"command": ["id"]}, {"environment": {"A": "b"}}, {"options": {}}):
        answer = server.http.post("/jobs/submit", json={"config": {"application": "show", "fields": fields, **config}})
        assert answer.status_code == 400, config


def test_a_simulation_runs_with_the_servers_program_whatever_the_client_says(server: Server, place: Path) -> None:
    project = str(place / "projects" / "a.aedt")
    config = {
        "jobid": "sim-1",
        "user": "ann",
        "solver": "Hfss3DLayout",
        "ansys_edt_path": "/bin/sh",
        "project_path": project,
        "machine_nodes": [{"hostname": "localhost", "cores": 2, "max_cores": 2, "utilization": 90}],
        "design_name": "board",
        "layout_options": {"enable_gpu": True, "mpi_vendor": "Open MPI"},
        "scheduler_options": {"queue": "default"},
        "timestamp": "2025-01-01T00:00:00",
    }
    answer = server.http.post("/jobs/submit", json={"config": config}).json()
    assert answer["success"] is True
    words = printed(server, "sim-1")
    assert words[:4] == ["-jobid", "sim-1", "-machinelist", "list=localhost:2:2:90%"]
    assert words[4:7] == ["-ng", "-monitor", "-batchoptions"]
    assert "'HFSS 3D Layout Design/MPIVendor'='Open MPI'" in words[7]
    assert words[8:] == ["-batchsolve", "board:Nominal:Setup1", project]
    listed = server.job("sim-1")
    assert "ansys_edt_path" not in listed["config"]
    assert listed["cores"] == 2
    for name in ("jobid", "user", "project_path", "machine_nodes", "design_name"):
        assert listed["config"][name] == config[name]


def test_the_two_ways_to_submit_a_simulation_lead_to_the_same(server: Server, place: Path) -> None:
    body = {
        "config": {"jobid": "sim-2", "project_path": str(place / "projects" / "b.aedb")},
        "user": "bob",
        "machine_nodes": [{"hostname": "localhost", "cores": 1}],
        "batch_options": {"validate_only": True},
    }
    assert server.http.post("/api/submit", json=body).json() == {"job_id": "sim-2", "status": "submitted"}
    words = printed(server, "sim-2")
    assert "list=localhost:1:20:90%" in words
    assert any("'HFSS 3D Layout Design/ValidateOnly'='1'" in word for word in words)
    assert server.job("sim-2")["user"] == "bob"


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"project_path": "/nowhere/x.aedt"}, "Project file not found: /nowhere/x.aedt"),
        ({"project_path": "{}/secret.aedt"}, "Project file not found: {}/secret.aedt"),
        ({"project_path": "{}/projects/a.txt"}, "Project path must be a .aedt or .aedb file"),
        ({"jobid": "a b"}, "Job ID can only contain letters, numbers, underscores, and hyphens"),
        ({"scheduler_type": "bogus"}, "'bogus' is not a valid SchedulerType"),
        ({"scheduler_type": "slurm"}, "scheduler_type"),
        ({"machine_nodes": [{"hostname": "a,b:1"}]}, "hostname"),
        ({"design_name": "a' 'b"}, "design_name"),
        ({"setup_name": "a:b"}, "setup_name"),
        ({"layout_options": {"mpi_version": "x'y"}}, "mpi_version"),
        ({"layout_options": {"temp_directory": "/tmp' 'A'='b"}}, "temp_directory"),
        ({"scheduler_options": {"queue": "main\n#SBATCH --wrap=id"}}, "queue"),
    ],
    ids=str,
)
def test_a_wrong_simulation_is_refused_in_the_words_that_clients_know(
    server: Server, place: Path, config: dict[str, Any], says: str
) -> None:
    body = {"project_path": f"{place}/projects/a.aedt", **config}
    body["project_path"] = body["project_path"].replace("{}", str(place))
    answer = server.http.post("/jobs/submit", json={"config": body})
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert says.replace("{}", str(place)) in answer.json()["error"]


def test_ids_that_nobody_gave_never_meet(settings: Settings, place: Path) -> None:
    config = {"project_path": str(place / "projects" / "a.aedt")}
    jobs = [new_job(config, settings, Asker(default_user="me")) for _ in range(200)]
    assert len({job.id for job in jobs}) == 200
    assert {job.user for job in jobs} == {"me"}
    assert len({job.request_digest for job in jobs}) == 1, "they are the same request"


def test_all_cores_of_a_node_are_those_of_this_host(settings: Settings, place: Path) -> None:
    node = {"hostname": "localhost", "cores": -1, "max_cores": 100_000}
    config = {"project_path": str(place / "projects" / "a.aedt"), "machine_nodes": [node]}
    job = new_job(config, settings, Asker(default_user="me"))
    assert Work.read(job.work).resources.cores == job.cores >= 1
    with pytest.raises(ConfigError, match="cores"):
        new_job({**config, "machine_nodes": [{**node, "cores": 100_000}]}, settings, Asker())


def test_an_environment_that_a_client_sent_is_not_listed(settings: Settings) -> None:
    settings.allow_commands = True
    config = {"command": ["true"], "environment": {"PASSWORD": "hunter2-hunter2"}}
    job = new_job(config, settings, Asker(default_user="me"))
    assert "hunter2" not in job.config
    assert json.loads(job.config)["environment"] == {"PASSWORD": "(not shown)"}
