"""The flow of clusters on a real scheduler behind a real SSH server that shares no directory with the flow."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.services.slurm import NoSlurm, SlurmCluster, slurm_cluster
from tests.integration.services.sshd import NoSshd, SshServers, ssh_servers

FLOW = "flows.run_cluster_simulations"


@dataclass
class Far:
    servers: SshServers
    cluster: SlurmCluster

    @property
    def home(self) -> Path:
        return self.servers.hosts[0].home

    def left(self) -> list[Path]:
        """Files of campaigns that are on the host."""
        return [path for path in self.home.glob(".simcampaign/**/campaigns/**/*") if path.is_file()]


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    folder = tmp_path_factory.mktemp("far")
    try:
        with (
            slurm_cluster() as cluster,
            ssh_servers(folder / "s", environment={"PATH": os.environ["PATH"], **cluster.environment}) as servers,
        ):
            yield Far(servers, cluster)
    except (NoSlurm, NoSshd) as error:
        pytest.skip(str(error))


@pytest.fixture
def told(place: Any, far: Far, api: Any) -> Any:
    """A place whose flow is that of clusters, with the sites ``hpc`` and ``box``, and a Prefect server."""
    sites = place.root.parent / "sites.toml"
    reached = f'host = "node0"\nconfig_file = "{far.servers.config}"\nenvironment = {{COLOUR = "blue"}}\n'
    sites.write_text(f'[hpc]\nbackend = "slurm"\npoll_seconds = 1\n{reached}\n[box]\nbackend = "ssh"\n{reached}')
    place.environment["SIMCAMPAIGN_SITES"] = str(sites)
    place.configure()
    config = json.loads((place.root / "toy.yaml").read_text())
    del config["context"]["slots"]
    command = ["sh", "-c", 'echo "colour $COLOUR in $PWD"; exec "$@"', "sh", sys.executable, "-I", "-S"]
    command += [str(Path(__file__).parents[1] / "toy_model.py"), "{input}", "{output}", str(place.notes)]
    config["context"] |= {"site": "hpc", "command": command}
    (place.root / "toy.yaml").write_text(json.dumps(config))
    return place


@pytest.mark.parametrize("given", [["context.options={partition: short}"], ["context.site=box"]], ids=["slurm", "ssh"])
def test_a_campaign_runs_where_no_files_are_shared_and_nothing_stays_there(
    told: Any, far: Far, given: list[str]
) -> None:
    done = told.run("toy.yaml", *given, flow=FLOW)
    assert done.status == 0, done.text
    assert "6 of 6 runs done" in done.out
    names = {Path(name).name for name in told.files() if "/outputs/" in name}
    assert names == {f"toy_{key}_000{seed}.{end}" for key in "pq" for seed in range(3) for end in "ab"}
    (log, *_) = [told.root / name for name in told.files() if "/logs/" in name]
    assert f"colour blue in {far.home}/.simcampaign/" in log.read_text()
    assert far.left() == []
    assert len(told.noted()) == 6
    again = told.run("toy.yaml", *given, flow=FLOW)
    assert again.out.startswith("Nothing is left to do"), again.text


def test_an_option_that_the_site_does_not_have_is_said_before_anything_is_created(told: Any, far: Far) -> None:
    done = told.run("toy.yaml", "context.options={partitoin: short}", flow=FLOW)
    assert done.status == 2, done.text
    assert "did you mean `partition`" in done.text
    assert "toy/" not in " ".join(told.files())
