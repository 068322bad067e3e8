"""The site on a real Slurm cluster: what happens to jobs there, and what is said of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simcampaign.errors import ConfigError, NetworkError, SiteError
from simcampaign.jobs import ArraySpec, Cause, JobReport, JobSpec, JobState, Resources
from simcampaign.sites.base import Site
from simcampaign.sites.cluster import SlurmSite
from simcampaign.sites.cluster.slurm import SlurmOptions
from tests.integration.services.slurm import NoSlurm, SlurmCluster, slurm_cluster
from tests.integration.services.sshd import NoSshd, ssh_servers
from tests.support import until

PATIENCE = 90.0


@contextmanager
def running(**settings: Any) -> Iterator[SlurmCluster]:
    """A cluster whose commands this process finds; skips where none can be run."""
    old = {name: os.environ.get(name) for name in ("SLURM_CONF", "PATH")}
    try:
        with slurm_cluster(**settings) as cluster:
            os.environ.update(cluster.environment)
            yield cluster
    except NoSlurm as error:
        pytest.skip(f"Slurm cannot be run here: {error}")
    finally:
        for name, value in old.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with running() as cluster:
        yield cluster


@pytest.fixture
def site(cluster: SlurmCluster, tmp_path: Path) -> SlurmSite:
    return new_site(tmp_path)


def new_site(folder: Path, **options: Any) -> SlurmSite:
    return SlurmSite("here", SlurmOptions(**{"scratch": str(folder / "scratch of it's"), "poll_seconds": 1, **options}))


def an_array(shell: str, size: int = 1, name: str = "", **changes: Any) -> ArraySpec:
    """Jobs of ``sh -c SHELL``, which is given index and input."""
    name = name or f"t{time.time_ns()}"
    jobs = [JobSpec(index, f"{name}_{index}", f"/in puts/{index}.xml", str(index)) for index in range(size)]
    settings: dict[str, Any] = {"command": ("sh", "-c", shell, "sh", "{index}", "{input}"), **changes}
    return ArraySpec(name, f"{name}_set", "/work/", "/work/outputs/", jobs=jobs, **settings)


class Followed:
    """An array that is looked at as the engine looks."""

    def __init__(self, site: Site, remote_id: str) -> None:
        self.site, self.remote_id, self.cursor = site, remote_id, ""
        self.jobs: dict[int, JobReport] = {}

    def look(self) -> Mapping[int, JobReport]:
        report = self.site.status({self.remote_id: self.cursor})[self.remote_id]
        self.cursor = report.cursor
        self.jobs.update((each.index, each) for each in report.changes)
        return self.jobs

    def until(self, seen: Callable[[Mapping[int, JobReport]], object]) -> Mapping[int, JobReport]:
        deadline = time.monotonic() + PATIENCE
        while not seen(self.look()):
            assert time.monotonic() < deadline, f"in vain: {self.jobs}"
            self.site.wait([self.remote_id], 0.5)
        return self.jobs

    def end(self, size: int = 1) -> Mapping[int, JobReport]:
        return self.until(lambda jobs: sum(not job.state.active for job in jobs.values()) >= size)


def run(site: Site, array: ArraySpec) -> Mapping[int, JobReport]:
    return Followed(site, site.submit(array)).end(len(array.jobs))


def outcome(job: JobReport) -> tuple[JobState, Cause | None]:
    return job.state, job.cause


LOST = (JobState.LOST, Cause.LOST)


def test_jobs_are_told_all_that_they_must_know(site: SlurmSite, tmp_path: Path) -> None:
    place = tmp_path / "a 'place' of {job}"
    (place / "2.d").mkdir(parents=True)
    shell = 'pwd; printf "%s|" "$1" "$2" "$JOB_ARRAY_INDEX" "$SIMCAMPAIGN_SEEDS" "$LINES"'
    array = an_array(shell, 260, directory=f"{place}/2.d", environment={"LINES": "it's\n $HOME `id`"})
    remote_id = site.submit(array)
    jobs = Followed(site, remote_id).end(260)
    assert {job.state for job in jobs.values()} == {JobState.FINISHED}
    logs = dict(site.logs(remote_id, [2, 259]))
    assert logs[2].decode() == f"{place}/2.d\n2|/in puts/2.xml|2|2|it's\n $HOME `id`|"
    assert b"\n259|/in puts/259.xml|259|259|" in logs[259]
    now = time.time()
    assert all(job.started and job.ended and now - 120 < job.started <= job.ended <= now + 1 for job in jobs.values())


def test_a_directory_that_is_not_there_is_no_fault_of_the_application(site: SlurmSite, tmp_path: Path) -> None:
    array = an_array("true", directory=str(tmp_path / "nowhere"))
    remote_id = site.submit(array)
    job = Followed(site, remote_id).end()[0]
    assert outcome(job) == (JobState.FAILED, Cause.INFRASTRUCTURE)
    assert b"nowhere" in dict(site.logs(remote_id, [0]))[0]


def test_modules_and_prologue_come_before_the_command(cluster: SlurmCluster, tmp_path: Path) -> None:
    define = 'module() { test "$1-$2" = load-good && WORD=$2 && export WORD; }'
    login = f"/bin/sh {tmp_path}/shell"
    good = new_site(tmp_path, prologue="export MORE=more", modules=["good"], shell=login)
    (tmp_path / "shell").write_text(f'{define}\n. "$1"\n')
    remote_id = good.submit(an_array('echo "$WORD and $MORE"'))
    assert Followed(good, remote_id).end()[0].state is JobState.FINISHED
    assert dict(good.logs(remote_id, [0])) == {0: b"good and more\n"}
    remote_id = good.submit(an_array("echo never", options={"modules": ["bad 'one'"]}))
    assert outcome(Followed(good, remote_id).end()[0]) == (JobState.FAILED, Cause.INFRASTRUCTURE)
    assert dict(good.logs(remote_id, [0])) == {0: b"simcampaign: module bad 'one' cannot be loaded\n"}


def test_a_command_that_compute_nodes_do_not_have_is_named(site: SlurmSite) -> None:
    job = run(site, an_array("", command=("/no/such/program",)))[0]
    assert (*outcome(job), job.exit_code) == (JobState.FAILED, Cause.APPLICATION, 127)
    assert "not found" in job.message


def test_a_job_that_catches_the_request_to_end_is_cancelled_nevertheless(site: SlurmSite) -> None:
    followed = Followed(site, site.submit(an_array('trap "echo caught; exit 0" TERM; echo on; sleep 60 & wait', 2)))
    followed.until(lambda jobs: len(dict(site.logs(followed.remote_id, [0, 1]))) == 2)
    site.cancel(followed.remote_id, [1])
    followed.until(lambda jobs: not jobs[1].state.active)
    site.cancel(followed.remote_id)
    assert {job.state for job in followed.end(2).values()} == {JobState.CANCELLED}
    until(lambda: dict(site.logs(followed.remote_id, [0])) == {0: b"on\ncaught\n"})


def test_jobs_whose_node_goes_down_failed_for_that(cluster: SlurmCluster, site: SlurmSite) -> None:
    followed = Followed(site, site.submit(an_array("echo on; sleep 60", options={"directives": ["--nodelist=n3"]})))
    followed.until(lambda jobs: dict(site.logs(followed.remote_id, [0])))
    cluster.run("scontrol", "update", "nodename=n3", "state=down", "reason=test")
    try:
        job = followed.end()[0]
        assert outcome(job) == (JobState.FAILED, Cause.INFRASTRUCTURE)
        assert job.message == "its node failed"
    finally:
        cluster.run("scontrol", "update", "nodename=n3", "state=idle")


@pytest.fixture
def forgetful() -> Iterator[SlurmCluster]:
    with running(nodes=1, cpus=2) as cluster:
        yield cluster


def forget(cluster: SlurmCluster) -> None:
    """Have the controller lose all that it knew of jobs."""
    cluster.stop_controller()
    shutil.rmtree(cluster.folder / "state")
    (cluster.folder / "state").mkdir()
    cluster.start_controller()
    cluster.await_nodes()


def test_jobs_that_the_controller_forgot_are_lost_and_not_before_it_answers(
    forgetful: SlurmCluster, tmp_path: Path
) -> None:
    site = new_site(tmp_path)
    followed = Followed(site, site.submit(an_array("true", 2, options={"directives": ["--hold"]})))
    followed.look()
    forgetful.stop_controller()
    with pytest.raises(NetworkError, match="Slurm is busy or down"):
        followed.until(lambda jobs: jobs)
    assert followed.jobs == {}
    forgetful.start_controller()
    forget(forgetful)
    assert {outcome(job) for job in followed.end(2).values()} == {LOST}


def test_a_script_that_is_killed_leaves_no_exit_code_and_is_not_finished(site: SlurmSite) -> None:
    job = run(site, an_array("kill -KILL $PPID; sleep 5"))[0]
    assert job.state is JobState.FAILED
    assert job.exit_code != 0


def test_a_job_that_is_over_for_slurm_but_left_no_exit_code_is_lost(
    site: SlurmSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk swallows what the job writes down at its end."""
    (tmp_path / "bin").mkdir()
    swallow = tmp_path / "bin" / "mv"
    swallow.write_text('#!/bin/sh\ncase $2 in ec/*) exit 0 ;; esac\nexec /bin/mv "$@"\n')
    swallow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    job = run(site, an_array("true"))[0]
    assert outcome(job) == LOST
    assert "left no exit code" in job.message


