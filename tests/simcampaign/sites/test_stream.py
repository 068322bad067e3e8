"""Streams: arrays to which jobs are added while others run."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simcampaign.jobs import Cause, JobReport, JobState
from simcampaign.sites import runner
from simcampaign.sites.local import LocalSite
from simcampaign.sites.stream import Stream, StreamJob
from tests.support import is_idle, until


class Streaming:
    """A stream, and all that was said of its jobs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.site = LocalSite(root=root / "si te", slots=2, grace_seconds=0.3)
        self.stream = Stream(self.site, "stream-1")
        self.remote_id = self.stream.open()
        self.cursor = ""
        self.jobs: dict[int, JobReport] = {}
        self.size = 0

    def add(self, *scripts: str, **own: object) -> None:
        jobs = [
            StreamJob(self.size + at, f"job {self.size + at}", ("sh", "-c", script), str(self.root), **own)  # type: ignore[arg-type]
            for at, script in enumerate(scripts)
        ]
        self.size += len(jobs)
        self.stream.add(jobs)

    def look(self) -> dict[int, JobReport]:
        report = self.site.status({self.remote_id: self.cursor})[self.remote_id]
        self.cursor = report.cursor
        self.jobs |= {each.index: each for each in report.changes}
        return self.jobs

    def all_over(self) -> bool:
        jobs = self.look()
        return len(jobs) == self.size and not any(each.state.active for each in jobs.values())

    @property
    def directory(self) -> Path:
        return self.site.root / "arrays" / "stream-1"

    def runner_pid(self) -> int:
        return int(until(lambda: (self.directory / "runner.lock").read_text().split())[0])


@pytest.fixture
def streaming(tmp_path: Path) -> Iterator[Streaming]:
    streaming = Streaming(tmp_path)
    yield streaming
    streaming.site.cancel(streaming.remote_id)
    streaming.stream.close()
    until(lambda: is_idle(streaming.directory))


def test_jobs_are_added_at_any_time_each_with_what_is_its_own(streaming: Streaming) -> None:
    streaming.add("echo one $A", environment={"A": "a"})
    until(streaming.all_over)
    for code in (3, 4, 5):
        streaming.add(f"exit {code}")
        until(streaming.all_over)
    assert [streaming.jobs[index].exit_code for index in range(4)] == [0, 3, 4, 5]
    assert dict(streaming.site.logs(streaming.remote_id, range(4))) == {0: b"one a\n"}


def test_a_job_starts_within_milliseconds_of_being_added_and_never_more_than_there_are_slots(
    streaming: Streaming,
) -> None:
    streaming.add(*(f"until [ -e go-{index} ]; do sleep 0.01; done" for index in range(4)))
    until(lambda: len([each for each in streaming.look().values() if each.state is JobState.RUNNING]) == 2)
    assert sorted(streaming.jobs) == [0, 1]
    for index in range(4):
        (streaming.root / f"go-{index}").touch()
    until(streaming.all_over)


def test_limits_are_each_jobs_own(streaming: Streaming) -> None:
    streaming.add("sleep 60", timeout_seconds=0.2)
    hungry = f"{sys.executable} -c 'x = b\"x\" * 2**28; import time; time.sleep(60)'"
    streaming.add(hungry, memory_mb=100)
    streaming.add("sleep 0.5")
    until(streaming.all_over)
    assert [streaming.jobs[index].cause for index in range(3)] == [Cause.TIMEOUT, Cause.OUT_OF_MEMORY, None]


def test_single_jobs_are_cancelled_and_others_go_on(streaming: Streaming) -> None:
    streaming.add("sleep 60", "until [ -e go ]; do sleep 0.01; done", "echo never")
    until(lambda: len(streaming.look()) == 2)
    streaming.site.cancel(streaming.remote_id, [0, 2])
    until(lambda: 2 in streaming.look() and not streaming.jobs[0].state.active)
    (streaming.root / "go").touch()
    until(streaming.all_over)
    states = [streaming.jobs[index].state for index in range(3)]
    assert states == [JobState.CANCELLED, JobState.FINISHED, JobState.CANCELLED]


def test_a_killed_runner_is_replaced_and_no_job_runs_twice(streaming: Streaming) -> None:
    streaming.add("echo 0 >> ran; until [ -e go ]; do sleep 0.01; done", timeout_seconds=60)
    until((streaming.root / "ran").exists)
    os.kill(streaming.runner_pid(), signal.SIGKILL)
    streaming.add("echo 1 >> ran")
    until(lambda: streaming.look() and (streaming.root / "ran").read_text() == "0\n1\n")
    (streaming.root / "go").touch()
    until(streaming.all_over)
    assert streaming.stream.count() == 2
    assert streaming.jobs[0].state is JobState.LOST
    assert streaming.jobs[1].state is JobState.FINISHED
    assert (streaming.root / "ran").read_text() == "0\n1\n"


def test_what_was_half_added_is_not_a_job(streaming: Streaming) -> None:
    streaming.add("echo 0 >> ran")
    with (streaming.directory / "jobs.jsonl").open("ab") as file:
        file.write(b'[1, "torn')
    assert streaming.stream.count() == 1
    streaming.add("echo 1 >> ran")
    until(streaming.all_over)
    assert sorted((streaming.root / "ran").read_text().split()) == ["0", "1"]


def test_a_closed_stream_is_over_when_its_jobs_are_and_can_be_cleaned(streaming: Streaming) -> None:
    streaming.add("true", "true")
    streaming.stream.close()
    until(streaming.all_over)
    until(lambda: is_idle(streaming.directory))
    streaming.site.clean(streaming.remote_id)
    assert streaming.stream.count() is None


def test_an_idle_runner_leaves_and_comes_back_with_the_next_job(
    streaming: Streaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = streaming.root / "copies"
    copies.mkdir()
    folder = Path(runner.__file__).parent
    for name in runner.FILES:
        (copies / name).write_text((folder / name).read_text().replace("IDLE_SECONDS = 60.0", "IDLE_SECONDS = 0.1"))
    os.kill(streaming.runner_pid(), signal.SIGKILL)
    until(lambda: is_idle(streaming.directory))
    monkeypatch.setattr(streaming.site, "runner_command", lambda: [sys.executable, str(copies / "runner.py")])
    streaming.stream.wake()
    before = time.monotonic()
    until(lambda: is_idle(streaming.directory))
    assert time.monotonic() - before < 30
    streaming.add("echo back >> ran")
    until((streaming.root / "ran").exists)
