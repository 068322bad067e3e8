"""Flows as a person runs them: in processes of their own, from a directory with a config, a template and a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.prefect_server import Api, Server, running_server
from tests.support import PATIENCE, is_idle, until

ROOT = Path(__file__).parents[2]
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


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory, prefect_home: Path) -> Iterator[Server]:
    """Run one Prefect server for the tests of a module."""
    with running_server(tmp_path_factory.mktemp("prefect-server"), prefect_home) as server:
        yield server


@pytest.fixture(scope="module")
def prefect_api(prefect_server: Server) -> Api:
    """The API of the module's server."""
    return prefect_server.api


@pytest.fixture
def api(place: Place, prefect_api: Api) -> Api:
    """The server, which flows of ``place`` are told to use."""
    place.environment["PREFECT_API_URL"] = prefect_api.url
    return prefect_api
