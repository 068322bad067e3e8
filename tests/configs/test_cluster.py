"""The context of clusters and SSH hosts: what it takes, what it refuses and why, and the command that it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from configs.cluster import ClusterContextConfig
from simcampaign.errors import ConfigError
from simcampaign.jobs import Resources

SITES = """\
[hpc]
backend = "slurm"
host = "login.example.org"
mpirun = "mpirun -n {ranks}"
environment = {OMP_NUM_THREADS = "1"}

[here]
backend = "slurm"

[docker]

[cloud]
backend = "batch"
account = "123456789012"
region = "us-east-1"
user = "ada"
queue = "main"
"""


@pytest.fixture(autouse=True)
def _sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "sites.toml"
    file.write_text(SITES)
    monkeypatch.setenv("SIMCAMPAIGN_SITES", str(file))


def context(**changes: Any) -> ClusterContextConfig:
    places = {"working_location": "out", "manifest_location": "out", "template_location": "t", "site": "hpc"}
    given = {**places, "command": "{python} model.py {input} -c {cpus}", **changes}
    return TypeAdapter(ClusterContextConfig).validate_python(given)


def arguments(**changes: Any) -> tuple[str, ...]:
    made = context(**changes)
    return made.arguments(made.configured_site())


def test_an_object_store_is_refused_naming_the_flow_for_it() -> None:
    with pytest.raises(ValidationError, match="run_batch_simulations"):
        context(working_location="s3://bucket/x")


@pytest.mark.parametrize(
    ("site", "flow"),
    [("local", "run_local_simulations"), ("docker", "run_docker_simulations"), ("cloud", "run_batch_simulations")],
)
def test_a_site_that_has_a_flow_of_its_own_is_refused_naming_it(site: str, flow: str) -> None:
    with pytest.raises(ConfigError, match=flow):
        context(site=site).configured_site()


def test_a_site_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean `hpc`"):
        context(site="hcp").configured_site()


@pytest.mark.parametrize("gpus", [-1, True, 1.5])
def test_gpus_are_a_number_of_devices(gpus: object) -> None:
    with pytest.raises(ValidationError):
        context(gpus=gpus)


def test_a_command_for_another_host_names_its_python_and_what_the_job_is_given() -> None:
    assert arguments() == ("python3", "model.py", "{input}", "-c", "1")
    assert arguments(site="here")[0] != "python3"


def test_with_several_ranks_the_sites_mpirun_starts_the_command() -> None:
    assert arguments(ranks=4, cpus_per_job=2)[:4] == ("mpirun", "-n", "4", "python3")
    assert arguments(site="here", ranks=4, command="model")[0] == "model", "a site without mpirun starts it as it is"


def test_a_job_is_given_what_the_context_says() -> None:
    given = context(cpus_per_job=2, memory_per_job=500, timeout=60, ranks=3, gpus=1)
    assert given.resources() == Resources(2, 500, 60, 3, 1)
