"""A Prefect server of the tests: it is started as a person does, and counts what it is asked."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support import until

ROOT = Path(__file__).parents[1]
PATIENCE = 720.0


def make_home(home: Path) -> None:
    """Make what the first start of a server leaves: a database, by hundreds of migrations that take ten seconds."""
    command = [str(Path(sys.executable).with_name("prefect")), "server", "database", "upgrade", "-y"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    environment |= {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Api:
    """The API of a Prefect server, as its pages use it."""

    def __init__(self, url: str, dots: Path) -> None:
        self.url = url
        self.dots = dots
        dots.touch()

    def requests(self) -> int:
        """How many requests the server has answered."""
        return self.dots.stat().st_size

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.url}/{path}", timeout=60).raise_for_status().json()

    def deployment(self, name: str) -> dict[str, Any]:
        """The deployment ``FLOW/NAME``."""
        found: dict[str, Any] = self.get(f"deployments/name/{name}")
        return found

    def flow_runs(self, deployment: dict[str, Any], *states: str) -> list[dict[str, Any]]:
        """Its flow runs in these states, the newest first."""
        wanted = {"state": {"type": {"any_": list(states)}}} if states else {}
        which = {"id": {"any_": [deployment["id"]]}}
        found: list[dict[str, Any]] = self.post(
            "flow_runs/filter", deployments=which, flow_runs=wanted, sort="START_TIME_DESC"
        )
        return found

    def post(self, path: str, **body: Any) -> Any:
        def answer() -> httpx.Response | None:
            got = httpx.post(f"{self.url}/{path}", json=body, timeout=60)
            return None if got.status_code == 503 else got  # its SQLite is busy: ask again, as Prefect's client does

        return until(answer).raise_for_status().json()

    def flow_run(self, name: str) -> dict[str, Any]:
        """The newest flow run of this series; an empty mapping if there is none yet."""
        found = self.post("flow_runs/filter", flow_runs={"name": {"like_": name}}, sort="START_TIME_DESC")
        return found[0] if found else {}

    def task_runs(self, flow_run: dict[str, Any]) -> list[str]:
        found = self.post("task_runs/filter", flow_runs={"id": {"any_": [flow_run["id"]]}})
        return sorted(task_run["name"] for task_run in found)

    def artifacts(self, flow_run: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.post("artifacts/filter", flow_runs={"id": {"any_": [flow_run["id"]]}})
        return found


class Server:
    """A Prefect server of its own. It may be killed and started again."""

    def __init__(self, home: Path, ready: Path) -> None:
        """``ready`` is a home that a server of Prefect's was started in before."""
        shutil.copytree(ready, home, dirs_exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.api = Api(f"{self.url}/api", home / "requests")
        self._log = home / "server.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT")},
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
            # Prefect 3.9 takes the whole seconds of it, and with none of them spins.
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
            "PREFECT_SERVER_UI_API_URL": f"{self.url}/api",
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home / "ui"),
            "DO_NOT_TRACK": "1",
            "PREFECT_REQUESTS_COUNTED": str(self.api.dots),
            "PYTHONPATH": str(ROOT),
        }
        app = ["uvicorn", "--factory", "tests.counted_server:create_app"]
        self._command = [sys.executable, "-m", *app, "--host", "127.0.0.1", "--port", str(port)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        until(self._is_healthy, PATIENCE)

    def _is_healthy(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "Prefect's server ended"
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.api.url}/health", timeout=5).is_success
        return False

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()


@contextmanager
def running_server(home: Path, ready: Path) -> Iterator[Server]:
    """Run a server while the context lasts; see ``Server``."""
    server = Server(home, ready)
    try:
        server.start()
        yield server
    finally:
        server.stop()
