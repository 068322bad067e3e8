"""What the guide's commands need: a place of their own, and one Prefect server for all of them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def docs_prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one Prefect server, as ``prefect server start`` does, for the tests of a module."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("prefect")
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    environment.pop("PREFECT_API_URL", None)
    command = [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}/api"
        deadline = time.monotonic() + 300
        while not _answers(f"{url}/health"):
            assert server.poll() is None, (home / "server.log").read_text()
            assert time.monotonic() < deadline, "the Prefect server does not answer"
            time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait(60)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def reader(tmp_path: Path, docs_prefect_api: str) -> tuple[Path, dict[str, str]]:
    """Return a fresh copy of the project as a reader of the guide has it after ``make demo``, and the environment.

    The virtual environment is the one that runs the tests; ``make`` finds it where it would have made it.
    """
    project = tmp_path / "simcampaign"
    project.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, project)
    for name in ("configs", "deployments", "requirements", "templates"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    venv = project / ".venv"
    venv.mkdir()
    for entry in ("bin", "lib", "pyvenv.cfg"):
        (venv / entry).symlink_to(BIN.parent / entry)
    for stamp in (".demo", ".dev"):
        (venv / stamp).touch()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SIMCAMPAIGN_", "PREFECT_"))},
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path / "home"),
        "SIMCAMPAIGN_HOME": str(tmp_path / "home" / "simcampaign"),
        "PREFECT_HOME": str(tmp_path / "home" / "prefect"),
        "PREFECT_API_URL": docs_prefect_api,
        "COLUMNS": "100",
        "SIMCAMPAIGN_SOLVER_IDLE_MINUTES": "0.5",  # of the solver that the page on `web` starts
    }
    return project, environment
