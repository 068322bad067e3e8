"""Jobs are found again: by name, by state, by group, page by page."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest

from simcampaign import api
from simcampaign.errors import ConfigError, ConflictError
from tests.simcampaign.api.conftest import sh

QUICK = api.Simulation(sh(":"))


def names(jobs: list[api.Job]) -> list[str]:
    return [job.job_name for job in jobs]


def test_jobs_are_listed_newest_first_and_page_by_page() -> None:
    for index in range(3):
        api.run_async(QUICK, "local", job_name=f"j{index}")
    array = api.run_many_async([QUICK] * 3, "local", job_name="many")
    everything = ["many_0000", "many_0001", "many_0002", "j2", "j1", "j0"]
    assert names(api.get_jobs()) == everything
    pages, after = [], None
    while page := api.get_jobs(limit=2, after=after):
        pages.append(names(page))
        after = page[-1]
    assert pages == [everything[:2], everything[2:4], everything[4:]]
    assert api.get_job_arrays() == [array]
    assert api.get_job_arrays(after=array) == []


def test_jobs_are_found_by_state_group_site_and_time() -> None:
    bad = api.run_async(api.Simulation(sh("exit 1")), "local", job_name="bad", group="mine")
    good = api.run_async(QUICK, "bare", job_name="good")
    bad.wait()
    good.wait()
    assert names(api.get_jobs(status="failed")) == ["bad"]
    assert names(api.get_jobs(status=["failed", "finished"])) == ["good", "bad"]
    assert names(api.get_jobs(group="mine")) == ["bad"]
    assert names(api.get_jobs(site_name="bare")) == ["good"]
    assert api.get_jobs(since=datetime.now() + timedelta(hours=1)) == []
    assert names(api.get_jobs(since=time.time() - 3600)) == ["good", "bad"]
    bad.delete()
    assert names(api.get_jobs()) == ["good"]
    assert names(api.get_jobs(group="archive")) == ["bad"]


def test_a_misspelt_name_or_state_is_recognised() -> None:
    api.run_async(QUICK, "local", job_name="melting")
    with pytest.raises(ConfigError, match="did you mean `melting`"):
        api.get_job("meltin", "local")
    with pytest.raises(ConfigError, match="no such job at site bare"):
        api.get_job("melting", "bare")
    with pytest.raises(ConfigError, match="did you mean `failed`"):
        api.get_jobs(status="faild")
    with pytest.raises(ConfigError, match="since = '2026-01-01'"):
        api.get_jobs(since="2026-01-01")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="limit"):
        api.get_jobs(limit=0)
    api.run_many_async([QUICK], "local", job_name="many")
    with pytest.raises(ConfigError, match="get_job_array"):
        api.get_job("many")
    with pytest.raises(ConfigError, match=r"is a single job; get_job\(\)"):
        api.get_job_array("melting")
    with pytest.raises(ConfigError, match="no such job array"):
        api.get_job_array("meltings")


def test_the_site_need_not_be_named_if_only_one_has_such_a_job() -> None:
    here, there = (api.run_async(QUICK, site, job_name="twin") for site in ("local", "bare"))
    assert here != there
    with pytest.raises(ConflictError, match="bare, local"):
        api.get_job("twin")
    here.wait()
    here.delete()
    assert api.get_job("twin") == there
    assert api.get_job("twin", "local") == here


def test_names_of_jobs_of_an_array_are_taken() -> None:
    api.run_many_async([QUICK] * 2, "local", job_name="a")
    with pytest.raises(ConflictError, match="a_0001"):
        api.run_async(QUICK, "local", job_name="a_0001")
    assert api.run_async(QUICK, "local", job_name="a_0002").wait() == "finished"
    api.run_async(QUICK, "local", job_name="b_0001")
    with pytest.raises(ConflictError, match="b_0001"):
        api.run_many_async([QUICK] * 2, "local", job_name="b")


def test_jobs_show_themselves() -> None:
    job = api.run_async(QUICK, "local", job_name="shown").result()
    assert repr(job) == "<Job shown at local: finished>"
    assert "<td>shown</td><td>local</td><td>finished</td>" in job._repr_html_()
    array = api.run_many_async([QUICK] * 25, "local", job_name="many").result()
    assert repr(array) == "<JobArray many at local: 25 finished>"
    assert "and 5 more" in array._repr_html_()
    assert array.counts == {api.JobState.FINISHED: 25}
    assert len(array) == len(list(array)) == 25
