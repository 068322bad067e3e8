"""The job manager over HTTP: what clients of PyEDB's job manager rely on, and what is ours."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.simcampaign.service.server import Server, running
from tests.support import until

GATE = "until [ -e '{}' ]; do sleep 0.01; done"
KEYS = {"id", "config", "status", "start_time", "end_time", "return_code", "scheduler_job_id"}
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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("http") / "home", "allow_commands = true") as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    shared.http.put("/pool/limits", json={"max_concurrent_jobs": 2})
    yield shared
    shared.clear()


def gated(server: Server, gate: Path, **others: Any) -> str:
    """Submit a job that ends when a file is there, and wait until it runs."""
    job_id = server.shell(GATE.format(gate), **others)
    until(lambda: server.job(job_id)["status"] == "running")
    return job_id


def test_what_the_service_is_asked_for_first_has_the_keys_that_clients_know(server: Server) -> None:
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


def test_a_job_is_submitted_runs_and_is_listed_with_its_config(server: Server) -> None:
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


def test_the_forms_below_api_answer_as_the_handler_did(server: Server) -> None:
    answer = server.http.post("/api/submit", json={"config": {"files": {"job.sh": "sleep 60"}}, "user": "bob"})
    job_id = answer.json()["job_id"]
    assert answer.json() == {"job_id": job_id, "status": "submitted"}
    [listed] = [job for job in server.http.get("/api/jobs").json() if job["id"] == job_id]
    assert {"user", "priority", *KEYS} <= set(listed)
    assert listed["user"] == "bob"
    assert server.http.post(f"/api/cancel/{job_id}").json() == {"status": "cancelled", "success": True}
    assert server.http.post("/api/cancel/nobody").json() == {"status": "failed", "success": False}


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
def test_a_wrong_submission_is_answered_with_400_and_what_is_wrong(server: Server, body: str, says: str) -> None:
    before = len(server.http.get("/jobs").json())
    answer = server.http.post("/jobs/submit", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert says in answer.json()["error"]
    assert len(server.http.get("/jobs").json()) == before


def test_what_is_not_there_is_answered_as_clients_know_it(server: Server) -> None:
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


def test_limits_change_all_or_none_and_are_told(server: Server) -> None:
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


def test_never_more_run_than_the_limit_and_a_raise_wakes_the_queue(server: Server, tmp_path: Path) -> None:
    ids = [server.shell(GATE.format(tmp_path / "go")) for _ in range(6)]
    until(lambda: server.http.get("/queue").json()["running_jobs"] == 2)
    states = [server.job(job_id)["status"] for job_id in ids]
    assert sorted(states)[:4] == ["queued"] * 4
    server.http.put("/pool/limits", json={"max_concurrent_jobs": 3})
    until(lambda: [server.job(job_id)["status"] for job_id in ids].count("running") == 3)
    (tmp_path / "go").touch()
    assert {job["status"] for job in server.wait(*ids)} == {"completed"}


def test_a_higher_priority_goes_first_and_only_waiting_jobs_can_be_moved(server: Server, tmp_path: Path) -> None:
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


def test_what_waits_runs_or_is_over_is_cancelled_each_in_its_way(server: Server, tmp_path: Path) -> None:
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


def test_a_held_job_waits_until_it_is_released(server: Server) -> None:
    held = server.shell("true", held=True)
    server.wait(server.shell("true"))
    assert server.job(held)["status"] == "queued"
    assert server.http.post(f"/jobs/{held}/release").status_code == 200
    assert server.wait(held)[0]["status"] == "completed"
    assert server.http.post(f"/jobs/{held}/hold").status_code == 409


def test_a_failed_job_is_tried_again_once_however_often_that_is_asked(server: Server, tmp_path: Path) -> None:
    job_id = server.shell(f"echo ran >> '{tmp_path}/ran'; echo why >&2; exit 3")
    [failed] = server.wait(job_id)
    assert (failed["status"], failed["return_code"], failed["cause"]) == ("failed", 3, "application")
    assert server.http.get(f"/jobs/{job_id}/log").text == "why\n"
    again = {server.http.post(f"/jobs/{job_id}/retry").json()["job_id"] for _ in range(2)}
    assert again == {f"{job_id}-r1"}
    server.wait(*again)
    assert (tmp_path / "ran").read_text().split() == ["ran", "ran"]
    good = server.shell("true")
    server.wait(good)
    assert server.http.post(f"/jobs/{good}/retry").status_code == 409


def test_a_repeated_key_returns_the_first_job_and_another_job_under_it_is_refused(server: Server) -> None:
    key = {"idempotency-key": "k-1"}

    def submit(script: str) -> Any:
        return server.http.post("/jobs/submit", json={"config": {"files": {"a.sh": script}}}, headers=key)

    with ThreadPoolExecutor(8) as threads:
        ids = {answer.json()["job_id"] for answer in threads.map(submit, ["true"] * 8)}
    assert len(ids) == 1
    assert submit("false").status_code == 409


def test_the_same_id_is_the_same_job_and_is_never_run_twice(server: Server, tmp_path: Path) -> None:
    script = f"echo ran >> '{tmp_path}/ran'"
    server.wait(server.shell(script, jobid="same"))
    assert server.shell(script, jobid="same") == "same"
    other = server.http.post("/jobs/submit", json={"config": {"jobid": "same", "files": {"a.sh": "false"}}})
    assert other.status_code == 409
    server.wait(server.shell("true"))
    assert (tmp_path / "ran").read_text().split() == ["ran"]


def test_lists_are_filtered_sorted_and_paged(server: Server) -> None:
    ids = [server.shell("true", series="paged", user=user, held=True) for user in ("ann", "bob", "ann", "bob", "ann")]
    one = server.http.get("/jobs", params={"series": "paged", "user": "ann", "status": "queued"}).json()
    assert [job["id"] for job in one] == ids[::2]
    pages, cursor = [], None
    while True:
        query = {"series": "paged", "limit": "2", "sort": "user", "descending": "true"}
        answer = server.http.get("/jobs", params=query | ({"cursor": cursor} if cursor else {}))
        pages.append([job["id"] for job in answer.json()])
        cursor = answer.headers.get("x-next-cursor")
        if cursor is None:
            break
    assert pages == [[ids[3], ids[1]], [ids[4], ids[2]], [ids[0]]]
    assert server.http.get("/jobs", params={"status": "nonsense"}).status_code == 400


def test_jobs_wait_for_others_and_dry_runs_leave_nothing(server: Server) -> None:
    bad = server.shell("exit 1")
    vain = server.http.post("/jobs/submit", json={"config": {"files": {"a.sh": ""}, "after_ok": [bad]}})
    after = server.shell("true", after=[bad])
    assert server.wait(after)[0]["status"] == "completed"
    if vain.status_code == 200:  # it was submitted before the other one had failed
        assert server.wait(vain.json()["job_id"])[0]["status"] == "cancelled"
    before = len(server.http.get("/jobs").json())
    dry = server.http.post("/jobs/submit", json={"config": {"command": ["env"]}, "dry_run": True}).json()
    assert (dry["dry_run"], dry["command"]) == (True, ["env"])
    assert len(server.http.get("/jobs").json()) == before


def test_a_log_is_read_on_from_where_it_was_left_and_commands_no_terminal(server: Server) -> None:
    job_id = server.shell(r"printf 'one\ntwo \033[31mred \303\244\n'")
    server.wait(job_id)
    part = server.http.get(f"/jobs/{job_id}/log", params={"offset": 4})
    assert part.text == "two \\x1b[31mred ä\n"
    following = part.headers["x-next-offset"]
    assert server.http.get(f"/jobs/{job_id}/log", params={"offset": following}).text == ""


def test_a_deleted_job_is_gone_with_its_files_and_one_that_waits_is_not_deleted(server: Server) -> None:
    job_id = server.shell("echo x > out")
    server.wait(job_id)
    assert server.http.delete(f"/jobs/{job_id}").json()["success"] is True
    assert server.http.get(f"/jobs/{job_id}").status_code == 404
    assert not list((server.home / "local").rglob(f"*-{job_id}"))
    waits = server.shell("true", held=True)
    assert server.http.delete(f"/jobs/{waits}").status_code == 409


def figures(server: Server) -> dict[tuple[str, str], float]:
    """Return the figures for Prometheus by name and label, as its own parser reads them."""
    families = text_string_to_metric_families(server.http.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, next(iter(sample.labels.values()), "")): sample.value for sample in samples}


def test_figures_for_prometheus_count_jobs_and_their_times(server: Server) -> None:
    before = figures(server)
    server.wait(server.shell("true"), server.shell("exit 1"))
    after = figures(server)
    assert after["simcampaign_jobs", "queued"] == 0
    grown = {name: after[name] - before[name] for name in after if name[0].endswith(("_total", "_count"))}
    assert grown == {
        ("simcampaign_jobs_submitted_total", ""): 2,
        ("simcampaign_jobs_ended_total", "completed"): 1,
        ("simcampaign_jobs_ended_total", "failed"): 1,
        ("simcampaign_jobs_ended_total", "cancelled"): 0,
        ("simcampaign_jobs_ended_total", "lost"): 0,
        ("simcampaign_job_wait_seconds_count", ""): 2,
        ("simcampaign_job_run_seconds_count", ""): 2,
    }
    for name in ("simcampaign_job_wait_seconds", "simcampaign_job_run_seconds"):
        buckets = [count for (found, _), count in after.items() if found == f"{name}_bucket"]
        assert buckets == sorted(buckets)
        assert after[f"{name}_bucket", "+Inf"] == after[f"{name}_count", ""]
    assert 0 < after["simcampaign_host_memory_free_bytes", ""] < 2**50


def test_figures_keep_prometheus_names(server: Server) -> None:
    text = server.http.get("/metrics").text
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert not re.search("_(percent|gb|mb|ms|minutes|hours)$", family.name), "Prometheus has base units only"
        assert all(sample.name.endswith("_total") == (family.type == "counter") for sample in family.samples)


def test_the_description_for_programs(server: Server) -> None:
    paths = server.http.get("/openapi.json").json()["paths"]
    assert {"/jobs/submit", "/jobs/{job_id}/cancel", "/pool/limits"} <= set(paths)
    page = server.http.get("/docs")
    assert "/jobs/submit" in page.text
    assert "<script" not in page.text


def test_after_kill_and_restart_jobs_are_where_they_were(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        server.http.put("/pool/limits", json={"max_concurrent_jobs": 1})
        runs = gated(server, tmp_path / "go")
        waits = server.shell(f"echo ran >> '{tmp_path}/ran'")
        server.stop(signal.SIGKILL)
        server.start()
        assert server.job(runs)["status"] == "running"
        (tmp_path / "go").touch()
        assert {job["status"] for job in server.wait(runs, waits)} == {"completed"}
        assert (tmp_path / "ran").read_text() == "ran\n"
        done = subprocess.run(
            [sys.executable, "-m", "simcampaign.service", "--port", "0"],
            env={"SIMCAMPAIGN_HOME": str(server.home), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2
        assert str(server.http.base_url).rstrip("/") in done.stderr


def test_a_service_that_is_told_to_end_lets_go_of_listeners_and_leaves_jobs_running(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        runs = gated(server, tmp_path / "go")
        with server.http.stream("GET", "/events", params={"since": 0}) as answer:
            next(answer.iter_lines())
            server.stop()
            assert server.process is not None
            assert server.process.returncode == 0
        (tmp_path / "go").touch()
        server.start()
        assert server.wait(runs)[0]["status"] == "completed"


SINFO = """#!/bin/sh
cat <<END
main* up 1-00:00:00 mixed 8/24/0/32 128000 64000
main* up 1-00:00:00 idle 0/32/0/32 128000 0
long up infinite down* 0/0/16/16 64000 0
END
"""


def test_partitions_are_those_that_the_cluster_tells(tmp_path: Path) -> None:
    programs = tmp_path / "home" / "bin"
    programs.mkdir(parents=True)
    (programs / "sinfo").write_text(SINFO)
    (programs / "sinfo").chmod(0o755)
    with running(tmp_path / "home", sites='[hpc]\nbackend = "slurm"\n') as server:
        for path in ("/scheduler/partitions", "/api/cluster_partitions"):
            answer = server.http.get(path)
            assert answer.status_code == 200, answer.text
            main, long = answer.json()
            assert (main["name"], main["nodes_total"], main["nodes_used"]) == ("main", 2, 1)
            assert (main["cores_total"], main["cores_used"], main["memory_total_gb"]) == (64, 8, 250.0)
            assert (main["memory_used_gb"], long["name"], long["site"]) == (62.5, "long", "hpc")
        assert server.http.get("/api/scheduler_type").json() == {"scheduler_type": "slurm"}
        assert server.http.get("/system/status").json()["mode"] == "slurm"
        (programs / "sinfo").write_text("#!/bin/sh\necho 'no controller' >&2\nexit 1\n")
        broken = server.http.get("/scheduler/partitions")
        assert broken.status_code == 502
        assert "no controller" in broken.json()["error"]


def test_the_package_is_light_until_it_serves() -> None:
    code = "import sys, simcampaign.service; print({'fastapi', 'uvicorn', 'sqlalchemy', 'socketio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
