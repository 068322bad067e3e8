"""The ssh site at a real sshd: jobs run there, while nothing stays connected and whatever is cut off or killed."""

from __future__ import annotations

import os
import pickle
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from simcampaign.errors import ConfigError, NetworkError, SiteError
from simcampaign.jobs import ArraySpec, Cause, JobReport, JobSpec, JobState, Resources
from simcampaign.sites.ssh import SshOptions, SshSite
from tests.integration.services.sshd import NoSshd, Sshd, SshServers, ssh_servers
from tests.support import is_idle, until

PATIENCE = 60.0
GATED = "echo {index} >> ran; until [ -e go ]; do sleep 0.02; done"
SUBMITTER = """
import pickle, sys
site, array = pickle.loads(bytes.fromhex(sys.stdin.readline()))
print("ready", flush=True)
sys.stdin.readline()
print(site.submit(array), flush=True)
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServers]:
    try:
        with ssh_servers(tmp_path_factory.mktemp("ssh-site")) as servers:
            yield servers
    except NoSshd as error:
        pytest.skip(f"no SSH server can be run here: {error}")


@pytest.fixture
def sshd(servers: SshServers) -> Sshd:
    return servers.hosts[0]


@pytest.fixture
def options(servers: SshServers, tmp_path: Path) -> SshOptions:
    """A site of its own for each test, with a hostile name of its directory."""
    root = str(tmp_path / 'the site\'s "root" $HOME')
    return SshOptions(
        host="node0", config_file=str(servers.config), root=root, python=sys.executable, slots=2, grace_seconds=0.3
    )


@pytest.fixture
def site(options: SshOptions, sshd: Sshd) -> Iterator[SshSite]:
    (sshd.home / "ran").unlink(missing_ok=True)
    (sshd.home / "go").unlink(missing_ok=True)
    site = SshSite.configure("box", options)
    yield site
    (sshd.home / "go").touch()
    for directory in Path(options.root).glob("arrays/[!.]*/"):
        site.cancel(f"{socket.gethostname()}:{directory.name}")
        until(lambda: is_idle(directory))  # noqa: B023 - called at once
    assert site.host is not None
    site.host.close()


def array_of(name: str, *command: str, size: int = 1, **others: object) -> ArraySpec:
    jobs = [JobSpec(index, f"{name}_{index}", f"in put/{index}.xml", "0-3") for index in range(size)]
    return ArraySpec(name, "group", "/some where/", "/out/", command, jobs=jobs, **others)  # type: ignore[arg-type]


def shell(name: str, script: str, size: int = 1, **others: object) -> ArraySpec:
    return array_of(name, "sh", "-c", script, size=size, **others)


class Watched:
    """What is known of an array after all looks so far."""

    def __init__(self, site: SshSite, remote_id: str) -> None:
        self.site, self.remote_id, self.cursor = site, remote_id, ""
        self.jobs: dict[int, JobReport] = {}

    def look(self) -> dict[int, JobReport]:
        report = self.site.status({self.remote_id: self.cursor})[self.remote_id]
        assert report.known
        self.cursor = report.cursor
        self.jobs.update((change.index, change) for change in report.changes)
        return self.jobs

    def end(self, size: int = 1) -> dict[int, JobReport]:
        deadline = time.monotonic() + PATIENCE
        while sum(not job.state.active for job in self.look().values()) < size:
            assert time.monotonic() < deadline, f"only {self.jobs}"
            time.sleep(0.05)
        return self.jobs


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_an_array_runs_there_with_its_environment_and_its_logs_are_read(site: SshSite, sshd: Sshd) -> None:
    array = shell("a", 'echo "$JOB_ARRAY_INDEX $MODE $PWD"; exit $JOB_ARRAY_INDEX', 3, environment={"MODE": "it's é"})
    site.check(array)
    watched = Watched(site, site.submit(array))
    jobs = watched.end(3)
    assert [(jobs[index].state, jobs[index].exit_code) for index in range(3)] == [
        (JobState.FINISHED, 0),
        (JobState.FAILED, 1),
        (JobState.FAILED, 2),
    ]
    expected = {index: f"{index} it's é {sshd.home}\n".encode() for index in range(3)}
    assert dict(site.logs(watched.remote_id, range(3))) == expected
    assert dict(site.logs(watched.remote_id, [2, 1], '"2 it"')) == {2: expected[2], 1: b""}


def test_each_job_starts_in_its_own_directory_or_says_that_it_is_not_there(site: SshSite, tmp_path: Path) -> None:
    for index in (0, 1):
        (tmp_path / f"job {index}").mkdir()
    array = shell("a", "echo {index} > here", 3, directory=f"{tmp_path}/job {{index}}")
    jobs = Watched(site, site.submit(array)).end(3)
    assert [(tmp_path / f"job {index}" / "here").read_text() for index in (0, 1)] == ["0\n", "1\n"]
    assert jobs[2].cause is Cause.INFRASTRUCTURE
    assert f"its directory '{tmp_path}/job 2' cannot be entered: No such file" in jobs[2].message


def test_a_large_log_comes_whole_though_answers_are_bounded(site: SshSite) -> None:
    script = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 20000)"
    remote_id = site.submit(array_of("a", sys.executable, "-c", script, size=2))
    Watched(site, remote_id).end(2)
    assert dict(site.logs(remote_id, [0, 1])) == dict.fromkeys((0, 1), bytes(range(256)) * 20000)


def test_one_job_is_cancelled_and_then_all(site: SshSite, sshd: Sshd) -> None:
    remote_id = site.submit(shell("a", GATED, 5))
    watched = Watched(site, remote_id)
    until(lambda: len(lines(sshd.home / "ran")) == 2)
    site.cancel(remote_id, [1, 4])
    until(lambda: {i for i, job in watched.look().items() if job.state is JobState.CANCELLED} == {1, 4})
    assert "while it ran" in watched.jobs[1].message
    assert "before it was started" in watched.jobs[4].message
    until(lambda: len(lines(sshd.home / "ran")) == 3)
    assert sorted(site.running(remote_id, 9)) == [0, 2]
    site.cancel(remote_id)
    assert {job.state for job in watched.end(5).values()} == {JobState.CANCELLED}
    assert sorted(lines(sshd.home / "ran")) == ["0", "1", "2"]


def test_limits_of_time_and_memory_are_kept(site: SshSite) -> None:
    site.submit(shell("slow", "sleep 60", resources=Resources(timeout_seconds=0.5)))
    hungry = array_of(
        "big",
        sys.executable,
        "-c",
        "import time; x = bytearray(150 << 20); time.sleep(60)",
        resources=Resources(memory_mb=100),
    )
    ends = [Watched(site, site.submit(hungry)).end()[0], Watched(site, site.find("slow") or "").end()[0]]
    assert [end.cause for end in ends] == [Cause.OUT_OF_MEMORY, Cause.TIMEOUT]


def test_a_new_process_finds_what_another_one_submitted(site: SshSite, sshd: Sshd) -> None:
    with submitter(site, shell("a", GATED, 2)) as process:
        assert process.stdout is not None
        remote_id = go(process).stdout.readline().strip()  # type: ignore[union-attr]
        process.kill()
    assert site.find("a") == remote_id
    (sshd.home / "go").touch()
    watched = Watched(site, remote_id)
    assert {job.state for job in watched.end(2).values()} == {JobState.FINISHED}
    site.clean(remote_id)
    report = site.status({remote_id: watched.cursor})[remote_id]
    assert (report.known, report.changes) == (False, ())


def submitter(site: SshSite, array: ArraySpec) -> subprocess.Popen[str]:
    """Start a process that has imported everything and submits as soon as it is sent a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(pickle.dumps((site, array)).hex() + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process


def test_what_was_looked_for_in_vain_can_no_longer_arrive(site: SshSite) -> None:
    assert site.find("late") is None
    assert site.find("late") is None
    with pytest.raises(SiteError, match="array late was looked for before it arrived"):
        site.submit(shell("late", "echo ran"))
    remote_id = f"{socket.gethostname()}:late"
    assert site.status({remote_id: ""})[remote_id].known is False
    assert dict(site.logs(remote_id, [0])) == {}


def test_a_connection_that_is_cut_changes_nothing_and_the_next_look_goes_on(site: SshSite, sshd: Sshd) -> None:
    watched = Watched(site, site.submit(shell("a", GATED, 3)))
    until(lambda: len(watched.look()) == 2)
    sshd.cut(stop=True)
    before = dict(watched.jobs)
    with pytest.raises(NetworkError):
        watched.look()
    began = time.monotonic()
    site.wait([watched.remote_id], 0.5)  # news cannot be had: that is no error of its own
    assert time.monotonic() - began >= 0.5
    findings = list(site.doctor())
    assert [(each.subject, each.fine) for each in findings] == [("host", False)]
    assert watched.jobs == before
    sshd.start()
    (sshd.home / "go").touch()
    assert {job.state for job in watched.end(3).values()} == {JobState.FINISHED}


def test_a_submission_cut_off_on_its_way_is_whole_or_nothing(site: SshSite, sshd: Sshd, options: SshOptions) -> None:
    size = 1000
    array = shell("whole", "true", size)
    array = replace(array, jobs=[replace(job, seeds="1," * 5000) for job in array.jobs])  # 10 MB, to be on its way
    began = time.monotonic()
    site.cancel(site.submit(array))
    delay = time.monotonic() - began
    outcomes: set[bool] = set()
    for attempt in range(20):
        delay *= 0.7 if True in outcomes and False not in outcomes else 1.2 if attempt else 0.3
        timer = threading.Timer(delay, sshd.cut)
        timer.start()
        name = f"a{attempt}"
        with suppress(NetworkError):
            site.submit(replace(array, name=name))
        timer.join()
        remote_id = site.find(name)
        outcomes.add(remote_id is not None)
        directory = Path(options.root) / "arrays" / name
        if remote_id is None:
            assert directory.is_file()
        else:
            assert (directory / "jobs.jsonl").read_bytes().count(b"\n") == size
            site.cancel(remote_id)
            assert len(Watched(site, remote_id).end(size)) == size
        if outcomes == {True, False}:
            return
    pytest.fail(f"cuts came always early, or always late: {outcomes}")


def test_a_submitter_killed_at_random_instants_leaves_no_array_that_starts_later(site: SshSite, sshd: Sshd) -> None:
    kill_submitters(site, sshd, 10)


@pytest.mark.faults
def test_a_submitter_killed_at_many_random_instants_leaves_no_array_that_starts_later(
    site: SshSite, sshd: Sshd
) -> None:
    kill_submitters(site, sshd, 50)


def kill_submitters(site: SshSite, sshd: Sshd, count: int) -> None:
    """Kill a submitter, look for its array as an engine does, and submit it under a new name if it is not there."""
    site.check(shell("warm", "true"))
    with submitter(site, shell("whole", "true")) as process:
        began = time.monotonic()
        assert go(process).stdout.readline()  # type: ignore[union-attr]
        delay = time.monotonic() - began
    chance = random.Random(1)
    found = 0
    for attempt in range(count):
        array = shell(f"a{attempt}", f"echo {attempt}-{{index}} >> ran", 3)
        with submitter(site, array) as process:
            go(process)
            time.sleep(delay)
            process.kill()
        remote_id = site.find(array.name)
        found += remote_id is not None
        delay *= chance.uniform(0.4, 0.9) if remote_id else chance.uniform(1.1, 2.0)  # about the instant of arrival
        if remote_id is None:
            remote_id = site.submit(replace(array, name=f"{array.name}-again"))
        assert {job.state for job in Watched(site, remote_id).end(3).values()} == {JobState.FINISHED}
    assert 0 < found < count, "kills came early and late"
    ran = sorted(lines(sshd.home / "ran"))
    assert ran == sorted(f"{attempt}-{index}" for attempt in range(count) for index in range(3))


def test_a_runner_that_died_is_replaced_at_the_next_look_and_nothing_runs_twice(
    site: SshSite, sshd: Sshd, options: SshOptions
) -> None:
    watched = Watched(site, site.submit(shell("a", GATED, 4)))
    until(lambda: len(watched.look()) == 2)
    directory = Path(options.root) / "arrays" / "a"
    os.kill(int((directory / "runner.lock").read_text().split()[0]), signal.SIGKILL)
    until(lambda: is_idle(directory))
    (sshd.home / "go").touch()
    states = [job.state for _, job in sorted(watched.end(4).items())]
    assert states == [JobState.LOST, JobState.LOST, JobState.FINISHED, JobState.FINISHED]
    assert sorted(lines(sshd.home / "ran")) == ["0", "1", "2", "3"]


def test_a_command_or_cores_that_are_not_there_are_refused_before_anything_is_written(
    site: SshSite, options: SshOptions
) -> None:
    with pytest.raises(SiteError, match=r"host node0: command 'no-such-program' is not in PATH"):
        site.check(array_of("a", "no-such-program"))
    for refuse in (site.check, site.submit):
        with pytest.raises(SiteError, match="a job needs 3 cores, but this site has 2 slots"):
            refuse(shell("a", "true", resources=Resources(cpus=1.5, ranks=2)))
    assert not (Path(options.root) / "arrays").exists()


def test_a_host_without_a_usable_python_says_so(options: SshOptions, tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\n[ \"$1\" = -c ] && echo 3.6 || { echo 'SyntaxError: invalid syntax' >&2; exit 1; }\n")
    old.chmod(0o755)
    for python, reason in (("python3-nowhere", "cannot be run on host node0"), (str(old), "is Python 3.6")):
        site = SshSite.configure("box", replace(options, python=python))
        with pytest.raises(SiteError, match=rf"(?s)python.* {reason}.*as `python` of the site"):
            site.submit(shell("a", "true"))
        assert site.host is not None
        site.host.close()


def test_a_host_with_another_key_than_is_known_is_refused(options: SshOptions, tmp_path: Path, sshd: Sshd) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    known = tmp_path / "known"
    known.write_text(f"{sshd.place} {(tmp_path / 'other.pub').read_text()}")
    site = SshSite.configure("box", replace(options, known_hosts=str(known)))
    with pytest.raises(SiteError, match="key"):
        site.submit(shell("a", "true"))
    assert site.host is not None
    site.host.close()
    assert not Path(options.root).exists()


def test_an_array_of_another_host_is_not_looked_for_on_this_one(site: SshSite) -> None:
    calls: list[Callable[[], object]] = [
        lambda: site.status({"elsewhere:a": ""}),
        lambda: site.cancel("elsewhere:a"),
        lambda: list(site.logs("elsewhere:a", [0])),
    ]
    for call in calls:
        with pytest.raises(SiteError, match="array a runs on host elsewhere"):
            call()


def test_programs_that_were_removed_there_are_copied_again(site: SshSite, options: SshOptions) -> None:
    site.submit(shell("a", "true"))
    for file in Path(options.root).glob("bin/*/*.py"):
        file.unlink()
    assert Watched(site, site.submit(shell("b", "true"))).end()[0].state is JobState.FINISHED


def test_waiting_asks_the_host_seldom_and_ends_when_there_is_news(site: SshSite, sshd: Sshd) -> None:
    watched = Watched(site, site.submit(shell("a", GATED)))
    until(lambda: watched.look().get(0))
    watched.look()
    began = time.monotonic()
    site.wait([watched.remote_id], 1.5)
    assert time.monotonic() - began >= 1.5
    (sshd.home / "go").touch()
    site.wait([watched.remote_id], PATIENCE)
    assert time.monotonic() - began < PATIENCE
    assert watched.look()[0].state is JobState.FINISHED


def test_doctor_tries_what_jobs_will_need(site: SshSite, options: SshOptions) -> None:
    findings = {each.subject: each for each in site.doctor()}
    assert [subject for subject, each in findings.items() if each.fine is False] == []
    assert {"host", "python", "slots", "memory", "root", "scratch"} <= set(findings)
    assert "2 for jobs" in findings["slots"].detail
    with pytest.raises(ConfigError, match="root"):
        SshSite.configure("box", replace(options, root="/"))
    with pytest.raises(ConfigError, match="host"):
        SshSite.configure("box", SshOptions())