def test_a_second_submission_of_the_same_script_starts_nothing(cluster: SlurmCluster, site: SlurmSite) -> None:
    array = an_array("echo once", 5, name="twice")
    remote_id = site.submit(array)
    again = cluster.run("sbatch", "--parsable", f"{site.scratch}/arrays/twice/job.sh").strip()
    jobs = Followed(site, remote_id).end(5)
    until_gone(cluster, again)
    assert {job.state for job in jobs.values()} == {JobState.FINISHED}
    assert {data for _, data in site.logs(remote_id, range(5))} == {b"once\n"}


def until_gone(cluster: SlurmCluster, array_id: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while cluster.run("squeue", "-h", "-j", array_id).strip():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_array_whose_submission_came_to_nothing_is_fenced_for_good(forgetful: SlurmCluster, tmp_path: Path) -> None:
    """The submitter died after it had written the array down; its submission arrives after somebody asked."""
    site = new_site(tmp_path)
    array = an_array("echo never", 3, name="fenced")
    directory, late = Path(site.scratch) / "arrays" / "fenced", tmp_path / "late.sh"
    site.submit(replace(array, options={"directives": ["--hold"]}))
    late.write_text((directory / "job.sh").read_text())
    forget(forgetful)
    (directory / "submitted").unlink()
    assert site.find("fenced") is None
    assert not directory.exists()
    number = forgetful.run("sbatch", "--parsable", str(late)).strip()
    forgetful.run("scontrol", "release", number)
    until_gone(forgetful, number)
    assert not directory.exists()
    remote_id = site.submit(array)
    assert {job.state for job in Followed(site, remote_id).end(3).values()} == {JobState.FINISHED}


def test_an_array_whose_id_was_not_written_down_is_found_in_the_queue(site: SlurmSite) -> None:
    remote_id = site.submit(an_array("sleep 1", 3, name="unheard"))
    (Path(site.scratch) / "arrays" / "unheard" / "submitted").unlink()
    assert site.find("unheard") == remote_id
    assert site.submit(an_array("sleep 1", 3, name="unheard")) == remote_id
    Followed(site, remote_id).end(3)


def test_an_array_that_slurm_forgot_is_found_by_what_its_jobs_left(forgetful: SlurmCluster, tmp_path: Path) -> None:
    site = new_site(tmp_path)
    remote_id = site.submit(an_array("true", 2, name="forgotten"))
    Followed(site, remote_id).end(2)
    (Path(site.scratch) / "arrays" / "forgotten" / "submitted").unlink()
    forget(forgetful)
    assert site.find("forgotten") == remote_id


def test_what_slurm_refuses_is_told_with_its_words_and_leaves_nothing(site: SlurmSite) -> None:
    array = an_array("true", name="refused", options={"partition": "nowhere"})
    with pytest.raises(SiteError, match="partition"):
        site.check(array)
    with pytest.raises(SiteError, match=r"refused array refused.*partition"):
        site.submit(array)
    assert site.find("refused") is None
    with pytest.raises(SiteError, match="array"):
        site.submit(an_array("true", 10002, name="toolarge"))
    with pytest.raises(SiteError, match="would refuse"):
        site.check(an_array("true", resources=Resources(cpus=1000)))


def test_options_of_one_array_reach_slurm_and_unknown_ones_are_refused(cluster: SlurmCluster, site: SlurmSite) -> None:
    resources = Resources(cpus=2, ranks=2, timeout_seconds=61)
    array = an_array("sleep 30", options={"partition": "short", "exclusive": True}, resources=resources)
    remote_id = site.submit(array)
    shown = cluster.run("scontrol", "show", "job", remote_id.partition(":")[2])
    site.cancel(remote_id)
    for fact in ("Partition=short", "TimeLimit=00:02:00", "CPUs/Task=2", "NumTasks=2", "Requeue=0", "OverSubscribe=NO"):
        assert fact in shown, shown
    with pytest.raises(ConfigError, match="did you mean `partition`"):
        site.submit(an_array("true", options={"partitoin": "short"}))
    with pytest.raises(SiteError, match="directive"):
        site.submit(an_array("true", options={"partition": "short\n#SBATCH --wrap=id"}))


def test_an_array_is_found_followed_and_cleaned_by_a_new_process(site: SlurmSite, tmp_path: Path) -> None:
    site.submit(an_array("echo hello from $1", 4, name="kept"))
    program = """
import sys
from simcampaign.sites.cluster import SlurmSite
from simcampaign.sites.cluster.slurm import SlurmOptions
site = SlurmSite("here", SlurmOptions(scratch=sys.argv[1]))
remote_id, cursor, ended = site.find("kept"), "", 0
while ended < 4:
    report = site.status({remote_id: cursor})[remote_id]
    cursor, ended = report.cursor, ended + sum(not each.state.active for each in report.changes)
    site.wait([remote_id], 1)
print(sorted(site.logs(remote_id, range(4)))[3])
site.clean(remote_id)
"""
    done = subprocess.run([sys.executable, "-c", program, site.scratch], capture_output=True, text=True, check=True)
    assert done.stdout == "(3, b'hello from 3\\n')\n"
    assert not (Path(site.scratch) / "arrays" / "kept").exists()


def test_the_largest_array_is_what_slurm_says(tmp_path: Path) -> None:
    with running(nodes=1, max_array_size=7):
        site = new_site(tmp_path)
        assert site.capabilities.max_array_size == 7
        assert new_site(tmp_path, max_array_size=3).capabilities.max_array_size == 3
        assert len(run(site, an_array("true", 7))) == 7


def test_a_look_at_its_health_finds_what_is_wrong(cluster: SlurmCluster, tmp_path: Path) -> None:
    findings = {each.subject: each for each in new_site(tmp_path).doctor()}
    assert all(each.fine is not False for each in findings.values())
    assert findings["scheduler"].detail.startswith("slurm-wlm")
    assert "10001" in findings["arrays"].detail
    broken = {each.subject: each for each in new_site(tmp_path, partition="nowhere").doctor()}
    assert broken["submission"].fine is False
    assert "partition" in broken["submission"].detail
    (tmp_path / "file").write_text("")
    nowhere = SlurmSite("here", SlurmOptions(scratch=f"{tmp_path}/file/scratch"))
    assert {each.subject for each in nowhere.doctor() if each.fine is False} >= {"scratch"}


def test_partitions_are_told_with_what_they_have_and_use(cluster: SlurmCluster, site: SlurmSite) -> None:
    followed = Followed(site, site.submit(an_array("sleep 60", resources=Resources(cpus=3))))
    followed.until(lambda jobs: 0 in jobs)
    main, short = site.queues()
    site.cancel(followed.remote_id)
    assert (main.name, main.default, main.nodes, main.nodes_used, main.cores, main.cores_used) == (
        "main",
        True,
        3,
        1,
        12,
        3,
    )
    assert (main.memory_mb, main.max_seconds) == (12000, None)
    assert (short.name, short.default, short.max_seconds) == ("short", False, 300)


@pytest.fixture(scope="module")
def accounted() -> Iterator[SlurmCluster]:
    with running(accounting=True, nodes=2) as cluster:
        yield cluster


def test_accounting_tells_memory_and_times_of_jobs(accounted: SlurmCluster, tmp_path: Path) -> None:
    site = new_site(tmp_path)
    hold = f'{sys.executable} -c "x = bytearray(300_000_000); import time; time.sleep(4)"'
    remote_id = site.submit(an_array(hold))
    Followed(site, remote_id).end()
    deadline = time.monotonic() + PATIENCE
    while not (told := site.details(remote_id)) or told[0].peak_memory_bytes is None:
        assert time.monotonic() < deadline, told
        time.sleep(0.2)
    assert told[0].peak_memory_bytes > 250_000_000
    assert told[0].started is not None
    assert told[0].ended is not None
    findings = {each.subject: each for each in site.doctor()}
    assert findings["accounting"].fine is True


def test_jobs_that_were_cancelled_before_they_began_are_told_by_accounting(
    accounted: SlurmCluster, tmp_path: Path
) -> None:
    site = new_site(tmp_path)
    remote_id = site.submit(an_array("true", 6, options={"directives": ["--hold"]}))
    site.cancel(remote_id, [1, 2, 4])
    accounted.run("scancel", f"{remote_id.partition(':')[2]}_[0,3,5]")
    jobs = Followed(site, remote_id).end(6)
    assert {job.state for job in jobs.values()} == {JobState.CANCELLED}
    assert {each.state for each in site.details(remote_id)} == {JobState.CANCELLED}
    assert len(site.details(remote_id)) == 6


def test_a_job_over_its_memory_ran_out_of_memory(tmp_path: Path) -> None:
    with running(nodes=1, cgroups=True):
        site = new_site(tmp_path)
        take = f'{sys.executable} -c "x = bytearray(400_000_000)"; exit 5'
        hidden = run(site, an_array(take, resources=Resources(memory_mb=50)))[0]
        alone = an_array("", command=(sys.executable, "-c", "bytearray(400_000_000)"))
        killed = run(site, replace(alone, resources=Resources(memory_mb=50, ranks=2)))[0]
        fails = run(site, an_array("exit 5", resources=Resources(memory_mb=50)))[0]
    assert (*outcome(hidden), hidden.exit_code) == (JobState.FAILED, Cause.OUT_OF_MEMORY, 5)
    assert (*outcome(killed), killed.exit_code) == (JobState.FAILED, Cause.OUT_OF_MEMORY, 137)
    assert (*outcome(fails), fails.exit_code) == (JobState.FAILED, Cause.APPLICATION, 5)


def test_a_cluster_is_used_over_ssh(cluster: SlurmCluster, tmp_path: Path) -> None:
    try:
        with ssh_servers(tmp_path / "ssh", environment=cluster.environment) as servers:
            options = SlurmOptions(
                host="node0", config_file=str(servers.config), scratch=f"{tmp_path}/far away", poll_seconds=2
            )
            remotely(SlurmSite("far", options), servers.hosts[0])
    except NoSshd as error:
        pytest.skip(f"no SSH server can be run here: {error}")


def remotely(site: SlurmSite, host: Any) -> None:
    remote_id = site.submit(an_array("echo from afar $1; exit $(($1 == 1))", 3, name="afar"))
    followed = Followed(site, remote_id)
    jobs = followed.end(3)
    assert [outcome(jobs[index]) for index in range(3)] == [
        (JobState.FINISHED, None),
        (JobState.FAILED, Cause.APPLICATION),
        (JobState.FINISHED, None),
    ]
    assert dict(site.logs(remote_id, range(3))) == {index: f"from afar {index}\n".encode() for index in range(3)}
    host.cut(stop=True)
    with pytest.raises(NetworkError):
        site.find("afar")
    host.start()
    assert site.find("afar") == remote_id
    site.clean(remote_id)
