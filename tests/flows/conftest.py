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
PATIENCE = 90.0
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

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, **body: Any) -> Any:
        return httpx.post(f"{self.url}/{path}", json=body, timeout=60).raise_for_status().json()

    def flow_run(self, name: str) -> dict[str, Any]:
        """The newest flow run of this name; an empty mapping if there is none yet."""
        found = self.post("flow_runs/filter", flow_runs={"name": {"any_": [name]}}, sort="START_TIME_DESC")
        return found[0] if found else {}

    def task_runs(self, flow_run: dict[str, Any]) -> list[str]:
        found = self.post("task_runs/filter", flow_runs={"id": {"any_": [flow_run["id"]]}})
        return sorted(task_run["name"] for task_run in found)

    def artifacts(self, flow_run: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.post("artifacts/filter", flow_runs={"id": {"any_": [flow_run["id"]]}})
        return found


@pytest.fixture(scope="module")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Run one Prefect server for the tests of a module; an idle one takes most of a core."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT")},
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect-server")),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "0.2",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    output = subprocess.DEVNULL
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)], env=environment, stdout=output, stderr=output
    )
    try:

        def healthy() -> bool:
            assert process.poll() is None, "Prefect's server ended"
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=5).is_success
            return False

        until(healthy)
        yield Api(f"http://127.0.0.1:{port}/api")
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture
def api(place: Place, prefect_api: Api) -> Api:
    """The server, which flows of ``place`` are told to use."""
    place.environment["PREFECT_API_URL"] = prefect_api.url
    return prefect_api
