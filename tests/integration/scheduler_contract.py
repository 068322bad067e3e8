"""What every site of a scheduler keeps, whatever the scheduler; run over LSF and PBS as they are played."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from simcampaign.errors import NetworkError, SiteError
from simcampaign.jobs import Cause, JobState, Resources
from simcampaign.sites.cluster import ClusterSite, watching
from tests.integration.cluster_jobs import Followed, shell_array, text_of
from tests.integration.services.schedulers import Played, played_scheduler
from tests.support import until

MakeSite = Callable[..., ClusterSite[Any]]

_ORPHAN = """
import os, signal
from simcampaign.sites.cluster import {kind}
from tests.integration.cluster_jobs import shell_array
site = {kind}.configure("cluster", {kind}.options(scratch={scratch!r}))
site.submit(shell_array("orphan_0", "mkdir {folder}/ran-$1", 3))
os.kill(os.getpid(), signal.SIGKILL)
"""


class SchedulerContract:
    """Rules of a site; a class that derives from it names the scheduler."""

    kind: ClassVar[str]
    site_class: ClassVar[type[ClusterSite[Any]]]
    status_program: ClassVar[str]

    @pytest.fixture
    def played(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
        with played_scheduler(self.kind) as played:
            for name, value in played.environment.items():
                monkeypatch.setenv(name, value)
            yield played

    @pytest.fixture
    def make_site(self, played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSite:
        monkeypatch.setattr(watching, "GRACE_SECONDS", 0.5)

        def make(**options: Any) -> ClusterSite[Any]:
            merged = {"scratch": str(tmp_path / "scratch"), "poll_seconds": 0.1, **options}
            return self.site_class.configure("cluster", self.site_class.options(**merged))

        return make

    @pytest.fixture
    def site(self, make_site: MakeSite) -> ClusterSite[Any]:
        return make_site()

    def test_jobs_run_each_once_and_tell_how_they_ended(self, site: ClusterSite[Any], tmp_path: Path) -> None:
        script = f"echo job $1; mkdir {tmp_path}/ran-$1; case $1 in 1) exit 7;; 3) kill -9 $$;; esac"
        remote_id = site.submit(shell_array("campaign_a_0", script, 5))
        ends = Followed(site, remote_id).until_over(5)
        assert [ends[index].exit_code for index in range(5)] == [0, 7, 0, 137, 0]
        assert [ends[index].state for index in (0, 1, 3)] == [JobState.FINISHED, JobState.FAILED, JobState.FAILED]
        assert ends[1].cause is Cause.APPLICATION
        assert text_of(site, remote_id, 4) == "job 4\n"
        assert len(list(tmp_path.glob("ran-*"))) == 5

    def test_an_array_of_one_job_is_its_job_0(self, site: ClusterSite[Any]) -> None:
        remote_id = site.submit(shell_array("single_0", "echo job $1; exec sleep 100", 1))
        followed = Followed(site, remote_id)
        followed.until_state([0], JobState.RUNNING)
        until(lambda: text_of(site, remote_id, 0) == "job 0\n")
        site.cancel(remote_id, [0])
        assert followed.until_over(1)[0].state is JobState.CANCELLED

    def test_single_jobs_and_the_rest_are_cancelled(self, make_site: MakeSite) -> None:
        site = make_site(max_running=2)
        remote_id = site.submit(shell_array("cancelled_0", "exec sleep 100", 6))
        followed = Followed(site, remote_id)
        followed.until_state([0, 1], JobState.RUNNING)
        site.cancel(remote_id, [1, 4, 5])
        followed.until_state([1, 4, 5], JobState.CANCELLED)
        site.cancel(remote_id, [1, 4])
        assert followed.states[0] is JobState.RUNNING
        site.cancel(remote_id)
        assert {end.state for end in followed.until_over(6).values()} == {JobState.CANCELLED}
        site.cancel(remote_id)

    def test_no_more_jobs_run_at_a_time_than_the_site_allows(self, make_site: MakeSite, tmp_path: Path) -> None:
        site = make_site(max_running=1)
        script = f"mkdir {tmp_path}/lock || exit 9; sleep 0.05; rmdir {tmp_path}/lock"
        ends = Followed(site, site.submit(shell_array("throttled_0", script, 4))).until_over(4)
        assert {end.exit_code for end in ends.values()} == {0}

    def test_a_killed_process_s_array_is_found_by_another(self, site: ClusterSite[Any], tmp_path: Path) -> None:
        program = _ORPHAN.format(kind=self.site_class.__name__, scratch=site.scratch, folder=tmp_path)
        killed = subprocess.run([sys.executable, "-c", program], cwd=Path.cwd(), env={**os.environ}, check=False)
        assert killed.returncode == -9
        remote_id = site.find("orphan_0")
        assert remote_id is not None
        assert site.submit(shell_array("orphan_0", "false", 3)) == remote_id
        ends = Followed(site, remote_id).until_over(3)
        assert {end.state for end in ends.values()} == {JobState.FINISHED}
        assert len(list(tmp_path.glob("ran-*"))) == 3

    def test_an_array_whose_reply_was_lost_is_found_in_the_queue(self, site: ClusterSite[Any], played: Played) -> None:
        played.hold(True)
        remote_id = site.submit(shell_array("reply_lost_0", "true", 2))
        Path(f"{site.scratch}/arrays/reply_lost_0/submitted").unlink()
        assert site.find("reply_lost_0") == remote_id
        assert site.find("reply_lost_1") is None
        played.hold(False)
        assert {end.state for end in Followed(site, remote_id).until_over(2).values()} == {JobState.FINISHED}

    def test_a_job_that_ran_into_its_time_limit_timed_out(self, site: ClusterSite[Any], played: Played) -> None:
        played.set(minute=1 / 60, history=True)
        array = shell_array("slow_0", "exec sleep 100", 1, Resources(timeout_seconds=1))
        end = Followed(site, site.submit(array)).until_over(1)[0]
        assert (end.state, end.cause) == (JobState.FAILED, Cause.TIMEOUT)
        assert "time limit" in end.message

    def test_waiting_for_a_scheduler_that_is_away_changes_nothing(
        self, site: ClusterSite[Any], played: Played, tmp_path: Path
    ) -> None:
        remote_id = site.submit(shell_array("away_0", f"until [ -e {tmp_path}/go ]; do sleep 0.02; done", 3))
        followed = Followed(site, remote_id)
        followed.until_state([0, 1, 2], JobState.RUNNING)
        played.stop()
        until(lambda: followed.look() or len(followed.silences) >= 3)
        assert "busy or down" in str(followed.silences[0])
        assert set(followed.states.values()) == {JobState.RUNNING}
        (tmp_path / "go").touch()
        ends = followed.until_over(3)  # exit codes are told without the scheduler
        assert {end.state for end in ends.values()} == {JobState.FINISHED}
        for ask in (lambda: site.submit(shell_array("away_1", "true", 1)), lambda: site.cancel(remote_id), site.queues):
            with pytest.raises(NetworkError, match="busy or down"):
                ask()
        played.start()
        assert site.find("away_1") is None
        again = site.submit(shell_array("away_1", "true", 1))
        assert Followed(site, again).until_over(1)[0].state is JobState.FINISHED

    def test_an_answer_that_was_cut_short_changes_nothing(self, site: ClusterSite[Any], played: Played) -> None:
        remote_id = site.submit(shell_array("cut_0", "exec sleep 100", 2))
        followed = Followed(site, remote_id)
        followed.until_state([0, 1], JobState.RUNNING)
        played.set(cut={self.status_program: True})

        def refused() -> bool:
            try:
                followed.look()
            except SiteError as error:
                return "cannot be understood" in str(error)
            return False

        until(refused)
        assert set(followed.states.values()) == {JobState.RUNNING}
        played.set()
        site.cancel(remote_id)
        followed.until_over(2)

    def test_jobs_that_the_scheduler_has_forgotten_are_lost_and_not_finished(
        self, site: ClusterSite[Any], played: Played, tmp_path: Path
    ) -> None:
        script = f'[ "$1" = 0 ] && exit 0; echo $$ >{tmp_path}/pid-$1; exec sleep 100'
        remote_id = site.submit(shell_array("forgotten_0", script, 2))
        followed = Followed(site, remote_id)
        followed.until_state([0], JobState.FINISHED)
        followed.until_state([1], JobState.RUNNING)
        played.end_jobs()
        played.forget()
        ends = followed.until_over(2)
        assert ends[0].state is JobState.FINISHED
        assert (ends[1].state, ends[1].cause) == (JobState.LOST, Cause.LOST)

    def test_a_refusal_says_why_and_leaves_nothing(self, make_site: MakeSite) -> None:
        site = make_site(queue="nope")
        with pytest.raises(SiteError, match=r"(?i)queue"):
            site.submit(shell_array("refused_0", "true", 2))
        assert site.find("refused_0") is None
        with pytest.raises(SiteError, match=r"(?i)array"):
            make_site().submit(shell_array("large_0", "true", 101))
        assert make_site().capabilities.max_array_size == 100

    @pytest.mark.parametrize("hostile", ["a\nrm -rf x", "a b", '"; touch {} #', "$(touch {})", "`touch {}`", "a'b"])
    def test_values_that_nobody_vouches_for_are_refused(
        self, make_site: MakeSite, tmp_path: Path, hostile: str
    ) -> None:
        value = hostile.format(tmp_path / "pwned")
        for field in ("queue", "account", "mail"):
            with pytest.raises(SiteError, match="cannot stand in"):
                make_site(**{field: value}).submit(shell_array("hostile_0", "true", 2))
        assert not (tmp_path / "pwned").exists()

    def test_odd_paths_names_and_commands_are_taken_as_they_are(self, make_site: MakeSite, tmp_path: Path) -> None:
        site = make_site(scratch=str(tmp_path / 'a b\'c $(touch pwned) "d"'))
        array = shell_array("1 odd,name;$(touch pwned)".replace(" ", "_"), 'printf %s "$0"', 2)
        remote_id = site.submit(array)
        assert {end.state for end in Followed(site, remote_id).until_over(2).values()} == {JobState.FINISHED}
        assert text_of(site, remote_id, 1) == "sh"
        assert not list(tmp_path.rglob("pwned"))

    def test_health_is_told(self, site: ClusterSite[Any]) -> None:
        findings = {finding.subject: finding for finding in site.doctor()}
        assert not [finding for finding in findings.values() if finding.fine is False]
        assert "100 jobs" in findings["arrays"].detail
