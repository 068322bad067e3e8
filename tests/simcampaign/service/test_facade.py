"""The job manager inside a Python program."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from simcampaign.errors import ConfigError, ConflictError, LocationError
from simcampaign.service import JobManager, JobManagerHandler, ResourceLimits
from tests.simcampaign.service.server import end_runners
from tests.support import until

FREE = ResourceLimits(2, 100.0, 0.0, 0.0)
SOLVER = '#!/bin/sh\nfor word in "$@"; do echo "[$word]"; done\n'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("SIMCAMPAIGN_LEDGER_URL", "SIMCAMPAIGN_SERVICE", "SIMCAMPAIGN_SITES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "sites.toml").write_text("[local]\nslots = 4\ngrace_seconds = 0.3\n")
    (tmp_path / "ansysedt").write_text(SOLVER)
    (tmp_path / "ansysedt").chmod(0o755)
    (tmp_path / "board.aedt").touch()
    yield tmp_path
    end_runners(tmp_path / "home")


@pytest.fixture
def handler(home: Path) -> Iterator[JobManagerHandler]:
    with JobManagerHandler(port=0, ansys_path=home / "ansysedt", resource_limits=FREE) as handler:
        yield handler


def shell(script: str) -> dict[str, object]:
    return {"command": ["sh", "-c", script]}


def gate(path: Path) -> dict[str, object]:
    return shell(f"until [ -e '{path}' ]; do sleep 0.01; done")


def test_row_1_start_and_close_are_idempotent_and_it_starts_again(home: Path) -> None:
    handler = JobManagerHandler(port=0, resource_limits=FREE)
    handler.close()
    for round_ in range(2):
        handler.start_service()
        url = handler.url
        handler.start_service()
        assert (handler.started, handler.url) == (True, url)
        assert httpx.get(f"{url}/health").json()["status"] == "ok"
        handler.submit_job({"jobid": f"job-{round_}", **shell("true")})
        assert handler.wait_until_done(f"job-{round_}") == "completed"
        handler.close()
        handler.close()
        assert not handler.started
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/health")
    with pytest.raises(RuntimeError, match="start_service"):
        handler.submit_job(shell("true"))


def test_a_simulation_is_described_submitted_and_waited_for(handler: JobManagerHandler, home: Path) -> None:
    config = handler.create_simulation_config(home / "board.aedt", cpu_cores=2)
    assert config.jobid is not None
    assert config.jobid.startswith("board_")
    config.design_name = "pcb"
    job_id = handler.submit_job(config, priority=3)
    assert (job_id, handler.wait_until_done(job_id, poll_every=0.5)) == (config.jobid, "completed")
    info = handler.manager.jobs[job_id]
    assert info.status in {"completed", "failed", "cancelled"}
    assert (info.return_code, info.priority) == (0, 3)
    assert info.config["project_path"] == str(home / "board.aedt")
    printed = httpx.get(f"{handler.url}/jobs/{job_id}/log").text
    assert "[list=localhost:2:2:90%]" in printed
    assert "[pcb:Nominal:Setup1]" in printed
    assert job_id in set(handler.manager.jobs)


def test_the_owner_may_run_what_clients_over_http_may_not(handler: JobManagerHandler, home: Path) -> None:
    assert handler.wait_until_done(handler.submit_job(shell("exit 3"))) == "failed"
    (home / "other").write_text("#!/bin/sh\necho other\n")
    (home / "other").chmod(0o755)
    config = handler.create_simulation_config(home / "board.aedt", ansys_edt_path=home / "other")
    job_id = handler.submit_job(config)
    assert handler.wait_until_done(job_id) == "completed"
    assert httpx.get(f"{handler.url}/jobs/{job_id}/log").text == "other\n"
    for refused in (shell("true"), {"project_path": str(home / "board.aedt"), "ansys_edt_path": "/bin/sh"}):
        assert httpx.post(f"{handler.url}/jobs/submit", json={"config": refused}).status_code == 400


def test_threads_submit_wait_and_cancel_at_once(handler: JobManagerHandler, home: Path) -> None:
    def run(number: int) -> tuple[str, str]:
        job_id = handler.submit_job(shell(f"exit {number % 2}"))
        return job_id, handler.wait_until_done(job_id, timeout=60)

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(run, range(16)))
    assert len(dict(results)) == 16
    assert [state for _, state in results] == ["completed", "failed"] * 8
    waits = handler.submit_job(gate(home / "never"))
    ends: list[str] = []
    waiters = [threading.Thread(target=lambda: ends.append(handler.wait_until_done(waits))) for _ in range(4)]
    for each in waiters:
        each.start()
    assert handler.cancel_job(waits)
    for each in waiters:
        each.join(60)
    assert ends == ["cancelled"] * 4
    assert not handler.cancel_job(waits)
    assert not handler.cancel_job("nobody")


def test_waiting_ends_with_a_timeout_or_with_the_service(handler: JobManagerHandler, home: Path) -> None:
    job_id = handler.submit_job(gate(home / "go"))
    with pytest.raises(TimeoutError):
        handler.wait_until_done(job_id, timeout=0.05)
    with pytest.raises(TimeoutError):
        handler.wait_until_all_done(timeout=0.05)
    with pytest.raises(ConfigError, match="nobody"):
        handler.wait_until_done("nobody")
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            handler.wait_until_done(job_id)
        except ConflictError as error:
            caught.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    until(lambda: handler._desk._ends is not None and handler._desk._ends._wanted)
    handler.close()
    waiter.join(60)
    assert "closed" in str(caught[0])
    (home / "go").touch()
    handler.start_service()
    handler.wait_until_all_done(timeout=60)
    assert handler.manager.jobs[job_id].status == "completed"


def test_a_second_service_on_the_same_ledger_is_told_where_the_first_is(handler: JobManagerHandler) -> None:
    with pytest.raises(ConflictError, match=handler.url):
        JobManagerHandler(port=0).start_service()
    done = subprocess.run(
        [sys.executable, "-m", "simcampaign.service", "--port", "0"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert handler.url in done.stderr
    with pytest.raises(LocationError, match=str(handler.port)):
        JobManagerHandler(port=handler.port, ledger="sqlite:///other.db").start_service()


def test_what_is_wrong_is_said_at_once_with_its_name(handler: JobManagerHandler, home: Path) -> None:
    with pytest.raises(ConfigError, match="host"):
        JobManagerHandler(host="0.0.0.0")  # noqa: S104 - refused
    with pytest.raises(ConfigError, match="ANSYSEM_ROOT311"):
        JobManagerHandler(version="2031.1")
    with pytest.raises(ConfigError, match="Project file not found"):
        handler.create_simulation_config(home / "nothing.aedt")
    with pytest.raises(ConfigError, match="aedb"):
        handler.create_simulation_config(home / "ansysedt")
    with pytest.raises(ConfigError, match="nonsense"):
        handler.submit_job({"nonsense": 1})
    handler.submit_job({"jobid": "taken", **shell("true")})
    with pytest.raises(ConflictError, match="taken"):
        handler.submit_job({"jobid": "taken", **shell("false")})


def test_the_installed_program_is_found_by_its_version(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSYSEM_ROOT251", "/opt/v251")
    monkeypatch.setenv("ANSYSEM_ROOT252", "/opt/v252")
    assert JobManagerHandler().ansys_path == "/opt/v252/ansysedt"
    assert JobManagerHandler(version="2025.1").ansys_path == "/opt/v251/ansysedt"


def test_the_awaitable_twins_work_in_any_loop(home: Path) -> None:
    manager = JobManager(FREE)

    async def run(script: str) -> str:
        job_id = await manager.submit_job(shell(script))
        return await manager.wait_until_done(job_id, timeout=60)

    async def many() -> list[str]:
        return await asyncio.gather(*(run(f"exit {number % 2}") for number in range(6)))

    assert asyncio.run(many()) == ["completed", "failed"] * 3

    async def others() -> None:
        assert (await manager.edit_concurrent_limits({"max_concurrent_jobs": 1}))["max_concurrent_jobs"] == 1
        with pytest.raises(ConfigError, match="max_cpu_percent"):
            await manager.edit_concurrent_limits({"max_concurrent_jobs": 3, "max_cpu_percent": 500})
        assert manager.resource_limits.max_concurrent_jobs == 1
        job_id = await manager.submit_job(gate(home / "never"))
        with pytest.raises(TimeoutError):
            await manager.wait_until_all_done(timeout=0.05)
        assert await manager.cancel_job(job_id)
        await manager.wait_until_all_done(timeout=60)
        assert manager.jobs[job_id].status == "cancelled"

    asyncio.run(others())
    manager.close()
    manager.close()


def test_importing_the_names_of_the_service_imports_no_web_server() -> None:
    script = "import sys, simcampaign.service as s; print([m for m in ('fastapi', 'uvicorn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[]")
