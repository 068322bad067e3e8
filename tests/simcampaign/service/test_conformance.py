"""The conformance list: what clients of PyEDB's job manager rely on, row by row, over HTTP and server-sent events.

Row 1 is tested with the Python facade, rows 3, 5 and 7 over Socket.IO with the sockets.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simcampaign.service.applications import Asker, new_job
from simcampaign.service.core.work import Work
from simcampaign.service.settings import check
from simcampaign.sites.cluster import ClusterSite
from simcampaign.sites.cluster.adapter import Request
from simcampaign.sites.registry import open_site
from tests.simcampaign.service.server import Server, running

SINFO = """\
main*  up  1-00:00:00  mixed  12/20/0/32  64000  32000
main*  up  1-00:00:00  idle   0/32/0/32   64000  0
gpu    up  infinite    idle   0/64/0/64   256000 0
"""
BQUEUES = {
    "COMMAND": "bqueues",
    "QUEUES": 1,
    "RECORDS": [{"QUEUE_NAME": "normal", "STATUS": "Open:Active", "HOSTS": "all", "RUN": "6"}],
}
BHOSTS = {
    "COMMAND": "bhosts",
    "HOSTS": 2,
    "RECORDS": [{"HOST_NAME": "n1", "MAX": "16", "RUN": "6"}, {"HOST_NAME": "n2", "MAX": "16", "RUN": "0"}],
}
LOG = """\
for last; do :; done
folder="${last%.*}.aedb.batchinfo"
mkdir -p "$folder"
{ echo "Using command line: ansysedt $*"; echo "Project:board, Design:main"
  echo "Adaptive Pass 1: Frequency: 1GHz"; } \\
  > "$folder/run.log"
"""
PARTITION = {
    "name",
    "nodes_total",
    "nodes_used",
    "cores_total",
    "cores_used",
    "memory_total_gb",
    "memory_used_gb",
}


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a service that has two clusters, of which only the queues answer, and a program that writes a log."""
    folder = tmp_path_factory.mktemp("conformance").resolve()
    (folder / "projects").mkdir()
    (folder / "projects" / "board.aedt").touch()
    home = folder / "home"
    home.mkdir()
    program(folder / "ansysedt", LOG)
    program(home / "bin" / "sinfo", f"cat <<'END'\n{SINFO}END\n")
    program(home / "bin" / "bqueues", f"cat <<'END'\n{json.dumps(BQUEUES)}\nEND\n")
    program(home / "bin" / "bhosts", f"cat <<'END'\n{json.dumps(BHOSTS)}\nEND\n")
    settings = f'roots = ["{folder}/projects"]\n[applications.hfss]\nkind = "hfss"\nexecutable = "{folder}/ansysedt"'
    with running(home, settings, sites='[hpc]\nbackend = "slurm"\n[farm]\nbackend = "lsf"\n') as server:
        yield server


def project(server: Server) -> str:
    return str(server.home.parent / "projects" / "board.aedt")


def test_row_2_every_route_of_the_table_answers(server: Server) -> None:
    for path in ("/", "/jobs", "/api/jobs", "/queue", "/api/queue", "/resources", "/api/resources", "/system/status"):
        assert server.http.get(path).status_code == 200, path
    assert server.http.get("/api/scheduler_type").json()["scheduler_type"] in {"slurm", "lsf"}
    assert server.http.get("/api/me").json()["username"]
    assert server.http.post("/system/start_monitoring").json() == {
        "success": True,
        "message": "Resource monitoring already active",
    }
    status = server.http.get("/system/status").json()
    assert status["scheduler_detection"]["active_scheduler"] == status["mode"].upper()


def test_row_8_partitions_are_read_from_sinfo_and_from_bqueues_and_bhosts(server: Server) -> None:
    answer = server.http.get("/scheduler/partitions")
    assert answer.status_code == 200
    listed = {(each["site"], each["name"]): each for each in answer.json()}
    assert set(listed) == {("hpc", "main"), ("hpc", "gpu"), ("farm", "normal")}
    main, normal = listed["hpc", "main"], listed["farm", "normal"]
    assert set(main) >= PARTITION
    assert (main["nodes_total"], main["nodes_used"], main["cores_total"], main["cores_used"]) == (2, 1, 64, 12)
    assert (main["memory_total_gb"], main["memory_used_gb"]) == (125.0, 31.25)
    assert (normal["nodes_total"], normal["cores_total"], normal["cores_used"]) == (2, 32, 6)
    assert {"mem_total_gb", "mem_used_gb"} <= set(normal)
    assert server.http.get("/api/cluster_partitions").json() == answer.json()


