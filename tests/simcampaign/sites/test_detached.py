"""What detached sites share out and end: cores, single jobs, names; at the local site, with real processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from simcampaign.errors import SiteError
from simcampaign.jobs import ArraySpec, Cause, JobReport, JobSpec, JobState, Resources
from simcampaign.sites.local import LocalOptions, LocalSite
from tests.support import is_idle, until

GATED = "echo {index} >> ran; until [ -e go-{index} ]; do sleep 0.02; done"
BUSY = "echo + >> ran; sleep 0.05; echo - >> ran"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where jobs start."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def site(tmp_path: Path, folder: Path) -> Iterator[LocalSite]:
    """A site for four cores."""
    site = LocalSite(root=tmp_path / "root", slots=4, grace_seconds=0.3)
    yield site
    for directory in site.root.glob("arrays/[!.]*/"):
        site.cancel(site.find(directory.name) or "")
        until(lambda: is_idle(directory))  # noqa: B023 - called at once


def shell(name: str, script: str, size: int = 1, **others: object) -> ArraySpec:
    jobs = [JobSpec(index, f"{name}_{index}", f"{index}.xml", "0") for index in range(size)]
    return ArraySpec(name, "group", "/w/", "/w/out/", ("sh", "-c", script), jobs=jobs, **others)  # type: ignore[arg-type]


def cores(cpus: float, ranks: int = 1) -> Resources:
    return Resources(cpus=cpus, ranks=ranks)


def jobs_of(site: LocalSite, remote_id: str) -> dict[int, JobReport]:
    return {job.index: job for job in site.status({remote_id: ""})[remote_id].changes}


def end(site: LocalSite, remote_id: str, size: int) -> list[JobReport]:
    """Wait for the end of an array; returns its jobs in their order."""
    until(lambda: sum(not job.state.active for job in jobs_of(site, remote_id).values()) == size)
    return [job for _, job in sorted(jobs_of(site, remote_id).items())]


def lines(name: str = "ran") -> list[str]:
    return Path(name).read_text().splitlines() if Path(name).exists() else []


def most_at_once(marks: Sequence[str]) -> int:
    running = peak = 0
    for mark in marks:
        running += 1 if mark == "+" else -1
        peak = max(peak, running)
    return peak


@pytest.mark.parametrize(
    ("resources", "peak"), [(cores(0.5), 4), (cores(1.5), 2), (cores(1, ranks=3), 1), (cores(4), 1)]
)
def test_a_job_takes_as_many_slots_as_it_has_cores_rounded_up(site: LocalSite, resources: Resources, peak: int) -> None:
    end(site, site.submit(shell("a", BUSY.replace("0.05", "0.2"), 6, resources=resources)), 6)
    assert len(lines()) == 12
    assert most_at_once(lines()) == peak


def test_arrays_whose_jobs_take_several_slots_do_not_wait_for_each_other_for_ever(site: LocalSite) -> None:
    sizes = {"one": 1, "two": 2, "three": 3, "two-more": 2, "four": 4, "three-more": 3}
    script = "echo +{model} >> ran; sleep 0.03; echo -{model} >> ran"
    remote_ids = [
        site.submit(shell(name, script, 8, resources=cores(need), model=str(need))) for name, need in sizes.items()
    ]
    for remote_id in remote_ids:
        assert {job.state for job in end(site, remote_id, 8)} == {JobState.FINISHED}
    taken = peak = 0
    for mark in lines():
        taken += int(mark)
        peak = max(peak, taken)
    assert peak <= 4
    assert taken == 0
    assert len(lines()) == 2 * 8 * len(sizes)


def test_a_runner_killed_while_it_collects_slots_holds_back_nobody(site: LocalSite) -> None:
    first = site.submit(shell("first", GATED, 1, resources=cores(1)))
    until(lambda: lines() == ["0"])
    second = site.submit(shell("second", "true", 2, resources=cores(4)))  # has three slots, and waits for the fourth
    third = site.submit(shell("third", "true", 2, resources=cores(4)))
    lock = site.root / "arrays" / "second" / "runner.lock"
    os.kill(int(until(lambda: lock.read_text().split())[0]), signal.SIGKILL)
    until(lambda: is_idle(lock.parent))
    Path("go-0").touch()
    for remote_id, size in ((third, 2), (second, 2), (first, 1)):
        assert {job.state for job in end(site, remote_id, size)} == {JobState.FINISHED}


def test_slots_stay_taken_by_jobs_whose_runner_was_killed(site: LocalSite) -> None:
    remote_id = site.submit(shell("a", GATED, 2, resources=cores(3)))
    until(lambda: lines() == ["0"])
    lock = site.root / "arrays" / "a" / "runner.lock"
    os.kill(int(lock.read_text().split()[0]), signal.SIGKILL)
    until(lambda: is_idle(lock.parent))
    other = site.submit(shell("b", "echo b >> ran", resources=cores(2)))
    time.sleep(0.3)
    assert lines() == ["0"], "one slot of four is free, which is too little"
    for index in (0, 1):
        Path(f"go-{index}").touch()
    end(site, other, 1)
    assert [job.state for job in end(site, remote_id, 2)] == [JobState.LOST, JobState.FINISHED]


def test_more_cores_than_slots_or_any_gpu_is_refused(site: LocalSite) -> None:
    for refuse in (site.check, site.submit):
        with pytest.raises(SiteError, match="a job needs 5 cores, but this site has 4 slots"):
            refuse(shell("a", "true", resources=cores(2.5, ranks=2)))
        with pytest.raises(SiteError, match="gpus = 1"):
            refuse(shell("a", "true", resources=Resources(gpus=1)))
        with pytest.raises(SiteError, match="partition: site local has no such options"):
            refuse(shell("a", "true", options={"partition": "long"}))
    assert not site.root.exists()


def test_single_jobs_are_cancelled_whether_they_run_wait_or_are_over(site: LocalSite) -> None:
    remote_id = site.submit(shell("a", GATED, 4, resources=cores(2)))
    until(lambda: sorted(lines()) == ["0", "1"])
    Path("go-0").touch()
    until(lambda: len(lines()) == 3)
    site.cancel(remote_id, [0, 1, 3, 99])
    site.cancel(remote_id, [3])
    site.cancel(remote_id, [])
    Path("go-2").touch()
    jobs = end(site, remote_id, 4)
    done, ended = JobState.FINISHED, JobState.CANCELLED
    assert [job.state for job in jobs] == [done, ended, done, ended]
    assert [job.message for job in jobs] == ["", "cancelled while it ran", "", "cancelled before it was started"]
    site.cancel(remote_id, [2])
    assert end(site, remote_id, 4) == jobs
    events = (site.root / "arrays" / "a" / "journal").read_text()
    assert events.count('"event":"end"') == 4


def test_single_jobs_are_cancelled_without_a_living_runner(site: LocalSite) -> None:
    remote_id = site.submit(shell("a", GATED, 4, resources=cores(2)))
    until(lambda: len(lines()) == 2)
    lock = site.root / "arrays" / "a" / "runner.lock"
    os.kill(int(lock.read_text().split()[0]), signal.SIGKILL)
    until(lambda: is_idle(lock.parent))
    site.cancel(remote_id, [1, 2])
    for index in (0, 3):
        Path(f"go-{index}").touch()
    states = [job.state for job in end(site, remote_id, 4)]
    assert states == [JobState.LOST, JobState.CANCELLED, JobState.CANCELLED, JobState.FINISHED]
    assert sorted(lines()) == ["0", "1", "3"]


def test_each_job_starts_in_its_own_directory_and_never_in_one_that_is_not_there(site: LocalSite, folder: Path) -> None:
    (folder / "job a_0").mkdir()
    (folder / "job a_0" / "model").write_text("#!/bin/sh\npwd\n")
    (folder / "job a_0" / "model").chmod(0o755)
    array = shell("a", "", 2, directory="job {job_id}")
    remote_id = site.submit(ArraySpec(**{**vars(array), "command": ("./model",)}))
    jobs = end(site, remote_id, 2)
    assert dict(site.logs(remote_id, [0, 1])) == {0: f"{folder}/job a_0\n".encode()}
    assert (jobs[1].state, jobs[1].cause) == (JobState.FAILED, Cause.INFRASTRUCTURE)
    assert f"its directory '{folder}/job a_1' cannot be entered" in jobs[1].message


def test_braces_in_the_submitters_directory_are_no_placeholders(
    site: LocalSite, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "{index}").mkdir()
    monkeypatch.chdir(folder / "{index}")
    remote_id = site.submit(shell("a", "pwd"))
    end(site, remote_id, 1)
    assert dict(site.logs(remote_id, [0])) == {0: f"{folder}/{{index}}\n".encode()}


def test_a_name_that_was_looked_for_in_vain_is_refused(site: LocalSite) -> None:
    assert site.find("late") is None
    for _ in range(2):
        with pytest.raises(SiteError, match="array late was looked for before it arrived"):
            site.submit(shell("late", "echo >> ran"))
    assert site.find("late") is None
    remote_id = site.submit(shell("a", "true")).replace(":a", ":late")
    assert site.status({remote_id: ""})[remote_id].known is False
    site.cancel(remote_id)
    site.clean(remote_id)
    site.wait([remote_id], 0.01)
    assert lines() == []


def test_names_stay_refused_for_days_and_not_for_ever(site: LocalSite) -> None:
    for name, days in (("old", 8), ("fresh", 1)):
        site.find(name)
        os.utime(site.root / "arrays" / name, times=(time.time() - days * 86400,) * 2)
    end(site, site.submit(shell("a", "true")), 1)
    assert sorted(path.name for path in (site.root / "arrays").iterdir()) == ["a", "fresh"]


def test_options_make_a_site_and_wrong_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path))
    options = TypeAdapter(LocalOptions)
    site = LocalSite.configure("mine", options.validate_python({"slots": 3, "price_per_core_hour": 0.5}))
    assert (site.name, site.root, site.slots) == ("mine", tmp_path / "local", 3)
    assert site.scratch == str(tmp_path / "local" / "scratch")
    assert site.price_per_hour(cores(1.5, ranks=2)) == 1.5
    for wrong in ({"slots": 0}, {"grace_seconds": -1}, {"price_per_core_hour": -1}, {"root": ""}, {"slot": 1}):
        with pytest.raises(ValidationError):
            options.validate_python(wrong)


def test_doctor_tries_what_jobs_will_need(site: LocalSite, tmp_path: Path) -> None:
    findings = {each.subject: each for each in site.doctor()}
    assert all(each.fine is not False for each in findings.values())
    assert {"python", "slots", "memory", "root", "scratch", "disk of scratch"} <= set(findings)
    (tmp_path / "file").touch()
    broken = LocalSite(root=tmp_path / "file" / "root", slots=9999)
    found = {each.subject: each for each in broken.doctor()}
    assert found["root"].fine is False
    assert "file/root cannot be written to" in found["root"].detail
    assert found["slots"].fine is None
