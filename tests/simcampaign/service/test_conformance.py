"""The conformance list: what clients of PyEDB's job manager rely on, row by row, over HTTP and server-sent events.

Row 1 is tested with the Python facade (test_facade.py), rows 3, 5 and 7 over Socket.IO with the sockets
(test_sockets.py).
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
from tests.simcampaign.service.server import GATE, KEYS, Server, gated, running
from tests.support import until

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
RESOURCES = {
    "cpu_percent",
    "memory_percent",
    "memory_used_gb",
    "memory_total_gb",
    "memory_free_gb",
    "disk_usage_percent",
    "disk_free_gb",
    "timestamp",
}
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
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
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


def project(clusters: Server) -> str:
    return str(clusters.home.parent / "projects" / "board.aedt")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("http") / "home", "allow_commands = true") as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    shared.http.put("/pool/limits", json={"max_concurrent_jobs": 2})
    yield shared
    shared.clear()


def test_row_2_every_route_of_the_table_answers(clusters: Server) -> None:
    for path in ("/", "/jobs", "/api/jobs", "/queue", "/api/queue", "/resources", "/api/resources", "/system/status"):
        assert clusters.http.get(path).status_code == 200, path
    assert clusters.http.get("/api/scheduler_type").json()["scheduler_type"] in {"slurm", "lsf"}
    assert clusters.http.get("/api/me").json()["username"]
    assert clusters.http.post("/system/start_monitoring").json() == {
        "success": True,
        "message": "Resource monitoring already active",
    }
    status = clusters.http.get("/system/status").json()
    assert status["scheduler_detection"]["active_scheduler"] == status["mode"].upper()


def test_row_2_what_the_service_is_asked_for_first_has_the_keys_that_clients_know(server: Server) -> None:
    status = server.http.get("/system/status").json()
    assert {"scheduler_detection", "resource_monitoring", "mode", "local_pool"} <= set(status)
    assert set(status["scheduler_detection"]) == {"active_scheduler", "detected_by", "backend_available"}
    assert {"active", "last_update", *RESOURCES} <= set(status["resource_monitoring"])
    assert set(status["local_pool"]) == {"running_jobs", "queued_jobs", "max_concurrent"}
    assert status["mode"] == "none"
    queue = {"total_queued", "regular_queue_size", "priority_queues", "running_jobs", "max_concurrent"}
    for path, keys in (
        ("/queue", queue),
        ("/api/queue", queue),
        ("/resources", RESOURCES),
        ("/api/resources", RESOURCES),
    ):
        answer = server.http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert keys <= set(answer.json()), path
    assert server.http.get("/api/scheduler_type").json() == {"scheduler_type": "none"}
    assert server.http.get("/api/me").json()["username"]
    assert server.http.post("/system/start_monitoring").json()["message"] == "Resource monitoring already active"


def test_row_3_a_job_is_submitted_runs_and_is_listed_with_its_config(server: Server) -> None:
    config = {"jobid": "first", "user": "ann", "files": {"job.sh": "echo hello"}, "group": "tests"}
    answer = server.http.post("/jobs/submit", json={"config": config, "priority": 4})
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "job_id": "first",
        "message": "Job first submitted successfully",
        "status": "queued",
    }
    events = server.events("first", "job_completed")
    assert [kind for kind, _ in events] == ["job_queued", "job_started", "job_completed"]
    queued, started, completed = (payload for _, payload in events)
    assert {"job_id", "priority", "queue_position"} <= set(queued)
    assert {"job_id", "start_time", "resources"} <= set(started)
    assert {"job_id", "status", "end_time", "return_code"} <= set(completed)
    assert (completed["status"], completed["return_code"]) == ("completed", 0)
    assert queued["seq"] < started["seq"] < completed["seq"]
    [listed] = [job for job in server.http.get("/jobs").json() if job["id"] == "first"]
    assert set(listed) >= KEYS
    assert {name: listed["config"][name] for name in config} == config
    assert (listed["status"], listed["user"], listed["priority"]) == ("completed", "ann", 4)
    assert server.http.get("/jobs/first/log").text == "hello\n"
    assert server.http.get("/jobs/first/files").json() == [{"name": "job.sh", "size": 10}]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{", "JSON"),
        ("[]", "body"),
        ("{}", "config"),
        ('{"config": {"jobid": "a b"}}', "Job ID can only contain letters, numbers, underscores, and hyphens"),
        ('{"config": {"site": "nowhere"}}', "nowhere"),
        ('{"config": {"project_path": "/x.aedt"}}', "hfss"),
        ('{"config": {"application": "unknown"}}', "unknown"),
        ('{"config": {"command": []}}', "config.command"),
        ('{"config": {"files": {"../up": ""}}}', "../up"),
        ('{"config": {"command": ["true"], "resources": {"cpus": 5000}}}', "cores"),
        ('{"config": {"command": ["true"], "after": ["nobody"]}}', "nobody"),
        ('{"config": {"command": ["true"], "nonsense": 1}}', "nonsense"),
        ('{"config": {"command": ["true"], "user": "\\ud800"}}', "characters"),
        ('{"config": {"command": ["true"]}, "priority": "high"}', "priority"),
        ('{"config": {"command": ["true"]}, "priority": true}', "priority"),
    ],
)
def test_row_4_a_wrong_submission_is_answered_with_400_and_what_is_wrong(server: Server, body: str, says: str) -> None:
    before = len(server.http.get("/jobs").json())
    answer = server.http.post("/jobs/submit", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert says in answer.json()["error"]
    assert len(server.http.get("/jobs").json()) == before


def test_row_4_what_is_not_there_is_answered_as_clients_know_it(server: Server) -> None:
    for method, path, error in (
        ("GET", "/jobs/nope", "Job nope not found"),
        ("POST", "/jobs/nope/cancel", "Job nope not found"),
        ("GET", "/jobs/nope/log", "Job nope not found"),
        ("DELETE", "/jobs/nope", "Job nope not found"),
    ):
        answer = server.http.request(method, path)
        assert (answer.status_code, answer.json()) == (404, {"success": False, "error": error})
    answer = server.http.post("/jobs/nope/priority", json={"priority": 1})
    assert (answer.status_code, answer.json()) == (404, {"success": False, "error": "Job not found"})
    assert server.http.request("OPTIONS", "/jobs").status_code == 405
    assert server.http.post("/queue").status_code == 405
    assert server.http.get("/scheduler/partitions").status_code == 400
    assert server.http.get("/scheduler/partitions").json() == {"error": "Scheduler not supported"}
    assert server.http.get("/api/cluster_partitions").json() == []


def test_row_5_limits_change_all_or_none_and_are_told(server: Server) -> None:
    assert server.http.put("/pool/limits", json={}).json() == {"error": "No data provided"}
    wrong = server.http.put("/pool/limits", json={"max_concurrent_jobs": 4, "max_cpu_percent": 500})
    assert (wrong.status_code, wrong.json()["error"]) == (400, "Failed to update limits")
    broken = server.http.put("/pool/limits", content="{", headers={"content-type": "application/json"})
    assert broken.status_code == 400
    assert server.http.get("/pool/limits").json()["max_concurrent_jobs"] == 2
    right = server.http.put("/pool/limits", json={"max_concurrent_jobs": 3})
    assert right.json()["success"] is True
    assert set(right.json()["limits"]) == {"max_concurrent_jobs", "max_cpu_percent", "min_memory_gb", "min_disk_gb"}
    kind, payload = server.events("", "limits_updated")[-1]
    assert kind == "limits_updated"
    assert set(payload) >= {"old_limits", "new_limits"}


def test_row_5_never_more_run_than_the_limit_and_a_raise_wakes_the_queue(server: Server, tmp_path: Path) -> None:
    ids = [server.shell(GATE.format(tmp_path / "go")) for _ in range(20)]
    until(lambda: server.http.get("/queue").json()["running_jobs"] == 2)
    states = [server.job(job_id)["status"] for job_id in ids]
    assert states.count("queued") == 18
    server.http.put("/pool/limits", json={"max_concurrent_jobs": 3})
    until(lambda: [server.job(job_id)["status"] for job_id in ids].count("running") == 3)
    (tmp_path / "go").touch()
    assert {job["status"] for job in server.wait(*ids)} == {"completed"}


def test_row_6_a_higher_priority_goes_first_and_only_waiting_jobs_can_be_moved(server: Server, tmp_path: Path) -> None:
    server.http.put("/pool/limits", json={"max_concurrent_jobs": 1})
    first = gated(server, tmp_path / "go")
    low, high = (server.shell(f"echo {name} >> '{tmp_path}/ran'") for name in ("low", "high"))
    answer = server.http.post(f"/jobs/{high}/priority", json={"priority": 5})
    assert answer.json() == {"success": True, "message": "Priority set to 5"}
    assert server.http.get("/queue").json()["priority_queues"] == {"5": 1}
    assert server.http.post(f"/jobs/{low}/priority", json={"priority": "x"}).status_code == 400
    (tmp_path / "go").touch()
    server.wait(first, low, high)
    assert (tmp_path / "ran").read_text().split() == ["high", "low"]
    refused = server.http.post(f"/jobs/{low}/priority", json={"priority": 9})
    assert (refused.status_code, refused.json()["success"]) == (409, False)


def test_row_7_what_waits_runs_or_is_over_is_cancelled_each_in_its_way(server: Server, tmp_path: Path) -> None:
    runs = gated(server, tmp_path / "never")
    waits = server.shell("true", held=True)
    for job_id in (runs, waits):
        answer = server.http.post(f"/jobs/{job_id}/cancel").json()
        assert answer == {"success": True, "message": f"Job {job_id} cancellation initiated"}
    assert [job["status"] for job in server.wait(runs, waits)] == ["cancelled", "cancelled"]
    for job_id in (runs, waits):
        kinds = [kind for kind, _ in server.events(job_id, "job_cancelled")]
        assert kinds.count("job_cancelled") == 1
        assert "job_completed" not in kinds
    again = server.http.post(f"/jobs/{runs}/cancel")
    assert (again.status_code, again.json()["success"]) == (200, False)


def test_row_8_partitions_are_read_from_sinfo_and_from_bqueues_and_bhosts(clusters: Server) -> None:
    answer = clusters.http.get("/scheduler/partitions")
    assert answer.status_code == 200
    listed = {(each["site"], each["name"]): each for each in answer.json()}
    assert set(listed) == {("hpc", "main"), ("hpc", "gpu"), ("farm", "normal")}
    main, normal = listed["hpc", "main"], listed["farm", "normal"]
    assert set(main) >= PARTITION
    assert (main["nodes_total"], main["nodes_used"], main["cores_total"], main["cores_used"]) == (2, 1, 64, 12)
    assert (main["memory_total_gb"], main["memory_used_gb"]) == (125.0, 31.25)
    assert (normal["nodes_total"], normal["cores_total"], normal["cores_used"]) == (2, 32, 6)
    assert {"mem_total_gb", "mem_used_gb"} <= set(normal)
    assert clusters.http.get("/api/cluster_partitions").json() == answer.json()


def test_row_9_the_parsed_log_is_204_before_404_for_nobody_and_200_after(clusters: Server) -> None:
    missing = clusters.http.get("/api/jobs/nope/log")
    assert (missing.status_code, missing.json()["error"]) == (404, "Job not found")
    held = clusters.submit({"project_path": project(clusters), "jobid": "held", "held": True})
    assert (clusters.http.get(f"/api/jobs/{held}/log").status_code, clusters.http.get("/jobs/held/log").text) == (
        204,
        "",
    )
    first = clusters.submit({"project_path": project(clusters), "jobid": "first"})
    clusters.wait(first)
    read = clusters.http.get(f"/api/jobs/{first}/log").json()
    assert "-jobid first" in read["project"]["cmd_line"]
    assert (read["project"]["design"], read["adaptive"][0]["freq_hz"]) == ("main", 1e9)
    clusters.wait(clusters.submit({"project_path": project(clusters), "jobid": "second"}))
    assert clusters.http.get(f"/api/jobs/{first}/log").status_code == 204, "its log was replaced by that of another job"
    assert "-jobid second" in clusters.http.get("/api/jobs/second/log").json()["project"]["cmd_line"]


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
def test_row_10_a_line_of_a_clients_own_in_a_directive_is_refused(clusters: Server, field: str, value: str) -> None:
    options = {"scheduler_options": {field: value}}
    answer = clusters.http.post("/jobs/submit", json={"config": {"project_path": project(clusters), **options}})
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert field in answer.json()["error"]


def submit_folder(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simcampaign", "submit-projects", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_row_11_of_a_folder_each_project_is_submitted_once_and_aedt_goes_before_aedb(clusters: Server) -> None:
    folder = clusters.home.parent / "projects" / "many"
    for name in ("a.aedb", "b.aedb", "sub", "a.aedb/x.aedt"):
        (folder / name).mkdir(parents=True)
    for name in ("a.aedt", "c.aedt", "readme.txt", "sub/d.aedt"):
        (folder / name).touch()
    url = str(clusters.http.base_url)
    done = submit_folder(str(folder), "--url", url, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [Path(each["project"]).name for each in told["submitted"]] == ["a.aedt", "b.aedb", "c.aedt"]
    assert told["refused"] == []
    jobs = clusters.wait(*(each["job_id"] for each in told["submitted"]))
    assert [job["config"]["project_path"] for job in jobs] == [each["project"] for each in told["submitted"]]
    deep = submit_folder(str(folder), "--url", url, "--recursive")
    assert (deep.returncode, len(deep.stdout.splitlines())) == (0, 4)


def test_row_11_refused_projects_and_no_answer_are_failures(clusters: Server, tmp_path: Path) -> None:
    (tmp_path / "outside.aedt").touch()
    refused = submit_folder(str(tmp_path), "--url", str(clusters.http.base_url))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Project file not found" in refused.stderr
    unheard = submit_folder(str(tmp_path), "--url", "http://127.0.0.1:9")
    assert unheard.returncode not in {0, 1}
    assert "no job manager answers" in unheard.stderr
    (tmp_path / "empty").mkdir()
    assert submit_folder(str(tmp_path / "empty")).returncode not in {0, 1}
