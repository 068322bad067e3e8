"""The Python API on this host: a file of sites and a ledger of its own for each test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from simcampaign import api
from simcampaign.errors import SimcampaignError
from simcampaign.sites.registry import open_site
from tests.support import is_idle, until

SITES = """\
[local]
slots = 2
grace_seconds = 0.3
executable = "sh {input}"
mpirun = "env RANKS={ranks}"
environment = {FROM_SITE = "yes"}

[bare]
backend = "local"
grace_seconds = 0.3
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's folder; the test's own folder is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SIMCAMPAIGN_SITES", str(tmp_path / "sites.toml"))
    monkeypatch.delenv("SIMCAMPAIGN_LEDGER_URL", raising=False)
    (tmp_path / "sites.toml").write_text(SITES)
    yield tmp_path / "home"
    if not (tmp_path / "home").exists():
        return
    for job in api.get_jobs(status=["queued", "running"], limit=1000):
        with contextlib.suppress(SimcampaignError):
            job.cancel()
    for name in ("local", "bare"):
        root = Path(open_site(name).site.scratch).parent
        for directory in (root / "arrays").glob("*"):
            until(lambda: not directory.exists() or is_idle(directory))  # noqa: B023 - called at once


def sh(text: str) -> list[str]:
    """A command that a shell carries out."""
    return ["sh", "-c", text]
