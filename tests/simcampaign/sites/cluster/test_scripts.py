"""Scripts of all schedulers: a shell can read them, and values that nobody vouches for are refused or inert."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from simcampaign.errors import SiteError
from simcampaign.jobs import Resources
from simcampaign.sites.cluster import ClusterSite, LsfSite, PbsSite, SgeSite, SlurmSite
from simcampaign.sites.cluster.adapter import Request

SITES = (LsfSite, PbsSite, SgeSite, SlurmSite)
EXTRA: dict[type[ClusterSite[Any]], dict[str, Any]] = {SgeSite: {"parallel_environment": "smp"}}
WANTED = Resources(cpus=2, memory_mb=999, timeout_seconds=100, ranks=2, gpus=1)
HOSTILE = ("a\nb", "a\rb", "a\u2028b", "a b", "a'b", 'a"b', "$(id)", "`id`", "a;id", "a#b", "a\\b", " ", "a\tb")
TEXTS = ("account", "mail", "queue", "partition", "qos", "constraint", "gpu_type", "project", "parallel_environment")


def script(
    site: type[ClusterSite[Any]], directory: str = "/scratch", resources: Resources = WANTED, **more: Any
) -> str:
    options = site.options(**{**EXTRA.get(site, {}), **more})
    return site.adapter.script(Request(site.adapter.job_name("n 1;$(id)"), 7, directory, resources, options))


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("directory", ["/scratch", "/a b", "/it's", '/"$(id)`id`', "/ünï"])
def test_a_shell_reads_every_script_and_paths_are_inert(site: type[ClusterSite[Any]], directory: str) -> None:
    text = script(site, directory, mail="me@example.org", exclusive=True, max_running=3, account="a1")
    checked = subprocess.run(["/bin/sh", "-n"], input=text, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    line = next(line for line in text.splitlines() if line.startswith("simcampaign_directory="))
    printed = subprocess.run(
        ["/bin/sh", "-c", f'{line}; printf %s "$simcampaign_directory"'], text=True, capture_output=True, check=True
    )
    assert printed.stdout == directory


@pytest.mark.parametrize("site", SITES)
def test_no_directive_is_left_for_the_shell(site: type[ClusterSite[Any]]) -> None:
    lines = script(site, mail="me@example.org", exclusive=True, max_running=3, account="a1").splitlines()
    body = lines.index(next(line for line in lines if line.startswith("simcampaign_directory=")))
    assert all(line.startswith("#") for line in lines[:body])
    assert not any(line.startswith("#") for line in lines[body:])


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_refused(site: type[ClusterSite[Any]], value: str) -> None:
    fields = [name for name in TEXTS if name in site.options.__dataclass_fields__]
    assert len(fields) >= 3
    for name in fields:
        with pytest.raises(SiteError, match="cannot stand in a directive"):
            script(site, **{name: value})


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("value", ["-l a=$(id)", "x\n#EVIL", "-l a=`id`", "-l 'a b'", "a;id"])
def test_hostile_directives_are_refused(site: type[ClusterSite[Any]], value: str) -> None:
    with pytest.raises(SiteError, match="cannot stand in a directive"):
        script(site, directives=[value])


@pytest.mark.parametrize("site", [LsfSite, PbsSite, SgeSite])
def test_a_directive_may_have_arguments_and_stays_in_its_line(site: type[ClusterSite[Any]]) -> None:
    lines = script(site, directives=["-l a=1\n-x 2"]).splitlines()
    assert [line.split(" ", 1)[1] for line in lines if "a=1" in line] == ["-l a=1 -x 2"]


@pytest.mark.parametrize("site", SITES)
def test_a_path_with_a_line_break_is_refused(site: type[ClusterSite[Any]]) -> None:
    with pytest.raises(SiteError, match="control character"):
        script(site, "/a\nb")


def test_several_cores_need_a_parallel_environment_of_grid_engine() -> None:
    with pytest.raises(SiteError, match=r"(?s)4 cores.*qconf -spl"):
        script(SgeSite, parallel_environment=None)
    ranks = script(SgeSite, mpi_environment="mpi").splitlines()
    assert "#$ -pe mpi 4" in ranks
    assert "#$ -l h_vmem=250M" in ranks
    threads = script(SgeSite, resources=Resources(cpus=2, memory_mb=999), mpi_environment="mpi", memory_per_slot=False)
    assert {"#$ -pe smp 2", "#$ -l h_vmem=999M"} <= set(threads.splitlines())
