"""A site that is a real Grid Engine: arrays, failures, cancelling, limits, a master that is away."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simcampaign.errors import NetworkError, SiteError
from simcampaign.jobs import Cause, JobState, Resources
from simcampaign.sites.cluster import SgeSite, watching
from simcampaign.sites.cluster.sge import SgeOptions
from tests.integration.cluster_jobs import Followed, shell_array, text_of
from tests.integration.services.sge import GridEngine, NoGridEngine, grid_engine
from tests.support import until

MakeSite = Callable[..., SgeSite]


@pytest.fixture(scope="module")
def engine() -> Iterator[GridEngine]:
    with pytest.MonkeyPatch.context() as patch:
        try:
            with grid_engine() as engine:
                for name, value in engine.environment.items():
                    patch.setenv(name, value)
                # Other tests of this process may have put programs of the same names before the engine's.
                patch.setenv("PATH", f"/usr/bin:{os.environ['PATH']}")
                yield engine
        except NoGridEngine as error:
            pytest.skip(str(error))


@pytest.fixture(name="make_site")
def make_site_fixture(engine: GridEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSite:
    monkeypatch.setattr(watching, "GRACE_SECONDS", 2.0)  # accounts are written each second here

    def make(**options: Any) -> SgeSite:
        merged = {"scratch": str(tmp_path / "scratch"), "poll_seconds": 0.5, **options}
        return SgeSite.configure("grid", SgeOptions(**merged))

    return make


@pytest.fixture
def site(make_site: MakeSite) -> SgeSite:
    return make_site()


def test_jobs_run_each_once_and_tell_how_they_ended(site: SgeSite, tmp_path: Path) -> None:
    script = f"echo job $1; mkdir {tmp_path}/ran-$1; case $1 in 1) exit 7;; 3) kill -9 $$;; esac"
    remote_id = site.submit(shell_array("campaign_a_0", script, 5))
    ends = Followed(site, remote_id).until_over(5)
    assert [ends[index].exit_code for index in range(5)] == [0, 7, 0, 137, 0]
    assert [ends[index].state for index in (0, 1, 3)] == [JobState.FINISHED, JobState.FAILED, JobState.FAILED]
    assert ends[1].cause is Cause.APPLICATION
    assert text_of(site, remote_id, 4) == "job 4\n"
    assert len(list(tmp_path.glob("ran-*"))) == 5


def test_single_jobs_and_the_rest_are_cancelled(make_site: MakeSite) -> None:
    site = make_site(max_running=2)
    remote_id = site.submit(shell_array("cancelled_0", "exec sleep 100", 5))
    followed = Followed(site, remote_id)
    followed.until_state([0, 1], JobState.RUNNING)
    site.cancel(remote_id, [1, 4])
    followed.until_state([1, 4], JobState.CANCELLED)
    site.cancel(remote_id, [1, 4])
    assert followed.states[0] is JobState.RUNNING
    site.cancel(remote_id)
    ends = followed.until_over(5)
    assert {end.state for end in ends.values()} == {JobState.CANCELLED}
    site.cancel(remote_id)


def test_a_killed_process_s_array_is_found_by_another(site: SgeSite, tmp_path: Path) -> None:
    program = f"""
import os, signal
from simcampaign.sites.cluster import SgeSite, watching
from simcampaign.sites.cluster.sge import SgeOptions
from tests.integration.cluster_jobs import shell_array
site = SgeSite.configure("grid", SgeOptions(scratch={site.scratch!r}))
site.submit(shell_array("orphan_0", "mkdir {tmp_path}/ran-$1; echo $1", 3))
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", program], cwd=Path.cwd(), env={**os.environ}, check=False)
    assert killed.returncode == -9
    remote_id = site.find("orphan_0")
    assert remote_id is not None
    assert site.submit(shell_array("orphan_0", "false", 3)) == remote_id
    ends = Followed(site, remote_id).until_over(3)
    assert {end.state for end in ends.values()} == {JobState.FINISHED}
    assert len(list(tmp_path.glob("ran-*"))) == 3


def test_an_array_whose_reply_was_lost_is_found_in_the_queue(site: SgeSite) -> None:
    remote_id = site.submit(shell_array("reply_lost_0", "exec sleep 100", 2))
    Path(f"{site.scratch}/arrays/reply_lost_0/submitted").unlink()
    assert site.find("reply_lost_0") == remote_id
    site.cancel(remote_id)
    Followed(site, remote_id).until_over(2)


def test_what_was_never_submitted_is_not_found(site: SgeSite) -> None:
    assert site.find("never_0") is None


def test_a_job_that_ran_into_its_time_limit_timed_out(site: SgeSite) -> None:
    array = shell_array("slow_0", "exec sleep 100", 1, Resources(timeout_seconds=2))
    end = Followed(site, site.submit(array)).until_over(1)[0]
    assert (end.state, end.cause) == (JobState.FAILED, Cause.TIMEOUT)
    assert "time limit" in end.message


