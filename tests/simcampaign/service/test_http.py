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

from tests.simcampaign.service.server import KEYS, Server, gated, running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("http") / "home", "allow_commands = true") as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    shared.http.put("/pool/limits", json={"max_concurrent_jobs": 2})
    yield shared
    shared.clear()


def test_the_forms_below_api_answer_as_the_handler_did(server: Server) -> None:
    answer = server.http.post("/api/submit", json={"config": {"files": {"job.sh": "sleep 60"}}, "user": "bob"})
    job_id = answer.json()["job_id"]
    assert answer.json() == {"job_id": job_id, "status": "submitted"}
    [listed] = [job for job in server.http.get("/api/jobs").json() if job["id"] == job_id]
    assert {"user", "priority", *KEYS} <= set(listed)
    assert listed["user"] == "bob"
    assert server.http.post(f"/api/cancel/{job_id}").json() == {"status": "cancelled", "success": True}
    assert server.http.post("/api/cancel/nobody").json() == {"status": "failed", "success": False}


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
