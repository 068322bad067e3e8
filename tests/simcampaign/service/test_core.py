"""The queue of the job manager: order, limits, cancelling, and what a restart finds."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from simcampaign.errors import ConfigError, ConflictError
from simcampaign.ledger.queuerows import QueueFilter, QueueState
from simcampaign.service.core.dispatcher import Dispatcher
from simcampaign.service.core.foresight import REMEMBERED
from simcampaign.service.core.limits import ResourceLimits
from tests.simcampaign.service.core_driver import opened, shell
from tests.support import is_idle, until

DRIVER = Path(__file__).with_name("core_driver.py")
GATED = "echo {0} >> '{1}/ran'; until [ -e '{1}/go' ]; do sleep 0.01; done"


class Manager:
    """A queue, and how to look at it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dispatcher = self._fresh()

    def _fresh(self) -> Dispatcher:
        dispatcher = opened(self.folder)
        dispatcher.start()
        return dispatcher

    def submit(self, job_id: str, script: str = "true", **others: object) -> None:
        self.dispatcher.submit(shell(job_id, script, **others)).result()

    def gated(self, job_id: str, **others: object) -> None:
        self.submit(job_id, GATED.format(job_id, self.folder), **others)

    def state(self, job_id: str) -> QueueState:
        return self.dispatcher.book.get(job_id).state

    def wait(self, *job_ids: str) -> None:
        until(lambda: all(self.state(job_id).over for job_id in job_ids))

    def ran(self) -> list[str]:
        path = self.folder / "ran"
        return path.read_text().split() if path.exists() else []

    def kinds(self, job_id: str) -> list[str]:
        return [event.kind for event in self.dispatcher.book.events_since(0, job_id=job_id)]

    def close(self) -> None:
        self.dispatcher.stop()
        self.dispatcher.book.close()

    def restart(self) -> None:
        self.close()
        self.dispatcher = self._fresh()

    def end(self) -> None:
        """Let everything end, also runners."""
        (self.folder / "go").touch()
        for row in self.dispatcher.book.not_over():
            self.dispatcher.cancel(row.id).result()
        until(lambda: not self.dispatcher.book.not_over())
        self.close()
        for directory in (self.folder / "site" / "arrays").glob("*"):
            (directory / "closed").write_text(str((directory / "jobs.jsonl").read_text().count("\n")))
        for directory in (self.folder / "site" / "arrays").glob("*"):
            until(lambda: is_idle(directory) or _wake(directory))  # noqa: B023 - called at once


def _wake(directory: Path) -> bool:
    """Have the runner look at its array, which is closed; False, as it has not left yet."""
    words = (directory / "runner.lock").read_text().split()
    if words:
        subprocess.run(["kill", "-USR1", words[0]], check=False, stderr=subprocess.DEVNULL)
    return False


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path)
    yield manager
    manager.end()


def test_a_job_waits_runs_and_ends_and_each_is_told_once(manager: Manager) -> None:
    manager.submit("good", "echo done")
    manager.submit("bad", "echo why >&2; exit 3")
    manager.wait("good", "bad")
    assert manager.state("good") is QueueState.COMPLETED
    bad = manager.dispatcher.book.get("bad")
    assert (bad.state, bad.return_code, bad.cause) == (QueueState.FAILED, 3, "application")
    assert manager.kinds("good") == manager.kinds("bad") == ["job_queued", "job_started", "job_completed"]
    assert manager.dispatcher.lane("local").log(bad) == b"why\n"


def test_never_more_jobs_than_the_limit_and_higher_priority_first(manager: Manager) -> None:
    manager.dispatcher.set_limits({"max_concurrent_jobs": 1}).result()
    manager.gated("first")
    until(manager.ran)
    manager.submit("low", f"echo low >> '{manager.folder}/ran'", priority=-1)
    manager.submit("high", f"echo high >> '{manager.folder}/ran'", priority=7)
    assert manager.ran() == ["first"]
    (manager.folder / "go").touch()
    manager.wait("first", "low", "high")
    assert manager.ran() == ["first", "high", "low"]


def test_a_priority_counts_until_the_job_starts_and_not_after(manager: Manager) -> None:
    manager.dispatcher.set_limits({"max_concurrent_jobs": 1}).result()
    manager.gated("first")
    until(manager.ran)
    for name in ("a", "b"):
        manager.submit(name, f"echo {name} >> '{manager.folder}/ran'")
    manager.dispatcher.reorder("b", priority=1).result()
    (manager.folder / "go").touch()
    manager.wait("a", "b")
    assert manager.ran() == ["first", "b", "a"]
    with pytest.raises(ConflictError, match="only a job that waits"):
        manager.dispatcher.reorder("a", priority=9).result()


