"""What the site accepts, what it costs, and that it can travel to another process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from simcampaign.errors import ConfigError, SiteError
from simcampaign.jobs import Resources
from tests.simcampaign.sites.batch.conftest import PLACE, array_of, site_of


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": ""}, "image"),
        ({"command": ("python", "-m", "model")}, "command 'python'"),
        ({"working_url": "/home/ada/out/"}, "run_local_simulations"),
        ({"resources": Resources(1, None)}, "memory"),
        ({"resources": Resources(1.5, 1024)}, r"vcpus = 1\.5"),
        ({"resources": Resources(1, 3)}, "memory = 3"),
        ({"resources": Resources(1, 1024, 59)}, "timeout = 59"),
        ({"directory": "/scratch/{job_id}"}, "directory '/scratch/{job_id}': .* the image says where"),
        ({"options": {"queue": "other"}}, "queue: .*\n.*set it in site batch"),
    ],
)
def test_what_the_service_would_refuse_is_refused_before(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SiteError, match=said):
        site_of(**PLACE).check(array_of(0, **changes))


def test_an_array_that_can_run_passes() -> None:
    site_of(**PLACE).check(array_of(0))


@pytest.mark.parametrize(
    ("cpus", "memory", "said"),
    [
        (0.25, 512, ""),
        (1, 8192, ""),
        (16, 122880, ""),
        (3, 4096, "vcpus = 3: .*\n.*one of 0.25, 0.5, 1, 2, 4, 8, 16"),
        (1, 1024, "memory = 1024: .* 2048 to 8192 MiB in steps of 1024.*\n.*memory: 2048"),
        (8, 17000, "memory: 20480"),
        (2, 99999, "memory: 16384"),
    ],
)
def test_fargate_has_sizes_of_its_own(cpus: float, memory: int, said: str) -> None:
    site, array = site_of(**PLACE, platform="FARGATE"), array_of(0, resources=Resources(cpus, memory))
    if said:
        with pytest.raises(SiteError, match=said):
            site.check(array)
    else:
        site.check(array)


def test_every_setting_that_the_service_does_not_take_is_said_at_once() -> None:
    wrong = {"account": "12345", "user": "-ada", "attempts": 11, "max_array_size": 10_001}
    with pytest.raises(ConfigError) as caught:
        site_of(**{**PLACE, **wrong})
    assert [problem.path for problem in caught.value.problems] == [f"batch.{field}" for field in wrong]


def test_an_hour_of_a_job_costs_its_vcpus_and_its_memory() -> None:
    site = site_of(**PLACE, price_per_vcpu_hour=0.04, price_per_gb_hour=0.005)
    assert site.price_per_hour(Resources(2, 4096)) == pytest.approx(2 * 0.04 + 4 * 0.005)
    assert site_of(**PLACE).price_per_hour(Resources(2, 4096)) == 0


def test_without_boto3_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(SiteError, match=r"pip install 'simcampaign\[aws\]'"):
        site_of(**PLACE).find("x")


def test_the_site_can_be_described_without_loading_boto3() -> None:
    code = "import sys, simcampaign.sites.batch; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
