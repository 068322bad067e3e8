"""What the guide's commands need: a place of their own, and one Prefect server for all of them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.prefect_server import running_server

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def docs_prefect_api(tmp_path_factory: pytest.TempPathFactory, prefect_home: Path) -> Iterator[str]:
    """Run one Prefect server for the tests of a module."""
    with running_server(tmp_path_factory.mktemp("prefect"), prefect_home) as server:
        yield server.api.url


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