def test_a_held_job_waits_until_it_is_released(manager: Manager) -> None:
    manager.submit("held", held=True)
    manager.submit("other")
    manager.wait("other")
    assert manager.state("held") is QueueState.QUEUED
    manager.dispatcher.reorder("held", held=False).result()
    manager.wait("held")


def test_cancelling_ends_what_waits_at_once_and_what_runs_with_all_its_processes(manager: Manager) -> None:
    manager.submit("running", f"sleep 300 & echo $! > '{manager.folder}/child'; wait")
    manager.submit("waiting", held=True)
    until(lambda: (manager.folder / "child").exists() and (manager.folder / "child").read_text().endswith("\n"))
    child = Path("/proc", (manager.folder / "child").read_text().strip())
    assert child.exists()
    manager.dispatcher.cancel("waiting").result()
    assert manager.state("waiting") is QueueState.CANCELLED
    manager.dispatcher.cancel("running").result()
    manager.wait("running")
    assert manager.state("running") is QueueState.CANCELLED
    until(lambda: not child.exists())
    assert manager.kinds("waiting") == ["job_queued", "job_cancelled"]
    assert manager.kinds("running") == ["job_queued", "job_started", "job_cancelled"]
    with pytest.raises(KeyError):
        manager.dispatcher.cancel("nobody").result()


def test_jobs_wait_for_others_and_are_cancelled_if_these_fail(manager: Manager) -> None:
    manager.gated("one")
    manager.submit("then", f"echo then >> '{manager.folder}/ran'", after_ok=("one",))
    manager.submit("bad", "exit 1")
    manager.submit("never", after_ok=("bad",), held=True)
    manager.submit("always", after=("bad",))
    manager.wait("bad", "never", "always")
    assert manager.state("never") is QueueState.CANCELLED
    assert "bad" in manager.dispatcher.book.get("never").message
    assert manager.state("always") is QueueState.COMPLETED
    assert manager.ran() == ["one"]
    (manager.folder / "go").touch()
    manager.wait("then")
    with pytest.raises(ConfigError, match="there is no such job"):
        manager.submit("wrong", after=("nobody",))


def test_the_same_submission_once_more_is_the_same_job_and_another_is_refused(manager: Manager) -> None:
    manager.submit("a", idempotency_key="k", request_digest="1")
    row, fresh = manager.dispatcher.submit(shell("b", "true", idempotency_key="k", request_digest="1")).result()
    assert (row.id, fresh) == ("a", False)
    with pytest.raises(ConflictError, match="for another job"):
        manager.submit("a", request_digest="2")
    assert len(manager.dispatcher.book.listed(QueueFilter())) == 1


def test_submissions_that_come_together_are_each_taken_in_or_refused_for_itself(manager: Manager) -> None:
    go = threading.Event()
    book = manager.dispatcher.book

    def together(*wanted: tuple[str, str, str | None]) -> list[tuple[str, bool] | str]:
        """Submit jobs (id, content, idempotency key) that are all written in one transaction."""
        go.clear()
        book.write(lambda _: (go.wait(60), []))
        futures = [
            manager.dispatcher.submit(shell(name, "true", held=True, request_digest=content, idempotency_key=key))
            for name, content, key in wanted
        ]
        go.set()
        return [
            type(error).__name__ if (error := each.exception()) else (each.result()[0].id, each.result()[1])
            for each in futures
        ]

    fresh = [("a", True), ("b", True), ("c", True)]
    assert together(("a", "1", None), ("b", "1", "k"), ("c", "1", None)) == fresh
    assert together(("d", "1", None), ("a", "1", None), ("b", "2", None), ("e", "1", "k"), ("f", "1", "n")) == [
        ("d", True),
        ("a", False),
        "ConflictError",
        ("b", False),
        ("f", True),
    ]
    assert together(("g", "1", None), ("g", "1", None), ("h", "1", "m"), ("i", "1", "m")) == [
        ("g", True),
        ("g", False),
        ("h", True),
        ("h", False),
    ]
    ids = ["a", "b", "c", "d", "f", "g", "h"]
    assert [event.job_id for event in book.events_since(0)] == ids
    assert [row.id for row in book.listed(QueueFilter())] == ids


def test_limits_are_changed_all_or_none(manager: Manager) -> None:
    with pytest.raises(ConfigError) as caught:
        manager.dispatcher.set_limits({"max_concurrent_jobs": 4, "max_cpu_percent": 500, "nonsense": 1})
    assert {problem.path for problem in caught.value.problems} == {"max_cpu_percent", "nonsense"}
    assert manager.dispatcher.limits.max_concurrent_jobs == 2
    for wrong in (True, "2", 0, 1.5, float("nan")):
        with pytest.raises(ConfigError):
            manager.dispatcher.set_limits({"max_concurrent_jobs": wrong})


