"""Simulations are solved where the owner of the service says: on a host over SSH, or on a cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simcampaign import web
from tests.integration.services.slurm import NoSlurm, slurm_cluster
from tests.integration.services.sshd import NoSshd, ssh_servers
from tests.simcampaign.service.server import Server, running
from tests.simcampaign.web.things import warm, waveguide

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(params=["ssh", "slurm"])
def service(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A service whose solver works on another kind of site."""
    given: dict[str, object] = {"backend": request.param, "scratch": str(tmp_path / "scratch")}
    try:
        if request.param == "ssh":
            servers = request.getfixturevalue("hosts")
            given = {"backend": "ssh", "host": "node0", "config_file": str(servers.config), "python": sys.executable}
        else:
            cluster = request.getfixturevalue("cluster")
            given |= {"poll_seconds": 1}
            for name, value in cluster.environment.items():
                monkeypatch.setenv(name, value)
    except (NoSlurm, NoSshd) as error:
        pytest.skip(f"it cannot be run here: {error}")
    table = "\n".join(["[there]", *(f"{name} = {json.dumps(value)}" for name, value in given.items())])
    settings = f'[solver]\nsite = "there"\npython = "{sys.executable}"\n'
    monkeypatch.setattr(web.cache, "enabled", False)
    monkeypatch.chdir(tmp_path)
    with running(tmp_path / "home", settings, "--solver", sites=table) as server:
        monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "client"))
        monkeypatch.setenv("SIMCAMPAIGN_SOLVER_URL", str(server.http.base_url))
        yield server


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    with ssh_servers(tmp_path_factory.mktemp("ssh-solver")) as servers:
        yield servers


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    with slurm_cluster() as cluster:
        yield cluster


def test_a_chain_is_solved_there_and_its_results_come_here(service: Server, tmp_path: Path) -> None:
    heat = web.upload(warm(5.0), "heat")
    optics = waveguide(0.5).model_copy(update={"temperature": web.ref(heat)["temperature"]})
    second = web.upload(optics, "optics")
    web.start(heat)
    web.start(second)
    web.monitor(second, verbose=False)
    data = web.load(second, tmp_path / "optics.hdf5")
    assert np.all((data.n_eff > 1.444) & (data.n_eff < 3.476))
    assert len(service.http.get("/jobs", params={"site": "there"}).json()) == 2
    assert web.real_cost(second) > 0
    assert web.download_log(second, tmp_path / "log.txt").exists()
