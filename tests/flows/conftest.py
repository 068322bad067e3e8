"""Flows as a person runs them: in processes of their own, from a directory with a config, a template and a model."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import is_idle, until

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0
TEMPLATE = """\
{% for c in conditions %}
{{ name }} {{ c.key }} {{ c.start_seed }} {{ c.end_seed }} {{ c.do }} {{ c.x }}
{% endfor %}
"""
CONFIG: dict[str, Any] = {
    "context": {
        "working_location": "out",
        "manifest_location": "out",
        "template_location": "templates",
        "command": ["{python}", "-I", "-S", str(ROOT / "tests/toy_model.py"), "{input}", "{output}", "notes"],
        "slots": 2,
    },
    "series": {
        "name": "toy",
        "template_key": "toy.txt",
        "seeds": "0-2",
        "extensions": ["a", "b"],
        "conditions": [{"key": "p", "do": "ok", "x": 1}, {"key": "q", "do": "ok", "x": 2}],
    },
    "parameters": {"model": "toy", "retry_delay": 1},
}


@dataclass
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


class Place:
    """A directory of a person who runs flows."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.root = root
        self.environment = environment
        self.notes = root / "notes"
        (root / "templates").mkdir()
        (root / "templates/toy.txt").write_text(TEMPLATE)
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Write ``toy.yaml``, with changes such as ``series={"seeds": "0-9"}``."""
        config = {part: {**fields, **changes.get(part, {})} for part, fields in CONFIG.items()}
        (self.root / "toy.yaml").write_text(json.dumps(config))  # JSON is YAML

    def start(
        self, *arguments: str, flow: str = "flows.run_local_simulations", **options: Any
    ) -> subprocess.Popen[str]:
        """Start a flow, by default that of local campaigns."""
        command = [sys.executable, "-m", flow, *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(command, text=True, cwd=self.root, env=self.environment, **{**pipes, **options})

    def run(self, *arguments: str, **options: Any) -> Done:
        process = self.start(*arguments, **options)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Done(process.returncode, out, err)

    def noted(self, word: str = "start") -> list[str]:
        """The runs that really started (or ended), as ``KEY SEED``."""
        lines = [line.split() for line in self.notes.read_text().splitlines()] if self.notes.exists() else []
        return [" ".join(line[1:3]) for line in lines if line[0] == word]

    def let_go(self) -> None:
        """Let the runs that hold end."""
        (self.root / "notes.go").touch()

    def files(self) -> set[str]:
        """All files of the person, without those that were there at first."""
        found = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        return found - {"toy.yaml", "templates/toy.txt"}

    def end(self) -> None:
        """Wait until no runner is left."""
        self.let_go()
        for directory in (Path(self.environment["SIMCAMPAIGN_HOME"]) / "local/arrays").glob("*"):
            until(lambda: is_idle(directory))  # noqa: B023 - called at once


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place without a Prefect server."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "SIMCAMPAIGN"))}
    mine["SIMCAMPAIGN_HOME"] = str(tmp_path / "home")
    mine["PREFECT_HOME"] = str(tmp_path / "prefect")
    mine["PYTHONPATH"] = str(ROOT)
    (tmp_path / "work").mkdir()
    place = Place(tmp_path / "work", mine)
    yield place
    place.end()


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
    """A Prefect server of its own; an idle one takes most of a core. It may be killed and started again."""

    def __init__(self, home: Path) -> None:
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
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "0.2",
            "PREFECT_SERVER_UI_API_URL": f"{self.url}/api",
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home / "ui"),
            "DO_NOT_TRACK": "1",
            "PREFECT_REQUESTS_COUNTED": str(self.api.dots),
            "PYTHONPATH": str(ROOT),
        }
        app = ["uvicorn", "--factory", "tests.flows.counted_server:create_app"]
        self._command = [sys.executable, "-m", *app, "--host", "127.0.0.1", "--port", str(port)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        until(self._is_healthy, 3 * PATIENCE)

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


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run one Prefect server for the tests of a module."""
    server = Server(tmp_path_factory.mktemp("prefect-server"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def prefect_api(prefect_server: Server) -> Api:
    """The API of the module's server."""
    return prefect_server.api


@pytest.fixture
def api(place: Place, prefect_api: Api) -> Api:
    """The server, which flows of ``place`` are told to use."""
    place.environment["PREFECT_API_URL"] = prefect_api.url
    return prefect_api
