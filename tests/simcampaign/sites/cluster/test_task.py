"""The part that runs on compute nodes: shell alone, in several shells, without a scheduler."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from simcampaign.errors import SiteError
from simcampaign.jobs import ArraySpec, JobSpec
from simcampaign.sites.cluster.adapter import Request
from simcampaign.sites.cluster.files import array_files
from simcampaign.sites.cluster.look import Files, Told, look_here, look_there
from simcampaign.sites.cluster.slurm import Slurm, SlurmOptions
from simcampaign.sites.hosts import ThisHost
from tests.support import until

HOSTILE = 'it\'s "so" $HOME `id` $(id) \\n %s ; & | < > * ? ~ # !\n second line \t end '
SHELLS = [each for each in ("dash", "bash", "busybox", "ksh", "zsh") if shutil.which(each)]


class Task:
    """An array whose jobs are started by hand, as a node would."""

    def __init__(self, root: Path, shell: str = "sh") -> None:
        self.root = root / "scra'tch of $it"
        self.directory = self.root / "arrays" / "name"
        self.shell = ["busybox", "sh"] if shell == "busybox" else [shell]

    def write(self, command: Sequence[str], size: int = 3, options: Any = None, **changes: Any) -> None:
        jobs = [JobSpec(index, f"id_{index}", f"{HOSTILE}{index}", f"{index}-9") for index in range(size)]
        array = ArraySpec("name", "set", "/work/", "/out/", tuple(command), jobs, **changes)
        options = options or SlurmOptions()
        script = Slurm().script(Request("name", size, str(self.directory), array.resources, options))
        for folder in ("out", "start", "ec"):
            (self.directory / folder).mkdir(parents=True)
        for path, data in array_files(array, options, script, str(self.root)):
            (self.directory / path).parent.mkdir(exist_ok=True)
            (self.directory / path).write_bytes(data)

    def start(self, index: int, **environment: str) -> subprocess.Popen[bytes]:
        told = {"SLURM_ARRAY_TASK_ID": str(index), "SLURM_ARRAY_JOB_ID": "77", **environment}
        script = self.directory / "job.sh"
        return subprocess.Popen(
            [*self.shell, str(script)], cwd="/", env={**os.environ, **told}, stderr=subprocess.PIPE, bufsize=0
        )

    def run(self, index: int) -> int:
        process = self.start(index)
        _, complaint = process.communicate()
        assert complaint == b""
        return process.returncode

    def log(self, index: int) -> str:
        return (self.directory / "out" / f"{index}.log").read_text()

    def look(self) -> Files:
        """Read the files in both ways, which must agree."""
        here = look_here(self.root, {"name": Told()})["name"]
        _, there = look_there(ThisHost(), str(self.root), {"name": Told()}, ())
        assert here is not None
        assert there["name"] == here
        return here


@pytest.fixture(params=SHELLS)
def task(request: pytest.FixtureRequest, tmp_path: Path) -> Task:
    return Task(tmp_path, request.param)


def test_a_job_is_told_its_words_whatever_they_hold(task: Task) -> None:
    words = ["a{index}b", "{input}", "x{input}{job_id} y", "{seeds}", "{output}", "{unknown}", "", HOSTILE]
    show = 'for each in "$@" "$WORD" "$SIMCAMPAIGN_INPUT" "$JOB_ARRAY_INDEX"; do printf "<%s>" "$each"; done'
    task.write(["sh", "-c", show, "sh", *words], environment={"WORD": HOSTILE})
    assert task.run(2) == 0
    said = ["a2b", f"{HOSTILE}2", f"x{HOSTILE}2id_2 y", "2-9", "/out/", "{unknown}", "", HOSTILE, HOSTILE]
    assert task.log(2) == "".join(f"<{each}>" for each in [*said, f"{HOSTILE}2", "2"])


def test_what_a_job_is_told_does_not_disturb_what_notes_its_end(task: Task) -> None:
    task.write(["/bin/sh", "-c", "exit 4"], environment={"PATH": "/nowhere", "IFS": "0", "simcampaign_index": "1"})
    before = time.time()
    assert task.run(0) == 4
    end = task.look().ends[0]
    assert (end.index, end.code, end.word) == (0, 4, "-")
    assert before - 1.1 <= end.started <= end.ended <= time.time()


def test_a_job_runs_once_however_often_it_is_started(task: Task) -> None:
    task.write(["sh", "-c", "echo once; sleep 0.2"])
    processes = [task.start(1) for _ in range(6)]
    assert [process.wait() for process in processes] == [0] * 6
    assert task.run(1) == 0
    assert task.log(1) == "once\n"
    assert list(task.look().ends) == [1]


def test_a_job_of_an_array_that_was_moved_away_leaves_without_a_trace(task: Task) -> None:
    task.write(["echo", "never"])
    script = (task.directory / "job.sh").read_bytes()
    away = task.directory.with_name(".fenced-name")
    task.directory.rename(away)
    task.directory.mkdir()
    (task.directory / "job.sh").write_bytes(script)
    assert task.run(0) == 0
    assert {path.name for path in task.directory.iterdir()} == {"job.sh"}
    assert list((away / "start").iterdir()) == list((away / "out").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGXCPU])
def test_a_request_to_end_reaches_the_command_and_is_noted(task: Task, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    task.write(["sh", "-c", f'trap "echo asked; exit 7" {name}; echo on; while :; do sleep 0.05; done'])
    process = task.start(0)
    log = task.directory / "out" / "0.log"
    until(lambda: log.exists() and log.read_text())
    process.send_signal(number)
    process.communicate()
    assert process.returncode == 7
    assert task.log(0) == "on\nasked\n"
    assert (task.look().ends[0].code, task.look().ends[0].word) == (7, name)


def test_a_command_that_is_killed_leaves_the_code_that_a_shell_gives_it(task: Task) -> None:
    task.write(["sh", "-c", "kill -KILL $$"])
    process = task.start(0)
    process.communicate()
    assert task.look().ends[0].code == 137


def test_a_directory_or_program_that_is_not_there_is_noted(tmp_path: Path) -> None:
    task = Task(tmp_path)
    task.write(["echo"], directory="/no/such/{job_id}")
    assert task.run(1) == 125
    assert task.look().ends[1].word == "refused"
    assert "directory /no/such/id_1 cannot be entered" in task.log(1)
    other = Task(tmp_path / "other")
    other.write(["no-such-program"])
    assert other.run(0) == 127
    assert other.look().ends[0].word == "-"


def test_what_was_told_is_not_read_again_here_nor_there(tmp_path: Path) -> None:
    task = Task(tmp_path)
    task.write(["true"], size=260)
    for index in (0, 1, 2, 258, 259):
        assert task.run(index) == 0
    (task.directory / "cancel").write_text("3-5\nall\n")
    told = {"name": Told(frozenset({0, 1, 258})), "gone": Told()}
    here = look_here(task.root, told)
    done, there = look_there(ThisHost(), str(task.root), told, ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert here == there
    assert here["gone"] is None
    assert here["name"] is not None
    assert set(here["name"].ends) == here["name"].started == {2, 259}
    assert here["name"].cancelled == ["3-5", "all"]
    assert done is not None
    assert (done.code, done.out, done.err) == (3, b"out\n", b"err\n")


def test_a_scratch_that_is_not_there_says_nothing_of_its_arrays(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="scratch"):
        look_here(tmp_path / "unmounted", {"name": Told()})
    with pytest.raises(SiteError, match="scratch"):
        look_there(ThisHost(), str(tmp_path / "unmounted"), {"name": Told()}, ())


@pytest.mark.parametrize(
    "changes",
    [{"environment": {"A B": "1"}}, {"environment": {"A": "\0"}}, {"directory": "/a\0b"}, {"environment": {"A=B": ""}}],
)
def test_what_no_shell_can_tell_a_job_is_refused(tmp_path: Path, changes: Any) -> None:
    with pytest.raises(SiteError):
        Task(tmp_path).write(["true"], **changes)