def test_nothing_starts_here_while_the_host_is_short_of_something(manager: Manager) -> None:
    manager.dispatcher.set_limits({"min_disk_gb": 1e9}).result()
    manager.submit("a")
    assert "min_disk_gb" in manager.dispatcher.standing().held_back
    assert [job.id for job in manager.dispatcher.standing().waiting] == ["a"]
    manager.dispatcher.set_limits({"min_disk_gb": 0}).result()
    manager.wait("a")


def test_after_a_restart_waiting_jobs_wait_and_running_ones_are_attached(manager: Manager) -> None:
    manager.dispatcher.set_limits({"max_concurrent_jobs": 1}).result()
    manager.gated("running")
    until(manager.ran)
    manager.submit("waiting", held=True)
    manager.restart()
    assert manager.state("waiting") is QueueState.QUEUED
    (manager.folder / "go").touch()
    manager.wait("running")
    assert manager.state("running") is QueueState.COMPLETED
    manager.dispatcher.reorder("waiting", held=False).result()
    manager.wait("waiting")
    assert manager.ran() == ["running"]


def kill_at_random(folder: Path, kills: int, count: int, seed: int) -> None:
    """Kill the queue's process again and again; at the end every job must have run once."""
    chance = random.Random(seed)
    command = [sys.executable, str(DRIVER), str(folder), str(count)]
    for _ in range(kills):
        process = subprocess.Popen(command)
        try:
            process.wait(chance.uniform(0.2, 2.5))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, timeout=200)
    ran = Counter((folder / "ran").read_text().split())
    assert set(ran.values()) == {1}, f"seed {seed}: a job ran twice"
    assert len(ran) == count, f"seed {seed}: a job was lost"
    book = opened(folder).book
    assert book.counts() == {QueueState.COMPLETED: count}
    terminal = Counter(event.job_id for event in book.events_since(0, 100_000) if event.kind == "job_completed")
    assert set(terminal.values()) == {1}, "an end was told twice"
    book.close()


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_queue_loses_nothing_and_runs_nothing_twice(tmp_path: Path, seed: int) -> None:
    kill_at_random(tmp_path, 4, 40, seed)


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_fifty_kills_of_a_queue_with_three_hundred_jobs(tmp_path: Path) -> None:
    kill_at_random(tmp_path, 50, 300, 7)


def test_limits_by_themselves() -> None:
    assert ResourceLimits().changed({"min_memory_gb": 3}).min_memory_gb == 3


def short_jobs(manager: Manager) -> None:
    """Have so many short jobs end that more are handed over than run."""
    names = [f"short-{number}" for number in range(2 * REMEMBERED)]
    for name in names:
        manager.submit(name)
    manager.wait(*names)
    until(lambda: manager.dispatcher.lane("local").ahead > 0)


def test_long_jobs_that_were_handed_over_as_if_they_were_short_come_back_and_can_be_overtaken(
    manager: Manager,
) -> None:
    short_jobs(manager)
    names = [f"long-{number}" for number in range(6)]
    for name in names:
        manager.gated(name)
    until(lambda: Counter(map(manager.state, names)) == {QueueState.RUNNING: 2, QueueState.QUEUED: 4})
    manager.dispatcher.reorder(names[5], priority=5).result()
    manager.gated("urgent", priority=9)
    (manager.folder / "go").touch()
    manager.wait(*names, "urgent")
    ran = manager.ran()
    assert sorted(ran) == sorted([*names, "urgent"])
    assert set(ran[2:4]) == {"urgent", names[5]}
    for name in names:
        assert manager.kinds(name).count("job_completed") == manager.kinds(name).count("job_started") == 1


def test_a_job_that_is_cancelled_while_it_waits_at_the_site_never_runs(manager: Manager) -> None:
    short_jobs(manager)
    names = [f"long-{number}" for number in range(8)]
    for name in names:
        manager.gated(name)
    until(lambda: len(manager.ran()) == 2)
    waiting = [name for name in names if name not in manager.ran()]
    for name in waiting:
        manager.dispatcher.cancel(name).result()
    manager.wait(*waiting)
    assert {manager.state(name) for name in waiting} == {QueueState.CANCELLED}
    (manager.folder / "go").touch()
    manager.wait(*names)
    assert not set(manager.ran()) & set(waiting)


def test_a_service_that_ends_while_jobs_wait_at_the_site_leaves_each_to_run_once(manager: Manager) -> None:
    short_jobs(manager)
    names = [f"long-{number}" for number in range(8)]
    for name in names:
        manager.gated(name)
    until(lambda: len(manager.ran()) == 2)
    manager.restart()
    (manager.folder / "go").touch()
    manager.wait(*names)
    assert sorted(manager.ran()) == names
