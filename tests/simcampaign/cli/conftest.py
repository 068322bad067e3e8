"""What the tests of the command line share: a place of their own, and one call that types."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simcampaign.cli import main
from tests.packages import install
from tests.simcampaign.sites.plugins import TOY


@dataclass(frozen=True)
class Answer:
    """What came back from a command."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document that was printed."""
        return json.loads(self.out)


Type = Callable[..., Answer]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep ledger, jobs and sites of a test below its own folder."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(home))
    for name in ("SIMCAMPAIGN_SITES", "SIMCAMPAIGN_LEDGER_URL", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture
def type_(capsys: pytest.CaptureFixture[str]) -> Type:
    """Type a command in this process."""

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        status = main(arguments)
        captured = capsys.readouterr()
        return Answer(status, captured.out, captured.err)

    return run


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a backend ``toy``, whose doctor finds what its options say; gives the folder."""
    folder = install(tmp_path / "plug-ins", "toysites", TOY, "simcampaign.sites", {"toy": "toysites:ToySite"})
    monkeypatch.syspath_prepend(str(folder))
    return folder
