"""A solver of its own for each test module, asked directly or through a proxy that breaks things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simcampaign import web
from tests.integration.proxy import Proxy
from tests.simcampaign.service.server import Server, running


@pytest.fixture(scope="module")
def solving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that solves."""
    settings = '[solver]\ncallback_hosts = ["127.0.0.1"]\n'
    with running(tmp_path_factory.mktemp("web") / "home", settings, "--solver") as server:
        yield server


@pytest.fixture
def service(solving: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The service, as ``web`` is told of it; what the client keeps lies in a folder of the test's own."""
    monkeypatch.setenv("SIMCAMPAIGN_SOLVER_URL", str(solving.http.base_url))
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "client"))
    monkeypatch.delenv("SIMCAMPAIGN_SOLVER_TOKEN", raising=False)
    monkeypatch.setattr(web.cache, "enabled", False)
    monkeypatch.chdir(tmp_path)
    return solving


@pytest.fixture
def proxy(service: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What stands between ``web`` and the service."""
    port = service.http.base_url.port
    assert port is not None
    with Proxy(port) as between:
        monkeypatch.setenv("SIMCAMPAIGN_SOLVER_URL", between.endpoint)
        yield between
