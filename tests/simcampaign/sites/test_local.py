"""The local site, with real processes, under a root and in a working directory with hostile names."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from simcampaign.errors import ConfigError, SiteError
from simcampaign.jobs import ArraySpec, Cause, JobReport, JobSpec, JobState, Resources, job_environment
from simcampaign.sites import runner
from simcampaign.sites.background import take_lock
from simcampaign.sites.local import LocalSite
from simcampaign.sites.processes import MARK, lives

T = TypeVar("T")
PATIENCE = 20.0
GATED = 'echo "begin {index}" >> ran; until [ -e go-{index} ]; do sleep 0.02; done; echo "end {index}" >> ran'
"""A job that notes its start, waits for a file of its own, and notes its end."""
SUBMITTER = """
import pickle, sys
from simcampaign.sites.local import LocalSite
root, array = pickle.loads(bytes.fromhex(sys.stdin.readline()))
print(LocalSite(root=root, slots=2, grace_seconds=0.3).submit(array), flush=True)
sys.stdin.readline()
"""


def until(look: Callable[[], T]) -> T:
    """Look again and again until there is something to see."""
    deadline = time.monotonic() + PATIENCE
    while not (seen := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return seen


def site_log(site: LocalSite, remote_id: str, index: int) -> bytes | None:
    """Return what one job printed so far; None if nothing."""
    return dict(site.logs(remote_id, [index])).get(index)


def array_of(name: str, *command: str, size: int = 1, **others: object) -> ArraySpec:
    jobs = [JobSpec(index, f"{name}_{index}", f"in put/{index}.xml", "0-3") for index in range(size)]
    settings: dict[str, object] = {"jobs": jobs, "model": "colony", "image": "", **others}
    return ArraySpec(name, f"{name}_group", "/some where/", "/some where/outputs/", command, **settings)  # type: ignore[arg-type]


class Watched:
    """What is known of an array after all looks so far."""

    def __init__(self, site: LocalSite, remote_id: str) -> None:
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
            self.site.wait([self.remote_id], 0.5)
        return self.jobs


@pytest.fixture
def hostile_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / 'it\'s a "work"\ndirectory $HOME'
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def site(tmp_path: Path, hostile_directory: Path) -> Iterator[LocalSite]:
    site = LocalSite(root=tmp_path / 'ro\'ot "of"\nthe site', slots=2, grace_seconds=0.3)
    yield site
    end_everything(site)


@pytest.fixture
def single(tmp_path: Path, hostile_directory: Path) -> Iterator[LocalSite]:
    """A site that runs one job at a time."""
    single = LocalSite(root=tmp_path / "single", slots=1, grace_seconds=0.3)
    yield single
    end_everything(single)


def end_everything(site: LocalSite) -> None:
    for directory in site.root.glob("arrays/[!.]*/"):
        (directory / "runner.failed").unlink(missing_ok=True)
        remote_id = site.find(directory.name)
        if remote_id and not is_corrupt(directory):
            site.cancel(remote_id)
        until(lambda: is_idle(directory))  # noqa: B023 - called at once


def is_idle(directory: Path) -> bool:
    lock = take_lock(str(directory))
    if lock is not None:
        os.close(lock)
    return lock is not None


def journal(directory: Path) -> list[dict[str, object]]:
    """The journal's whole lines."""
    data = (directory / "journal").read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def is_corrupt(directory: Path) -> bool:
    return b"\0" in (directory / "journal").read_bytes()


def folder(site: LocalSite, name: str) -> Path:
    return site.root / "arrays" / name


def runner_pid(site: LocalSite, name: str) -> int:
    return int(until(lambda: (folder(site, name) / "runner.lock").read_text().split())[0])


def kill_runner(site: LocalSite, name: str) -> int:
    pid = runner_pid(site, name)
    os.kill(pid, signal.SIGKILL)
    until(lambda: is_idle(folder(site, name)))
    return pid


def runners(site: LocalSite, name: str) -> int:
    """How many runners the array had so far."""
    return sum(event["event"] == "runner" for event in journal(folder(site, name)))


def lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_job_is_reported_with_its_times_exit_code_peak_memory_and_cpu_time(site: LocalSite) -> None:
    code = (
        "import time; x = bytearray(60 << 20); end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    )
    before = time.time()
    report = Watched(site, site.submit(array_of("a", sys.executable, "-c", code))).end()[0]
    assert (report.state, report.cause, report.exit_code) == (JobState.FINISHED, None, 0)
    assert report.started is not None
    assert report.ended is not None
    assert before <= report.started < report.ended <= time.time()
    assert report.peak_memory_bytes is not None
    assert 60 * 2**20 < report.peak_memory_bytes < 200 * 2**20
    assert report.cpu_seconds is not None
    assert 0.2 <= report.cpu_seconds < 5


def test_a_failing_job_keeps_its_exit_code_and_what_it_printed_to_both_streams(site: LocalSite) -> None:
    remote_id = site.submit(array_of("a", "sh", "-c", "echo out; echo err >&2; exit 3"))
    report = Watched(site, remote_id).end()[0]
    assert (report.state, report.cause, report.exit_code) == (JobState.FAILED, Cause.APPLICATION, 3)
    assert site_log(site, remote_id, 0) == b"out\nerr\n"


@pytest.mark.parametrize(("number", "cause"), [(9, Cause.OUT_OF_MEMORY), (11, Cause.APPLICATION)])
def test_a_job_killed_by_a_signal_has_failed_and_says_so(site: LocalSite, number: int, cause: Cause) -> None:
    report = Watched(site, site.submit(array_of("a", "sh", "-c", f"kill -{number} $$"))).end()[0]
    assert (report.state, report.cause, report.exit_code) == (JobState.FAILED, cause, 128 + number)
    assert f"signal {number}" in report.message


def test_jobs_start_in_their_order(single: LocalSite) -> None:
    Watched(single, single.submit(array_of("a", "sh", "-c", "echo {index} >> ran", size=6))).end(6)
    assert lines("ran") == ["0", "1", "2", "3", "4", "5"]


def test_all_arrays_of_a_site_together_run_no_more_jobs_than_there_are_slots(site: LocalSite) -> None:
    command = ("sh", "-c", "echo + >> ran; sleep 0.05; echo - >> ran")
    watched = [Watched(site, site.submit(array_of(name, *command, size=5))) for name in ("a", "b", "c")]
    for each in watched:
        each.end(5)
    running = peak = 0
    for mark in lines("ran"):
        running += 1 if mark == "+" else -1
        peak = max(peak, running)
    assert len(lines("ran")) == 30
    assert peak == 2


def test_slots_fall_to_the_next_array_while_the_last_job_of_the_first_still_runs(site: LocalSite) -> None:
    first = Watched(site, site.submit(array_of("a", "sh", "-c", GATED, size=2)))
    second = Watched(site, site.submit(array_of("b", "true", size=3)))
    until(lambda: len(lines("ran")) == 2)
    assert not second.look()
    Path("go-0").touch()
    assert {job.state for job in second.end(3).values()} == {JobState.FINISHED}
    assert first.look()[1].state is JobState.RUNNING
    Path("go-1").touch()
    first.end(2)


def submit_elsewhere(site: LocalSite, array: ArraySpec) -> subprocess.Popen[str]:
    """Submit from another process, which then waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[2])},
    )
    assert process.stdin is not None
    process.stdin.write(pickle.dumps((site.root, array)).hex() + "\n")
    process.stdin.flush()
    return process


def test_jobs_survive_the_death_of_their_submitter_and_its_process_group(site: LocalSite) -> None:
    with submit_elsewhere(site, array_of("a", "sh", "-c", GATED, size=3)) as submitter:
        assert submitter.stdout is not None
        remote_id = submitter.stdout.readline().strip()
        os.killpg(submitter.pid, signal.SIGKILL)
    for index in range(3):
        Path(f"go-{index}").touch()
    assert remote_id == site.find("a")
    assert {job.state for job in Watched(site, remote_id).end(3).values()} == {JobState.FINISHED}


def test_the_runner_is_out_of_reach_of_the_terminal_and_leaves_no_zombie(site: LocalSite) -> None:
    before = psutil.Process().children()
    site.submit(array_of("a", "sh", "-c", GATED))
    pid = runner_pid(site, "a")
    assert os.getsid(pid) != os.getsid(0)
    assert os.getpgid(pid) != os.getpgid(0)
    assert psutil.Process().children() == before


def test_two_submitters_of_one_name_at_once_get_one_array(site: LocalSite) -> None:
    array = array_of("a", "sh", "-c", "echo {index} >> ran", size=20)
    submitters = [submit_elsewhere(site, array) for _ in range(3)]
    answers = []
    for submitter in submitters:
        with submitter:
            assert submitter.stdout is not None
            answers.append(submitter.stdout.readline().strip())
            submitter.kill()
    assert set(answers) == {site.find("a")}
    Watched(site, answers[0]).end(20)
    assert sorted(map(int, lines("ran"))) == list(range(20))
    assert [path.name for path in (site.root / "arrays").iterdir()] == ["a"]


def test_an_array_that_is_over_is_adopted_and_not_run_again(site: LocalSite) -> None:
    array = array_of("a", "sh", "-c", "echo {index} >> ran")
    Watched(site, site.submit(array)).end()
    Watched(site, site.submit(array)).end()
    assert lines("ran") == ["0"]


def test_a_timeout_ends_the_whole_tree_also_what_left_the_group_or_ignores_term(site: LocalSite) -> None:
    stubborn = 'trap "" TERM; echo $$ >> pids; while :; do sleep 0.05; done'
    Path("tree.sh").write_text(
        f"setsid sh -c '{stubborn}' &\n"
        f"(setsid sh -c '{stubborn}' &)\n"  # its parent ends at once
        "until [ $(wc -l < pids) = 2 ]; do sleep 0.02; done; echo $$ >> pids\nsleep 60\n"
    )
    Path("pids").touch()
    remote_id = site.submit(array_of("a", "sh", "tree.sh", resources=Resources(timeout_seconds=1.0)))
    report = Watched(site, remote_id).end()[0]
    assert (report.state, report.cause) == (JobState.FAILED, Cause.TIMEOUT)
    assert "1 s" in report.message
    assert len(lines("pids")) == 3
    assert not [pid for pid in lines("pids") if is_alive(int(pid))]


def test_a_tree_over_its_memory_limit_is_ended_with_figures(site: LocalSite) -> None:
    code = "import time; x = bytearray(150 << 20); time.sleep(60)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    array = array_of("a", sys.executable, "-c", child, resources=Resources(memory_mb=100))
    report = Watched(site, site.submit(array)).end()[0]
    assert (report.state, report.cause) == (JobState.FAILED, Cause.OUT_OF_MEMORY)
    assert "100 MiB" in report.message


def test_processes_that_share_memory_are_not_counted_twice(site: LocalSite) -> None:
    code = (
        "import os, time; x = bytearray(os.urandom(1) * (60 << 20)); pids = [os.fork() for _ in range(2)]\n"
        "time.sleep(2.2); [os.wait() for pid in pids if all(pids)]"
    )
    array = array_of("a", sys.executable, "-c", code, resources=Resources(memory_mb=150))
    assert Watched(site, site.submit(array)).end()[0].state is JobState.FINISHED


def test_cancel_ends_running_jobs_even_stubborn_ones_and_never_starts_pending_ones(site: LocalSite) -> None:
    remote_id = site.submit(array_of("a", "sh", "-c", f"trap '' TERM; {GATED}", size=5))
    until(lambda: len(lines("ran")) == 2)
    site.cancel(remote_id)
    jobs = Watched(site, remote_id).end(5)
    assert {job.state for job in jobs.values()} == {JobState.CANCELLED}
    assert len(jobs) == 5
    assert sorted(lines("ran")) == ["begin 0", "begin 1"]
    site.cancel(remote_id)
    site.cancel(f"{remote_id}-that-never-was")


def test_cancel_works_without_a_living_runner(site: LocalSite) -> None:
    remote_id = site.submit(array_of("a", "sh", "-c", f"echo $$ >> pids; {GATED}", size=3))
    until(lambda: len(lines("ran")) == 2)
    kill_runner(site, "a")
    site.cancel(remote_id)
    assert {job.state for job in Watched(site, remote_id).end(3).values()} == {JobState.CANCELLED}
    assert not [pid for pid in lines("pids") if is_alive(int(pid))]


def test_a_command_that_does_not_exist_is_refused_before_anything_is_created(site: LocalSite) -> None:
    array = array_of("a", "no-such-{model}")
    for refuse in (site.check, site.submit):
        with pytest.raises(SiteError, match=r"'no-such-colony'.*PATH"):
            refuse(array)
    with pytest.raises(SiteError, match="no command"):
        site.submit(array_of("b"))
    assert not site.root.exists()


def test_a_job_that_cannot_be_started_fails_by_infrastructure_and_the_others_run(site: LocalSite) -> None:
    Path("plain").write_text("not a program")
    jobs = [JobSpec(0, "a_0", "./plain", ""), JobSpec(1, "a_1", "true", ""), JobSpec(2, "a_2", "a\0b", "")]
    reports = Watched(site, site.submit(array_of("a", "{input}", jobs=jobs))).end(3)
    assert [reports[index].state for index in range(3)] == [JobState.FAILED, JobState.FINISHED, JobState.FAILED]
    assert reports[0].cause is reports[2].cause is Cause.INFRASTRUCTURE
    assert "'./plain'" in reports[0].message
    assert "Permission denied" in reports[0].message


def test_after_the_runner_was_killed_living_jobs_end_as_lost_and_nothing_runs_twice(single: LocalSite) -> None:
    watched = Watched(single, single.submit(array_of("a", "sh", "-c", GATED, size=3)))
    until(lambda: lines("ran") and watched.look())
    killed = kill_runner(single, "a")
    watched.look()
    until(lambda: runners(single, "a") == 2)
    assert runner_pid(single, "a") != killed
    Path("go-1").touch()
    Path("go-2").touch()
    assert watched.look()[0].state is JobState.RUNNING
    Path("go-0").touch()
    jobs = watched.end(3)
    assert (jobs[0].state, jobs[0].cause, jobs[0].exit_code) == (JobState.LOST, Cause.LOST, None)
    assert "runner was killed" in jobs[0].message
    assert [jobs[1].state, jobs[2].state] == [JobState.FINISHED] * 2
    assert lines("ran") == [f"{mark} {index}" for index in (0, 1, 2) for mark in ("begin", "end")]


def test_a_job_that_ended_while_no_runner_lived_is_lost(site: LocalSite) -> None:
    watched = Watched(site, site.submit(array_of("a", "sh", "-c", GATED)))
    until(lambda: lines("ran"))
    kill_runner(site, "a")
    Path("go-0").touch()
    until(lambda: len(lines("ran")) == 2)
    assert watched.end()[0].state is JobState.LOST
    assert lines("ran") == ["begin 0", "end 0"]


@pytest.mark.parametrize("alive", [True, False])
def test_a_job_that_was_started_but_not_yet_written_down_is_not_started_again(site: LocalSite, alive: bool) -> None:
    watched = Watched(site, site.submit(array_of("a", "sh", "-c", GATED)))
    path = folder(site, "a") / "journal"
    until(lambda: lines("ran") and len(path.read_bytes().splitlines()) == 2)
    kill_runner(site, "a")
    first, start = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + start[:20])
    if not alive:
        Path("go-0").touch()
        until(lambda: len(lines("ran")) == 2)
    watched.look()
    until(lambda: runners(site, "a") == 2)
    if alive:
        assert until(lambda: watched.look().get(0)).state is JobState.RUNNING
        Path("go-0").touch()
    assert watched.end()[0].state is JobState.LOST
    assert lines("ran") == ["begin 0", "end 0"]


def test_a_timeout_holds_for_a_job_whose_runner_was_killed(site: LocalSite) -> None:
    array = array_of("a", "sh", "-c", GATED, resources=Resources(timeout_seconds=1.0))
    watched = Watched(site, site.submit(array))
    until(lambda: lines("ran"))
    kill_runner(site, "a")
    assert watched.end()[0].cause is Cause.TIMEOUT


def test_arrays_of_the_same_name_under_two_roots_leave_each_other_alone(site: LocalSite, single: LocalSite) -> None:
    array = array_of("a", "sh", "-c", f"setsid true; {GATED}")
    mine, theirs = Watched(site, site.submit(array)), Watched(single, single.submit(array))
    until(lambda: len(lines("ran")) == 2)
    for each in (site, single):
        kill_runner(each, "a")
    site.cancel(mine.remote_id)
    assert mine.end()[0].state is JobState.CANCELLED
    until(lambda: theirs.look() and runners(single, "a") == 2)
    Path("go-0").touch()
    assert theirs.end()[0].state is JobState.LOST
    assert lines("ran") == ["begin 0", "begin 0", "end 0"]


def test_a_torn_last_line_of_the_journal_is_left_for_later_and_cut_off_by_the_next_runner(site: LocalSite) -> None:
    watched = Watched(site, site.submit(array_of("a", "sh", "-c", GATED, size=3)))
    until(lambda: len(watched.look()) == 2)
    kill_runner(site, "a")
    with (folder(site, "a") / "journal").open("ab") as file:
        file.write(b'{"event":"end","job":0,"ti')
    for index in range(3):
        Path(f"go-{index}").touch()
    jobs = watched.end(3)
    assert [jobs[index].state for index in range(3)] == [JobState.LOST, JobState.LOST, JobState.FINISHED]


def test_a_line_in_the_journal_that_makes_no_sense_is_an_error_and_changes_nothing(site: LocalSite) -> None:
    remote_id = site.submit(array_of("a", "true"))
    watched = Watched(site, remote_id)
    watched.end()
    with (folder(site, "a") / "journal").open("ab") as file:
        file.write(b"\0\0\0\n")
    with pytest.raises(SiteError, match=r"array a: the journal has a line at byte \d+ that cannot be understood"):
        watched.look()
    with pytest.raises(SiteError, match="shorter"):
        site.status({remote_id: "99999:1"})
    with pytest.raises(SiteError, match="not a cursor"):
        site.status({remote_id: "rubbish"})


def test_a_full_disk_loses_no_end_and_holds_back_further_jobs(single: LocalSite) -> None:
    watched = Watched(single, single.submit(array_of("a", "sh", "-c", GATED, size=2)))
    until(lambda: lines("ran"))
    pid, path = runner_pid(single, "a"), folder(single, "a") / "journal"
    until(lambda: watched.look().get(0))
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (path.stat().st_size + 10, limits[1]))  # room for a torn line
    try:
        Path("go-0").touch()
        Path("go-1").touch()
        until(lambda: "cannot write the journal" in (folder(single, "a") / "runner.log").read_text())
        assert watched.look()[0].state is JobState.RUNNING
        assert "begin 1" not in lines("ran")
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    assert [job.exit_code for job in watched.end(2).values()] == [0, 0]


def test_a_runner_that_gives_up_is_reported_with_what_to_do(site: LocalSite) -> None:
    watched = Watched(site, site.submit(array_of("a", "sh", "-c", GATED)))
    until(lambda: lines("ran"))
    kill_runner(site, "a")
    jobs = folder(site, "a") / "jobs.jsonl"
    content = jobs.read_text()
    jobs.write_text("nonsense\n")
    watched.look()
    failed = folder(site, "a") / "runner.failed"
    until(failed.exists)
    with pytest.raises(SiteError, match=r"(?s)gave up: .*runner\.log"):
        watched.look()
    jobs.write_text(content)
    until(lambda: is_idle(folder(site, "a")))
    failed.unlink()
    Path("go-0").touch()
    assert watched.end()[0].state is JobState.LOST


def test_what_was_never_submitted_is_unknown(site: LocalSite) -> None:
    remote_id = site.submit(array_of("a", "true")).replace(":a", ":b")
    assert site.find("b") is None
    assert site.status({remote_id: "17:0"})[remote_id].known is False
    assert site.status({remote_id: "17:0"})[remote_id].cursor == "17:0"
    assert site_log(site, remote_id, 0) is None


def test_an_array_of_another_host_must_be_watched_there(site: LocalSite) -> None:
    foreign: list[Callable[[], object]] = [
        lambda: site.status({"elsewhere:a": ""}),
        lambda: site.cancel("elsewhere:a"),
        lambda: site_log(site, "elsewhere:a", 0),
    ]
    for call in foreign:
        with pytest.raises(SiteError, match="on host elsewhere"):
            call()
    with pytest.raises(SiteError, match="HOST:NAME"):
        site.clean("nonsense")


def test_a_root_that_cannot_be_written_to_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        SiteError, match=r"array a cannot be written to .*file.*: Not a directory; nothing was submitted"
    ):
        LocalSite(root=tmp_path / "file").submit(array_of("a", "true"))


def test_old_drafts_of_killed_submissions_are_removed_and_fresh_ones_are_not(site: LocalSite) -> None:
    for name, age in ((".new-old", 90000), (".new-fresh", 60)):
        draft = site.root / "arrays" / name
        (draft / "out").mkdir(parents=True)
        os.utime(draft, times=(time.time() - age,) * 2)
    Watched(site, site.submit(array_of("a", "true"))).end()
    assert sorted(path.name for path in (site.root / "arrays").iterdir()) == [".new-fresh", "a"]
    (site.root / "arrays" / ".new-fresh" / "out").rmdir()
    (site.root / "arrays" / ".new-fresh").rmdir()


@pytest.mark.parametrize("name", ["", "../a", ".a", "a/b", "a\0b"])
def test_an_array_name_that_leads_out_of_the_root_is_refused(site: LocalSite, name: str) -> None:
    with pytest.raises(SiteError, match="array name"):
        site.submit(array_of(name, "true"))


def test_a_job_sees_the_submitters_environment_and_what_every_job_is_told(site: LocalSite) -> None:
    told = {"MODEL_MODE": "quick = {seeds}\nthorough", "JOB": "-1"}
    array = array_of("a", "env", "-0", size=2, environment=told)
    remote_id = site.submit(array)
    Watched(site, remote_id).end(2)
    for job in array.jobs:
        printed = site_log(site, remote_id, job.index)
        assert printed is not None
        seen = dict(entry.split("=", 1) for entry in os.fsdecode(printed).split("\0") if entry)
        expected: Mapping[str, str] = {**os.environ, **job_environment(array, job)}
        mark = seen.pop(MARK)  # by which the site knows the job's processes
        assert mark.endswith(f".{job.index}")
        assert seen == expected


def test_placeholders_are_replaced_once_and_other_braces_stay(site: LocalSite) -> None:
    jobs = [JobSpec(0, "the-id", "{seeds}/$(x) 'y'", "0-3")]
    words = ("{input}|{index}", "{job_id}", "{seeds}", "{output}", "{working}", "{model}", "{other} {{}} ${HOME} {")
    remote_id = site.submit(array_of("a", "printf", "%s\n", *words, jobs=jobs))
    Watched(site, remote_id).end()
    printed = site_log(site, remote_id, 0)
    assert printed is not None
    assert printed.decode().splitlines() == [
        "{seeds}/$(x) 'y'|0",
        "the-id",
        "0-3",
        "/some where/outputs/",
        "/some where/",
        "colony",
        "{other} {{}} ${HOME} {",
    ]


def test_a_job_runs_where_the_submitter_was_with_no_input_and_default_signals(site: LocalSite) -> None:
    script = "grep -E '^Sig(Ign|Blk)' /proc/self/status; cat; pwd"
    remote_id = site.submit(array_of("a", "sh", "-c", script))
    Watched(site, remote_id).end()
    blocked, ignored, cwd = (site_log(site, remote_id, 0) or b"").decode().split("\n", 2)
    usual = {signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGXFSZ, signal.SIGCHLD}
    for line in (blocked, ignored):
        mask = int(line.split()[1], 16)
        assert not [number for number in usual if mask >> (number - 1) & 1]
    assert cwd == f"{Path.cwd()}\n"


def test_clean_refuses_an_active_array_and_removes_one_that_is_over(site: LocalSite) -> None:
    remote_id = site.submit(array_of("a", "sh", "-c", GATED))
    with pytest.raises(SiteError, match="array a is still active"):
        site.clean(remote_id)
    Path("go-0").touch()
    Watched(site, remote_id).end()
    site.clean(remote_id)
    assert not list((site.root / "arrays").iterdir())
    assert site.find("a") is None
    site.clean(remote_id)


def test_wait_returns_as_soon_as_something_is_new_and_not_before(site: LocalSite) -> None:
    watched = Watched(site, site.submit(array_of("a", "sh", "-c", GATED)))
    until(lambda: watched.look().get(0))
    before = time.monotonic()
    site.wait([watched.remote_id], 0.3)
    assert time.monotonic() - before >= 0.3
    Path("go-0").touch()
    site.wait([watched.remote_id], PATIENCE)
    assert watched.look()[0].state is JobState.FINISHED


def test_numbers_that_make_no_sense_are_refused_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        LocalSite(root=tmp_path, slots=0, grace_seconds=-1)
    assert [problem.path for problem in caught.value.problems] == ["slots", "grace_seconds"]


def test_runners_killed_at_any_moment_run_no_job_twice_and_forget_none(site: LocalSite) -> None:
    array = array_of("a", "sh", "-c", "echo {index} >> ran", size=400)
    watched = Watched(site, site.submit(array))
    killed = 0
    while sum(not job.state.active for job in watched.look().values()) < 400:
        pid, born = map(int, until(lambda: (folder(site, "a") / "runner.lock").read_text().split()))
        if killed < 12 and lives(pid, born):
            time.sleep(0.01 + 0.005 * killed)  # another moment of the runner's life each time
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        site.wait([watched.remote_id], 0.05)
    ran = lines("ran")
    assert killed > 3
    assert len(ran) == len(set(ran))
    assert {job.state for job in watched.jobs.values()} <= {JobState.FINISHED, JobState.LOST}
    assert {index for index, job in watched.jobs.items() if job.state is JobState.FINISHED} <= {int(x) for x in ran}
    assert sum(event["event"] == "end" for event in journal(folder(site, "a"))) == 400