def test_a_job_that_cannot_be_started_says_why(make_site: MakeSite) -> None:
    site = make_site(directives=["-wd /nowhere"])
    end = Followed(site, site.submit(shell_array("nowhere_0", "true", 2))).until_over(2)[0]
    assert (end.state, end.cause) == (JobState.FAILED, Cause.INFRASTRUCTURE)
    assert "could not be started" in end.message
    assert "/nowhere" in end.message


def test_a_job_that_was_given_up_never_starts_even_if_the_engine_is_told_to_try_it_again(
    make_site: MakeSite, tmp_path: Path
) -> None:
    site = make_site(directives=[f"-wd {tmp_path}/later"])
    remote_id = site.submit(shell_array("given_up_0", f"touch {tmp_path}/ran-$1", 2))
    Followed(site, remote_id).until_over(2)
    (tmp_path / "later").mkdir()
    number = remote_id.partition(":")[2]
    done = subprocess.run(["qmod", "-cj", number], check=False, capture_output=True, text=True)
    assert "cleared" in done.stdout, done
    until(lambda: subprocess.run(["qstat", "-j", number], check=False, capture_output=True).returncode)
    assert not list(tmp_path.glob("ran-*"))
    assert site.running(remote_id, 10) == []


def test_several_cores_need_a_parallel_environment(make_site: MakeSite) -> None:
    array = shell_array("cores_0", "echo $NSLOTS", 1, Resources(cpus=2))
    with pytest.raises(SiteError, match=r"(?s)parallel environment.*qconf -spl"):
        make_site().submit(array)
    site = make_site(parallel_environment="smp")
    remote_id = site.submit(array)
    Followed(site, remote_id).until_over(1)
    assert text_of(site, remote_id, 0) == "2\n"


def test_what_the_engine_would_refuse_is_told_before_anything_is_submitted(make_site: MakeSite) -> None:
    with pytest.raises(SiteError, match="nope"):
        make_site(queue="nope.q").check(shell_array("refused_0", "true", 1))
    make_site(queue="main.q").check(shell_array("fine_0", "true", 1))


def test_queues_limits_and_health_are_told(site: SgeSite) -> None:
    (queue,) = site.queues()
    assert (queue.name, queue.state, queue.nodes, queue.cores) == ("main.q", "up", 1, 8)
    assert queue.memory_mb
    assert queue.max_seconds is None
    assert site.capabilities.max_array_size == 500
    findings = {finding.subject: finding for finding in site.doctor()}
    assert not [finding for finding in findings.values() if finding.fine is False]
    assert "8.1" in findings["scheduler"].detail


def test_details_tell_what_jobs_used(site: SgeSite) -> None:
    remote_id = site.submit(shell_array("used_0", "exit $1", 2))
    Followed(site, remote_id).until_over(2)
    details = until(lambda: site.details(remote_id) if len(site.details(remote_id)) == 2 else ())
    assert [(each.index, each.exit_code) for each in sorted(details, key=lambda each: each.index)] == [(0, 0), (1, 1)]
    assert all(each.started and each.ended and each.ended >= each.started for each in details)


def test_two_submitters_of_one_array_get_the_same(site: SgeSite, make_site: MakeSite, tmp_path: Path) -> None:
    array = shell_array("twice_0", f"mkdir {tmp_path}/ran-$1", 3)
    answers: list[str] = []
    threads = [threading.Thread(target=lambda s=s: answers.append(s.submit(array))) for s in (site, make_site())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    ends = Followed(site, answers[0]).until_over(3)
    assert {end.state for end in ends.values()} == {JobState.FINISHED}


def test_waiting_for_a_master_that_is_away_changes_nothing(site: SgeSite, engine: GridEngine, tmp_path: Path) -> None:
    remote_id = site.submit(shell_array("away_0", f"until [ -e {tmp_path}/go ]; do sleep 0.1; done", 3))
    followed = Followed(site, remote_id)
    followed.until_state([0, 1, 2], JobState.RUNNING)
    engine.stop_master()
    try:
        until(lambda: followed.look() or len(followed.silences) >= 3)
        assert "busy or down" in str(followed.silences[0])
        assert set(followed.states.values()) == {JobState.RUNNING}
        (tmp_path / "go").touch()
        ends = followed.until_over(3)  # exit codes are told without the master
        assert {end.state for end in ends.values()} == {JobState.FINISHED}
        for ask in (lambda: site.submit(shell_array("away_1", "true", 1)), lambda: site.cancel(remote_id), site.queues):
            with pytest.raises(NetworkError, match="busy or down"):
                ask()
    finally:
        engine.start_master()
    assert site.find("away_1") is None
    again = site.submit(shell_array("away_1", "true", 1))
    assert site.find("away_1") == again  # it stays queued for long, until the hosts have come back to the master