def test_row_9_the_parsed_log_is_204_before_404_for_nobody_and_200_after(server: Server) -> None:
    missing = server.http.get("/api/jobs/nope/log")
    assert (missing.status_code, missing.json()["error"]) == (404, "Job not found")
    held = server.submit({"project_path": project(server), "jobid": "held", "held": True})
    assert (server.http.get(f"/api/jobs/{held}/log").status_code, server.http.get("/jobs/held/log").text) == (204, "")
    first = server.submit({"project_path": project(server), "jobid": "first"})
    server.wait(first)
    read = server.http.get(f"/api/jobs/{first}/log").json()
    assert "-jobid first" in read["project"]["cmd_line"]
    assert (read["project"]["design"], read["adaptive"][0]["freq_hz"]) == ("main", 1e9)
    server.wait(server.submit({"project_path": project(server), "jobid": "second"}))
    assert server.http.get(f"/api/jobs/{first}/log").status_code == 204, "its log was replaced by that of another job"
    assert "-jobid second" in server.http.get("/api/jobs/second/log").json()["project"]["cmd_line"]


OPTIONS = {
    "queue": "long",
    "time": "1.02:30:00",
    "nodes": 2,
    "cores_per_node": 8,
    "memory": "16GB",
    "account": "lab",
    "exclusive": True,
    "gpus": 2,
    "gpu_type": "a100",
}


def script_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, options: dict[str, Any]) -> str:
    """Return the script of a simulation at a cluster."""
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path))
    (tmp_path / "sites.toml").write_text(f'[hpc]\nbackend = "{backend}"\n')
    (tmp_path / "a.aedt").touch()
    settings = check(
        {
            "roots": [str(tmp_path)],
            "applications": {"hfss": {"kind": "hfss", "executable": "/opt/ansysedt", "sites": ["hpc"]}},
        }
    )
    config = {"project_path": str(tmp_path / "a.aedt"), "scheduler_type": backend, "scheduler_options": options}
    job = new_job(config, settings, Asker(default_user="ann"))
    assert job.site == "hpc"
    work = Work.read(job.work)
    site = open_site("hpc").site
    assert isinstance(site, ClusterSite)
    chosen = type(site).options(**work.options)
    return str(site.adapter.script(Request("name", 1, "/scratch", work.resources, chosen)))


def test_row_10_the_directives_for_slurm_say_all_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"reservation": "r1", "qos": "q1", "constraints": "c1"}
    text = script_of(tmp_path, monkeypatch, "slurm", {**OPTIONS, **asked})
    for said in ("--partition=long", "--account=lab", "--qos=q1", "--constraint=c1", "--exclusive", "a100:2"):
        assert said in text, said
    assert any(line.startswith("#SBATCH --time=") for line in text.splitlines())
    assert any(line.startswith("#SBATCH --mem") for line in text.splitlines())
    default = script_of(tmp_path, monkeypatch, "slurm", {"queue": "default"})
    assert "--partition" not in default


def test_row_10_the_directives_for_lsf_say_all_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = script_of(tmp_path, monkeypatch, "lsf", OPTIONS)
    lines = [line for line in text.splitlines() if line.startswith("#BSUB")]
    assert "#BSUB -q long" in lines
    assert "#BSUB -W 1590" in lines
    assert any("rusage[mem=" in line and line.count('"') % 2 == 0 for line in lines)
    assert any(line.startswith("#BSUB -n ") for line in lines)


@pytest.mark.parametrize("field", ["queue", "account", "qos", "reservation", "constraints", "gpu_type"])
@pytest.mark.parametrize("value", ["long\n#SBATCH --wrap=id", "long\r#BSUB -q x", "a\u2028b"])
def test_row_10_a_line_of_a_clients_own_in_a_directive_is_refused(server: Server, field: str, value: str) -> None:
    options = {"scheduler_options": {field: value}}
    answer = server.http.post("/jobs/submit", json={"config": {"project_path": project(server), **options}})
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert field in answer.json()["error"]


def submit_folder(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simcampaign", "submit-projects", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_row_11_of_a_folder_each_project_is_submitted_once_and_aedt_goes_before_aedb(server: Server) -> None:
    folder = server.home.parent / "projects" / "many"
    for name in ("a.aedb", "b.aedb", "sub", "a.aedb/x.aedt"):
        (folder / name).mkdir(parents=True)
    for name in ("a.aedt", "c.aedt", "readme.txt", "sub/d.aedt"):
        (folder / name).touch()
    url = str(server.http.base_url)
    done = submit_folder(str(folder), "--url", url, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [Path(each["project"]).name for each in told["submitted"]] == ["a.aedt", "b.aedb", "c.aedt"]
    assert told["refused"] == []
    jobs = server.wait(*(each["job_id"] for each in told["submitted"]))
    assert [job["config"]["project_path"] for job in jobs] == [each["project"] for each in told["submitted"]]
    deep = submit_folder(str(folder), "--url", url, "--recursive")
    assert (deep.returncode, len(deep.stdout.splitlines())) == (0, 4)


def test_row_11_refused_projects_and_no_answer_are_failures(server: Server, tmp_path: Path) -> None:
    (tmp_path / "outside.aedt").touch()
    refused = submit_folder(str(tmp_path), "--url", str(server.http.base_url))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Project file not found" in refused.stderr
    unheard = submit_folder(str(tmp_path), "--url", "http://127.0.0.1:9")
    assert unheard.returncode not in {0, 1}
    assert "no job manager answers" in unheard.stderr
    (tmp_path / "empty").mkdir()
    assert submit_folder(str(tmp_path / "empty")).returncode not in {0, 1}
