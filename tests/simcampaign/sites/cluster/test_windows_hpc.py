"""Windows HPC, as its documentation has it; nobody has tried it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from simcampaign.errors import SiteError
from simcampaign.jobs import JobState, Resources
from simcampaign.sites.cluster import WindowsHpcSite
from simcampaign.sites.cluster.adapter import Request
from simcampaign.sites.cluster.windows_hpc import WindowsHpc, WindowsHpcOptions
from simcampaign.sites.hosts.base import Done

hpc = WindowsHpc()


def said(out: str, err: str = "", code: int = 0) -> Done:
    return Done(code, out.encode(), err.encode())


def test_it_is_said_to_be_untried() -> None:
    site = WindowsHpcSite.configure("w", WindowsHpcOptions(max_array_size=10))
    assert site.capabilities.tried is False
    assert any("never tried" in finding.detail for finding in site.doctor())


def test_values_are_inert_in_the_job_file() -> None:
    options = WindowsHpcOptions(account='"/><Evil a="', node_group="a&b", mail="me@example.org", max_running=2)
    request = Request("a", 5, "C:\\it's <here>", Resources(cpus=2, timeout_seconds=60), options)
    job = ElementTree.fromstring(hpc.script(request))  # noqa: S314 - our own
    space = "{http://schemas.microsoft.com/HPCS2008R2/scheduler/}"
    assert (job.get("Project"), job.get("NodeGroups"), job.get("MaxCores")) == ('"/><Evil a="', "a&b", "4")
    task = job.find(f"{space}Tasks/{space}Task")
    assert task is not None
    assert (task.get("StartValue"), task.get("EndValue"), task.get("RuntimeSeconds")) == ("0", "4", "60")
    assert task.findtext(f".//{space}Value") == "C:\\it's <here>"
    with pytest.raises(SiteError, match="control character"):
        hpc.script(Request("a", 5, "/x\ny", Resources(), options))


def test_answers_are_read() -> None:
    assert hpc.parse_submitted("Job has been submitted. ID: 25.\n") == "25"
    text = "Task Id : 25.1\nState : Running\n\nTask Id : 25.1.0\nState : Finished\nExit Code : 0\n\n"
    text += "Task Id : 25.1.1\nState : Failed\nExit Code : 3\n"
    jobs = hpc.parse_status(said(text))["25"]
    assert {index: (seen.state, seen.exit_code) for index, seen in jobs.items()} == {
        0: (JobState.FINISHED, 0),
        1: (JobState.FAILED, 3),
    }
    with pytest.raises(SiteError):
        hpc.parse_status(said("something else : entirely\n"))
