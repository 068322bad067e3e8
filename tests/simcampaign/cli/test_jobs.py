"""The verbs about jobs, at the local site for real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simcampaign.cli.conftest import Type
from tests.simcampaign.cli.terminal import Terminal

SITES = """
[local]
executable = "sh {input}"

[other]
backend = "local"
executable = "sh {input}"
"""

JOB_KEYS = {
    "job_name",
    "site_name",
    "group",
    "status",
    "submitted",
    "run_seconds",
    "cost",
    "cause",
    "exit_code",
    "message",
    "started",
    "ended",
    "peak_memory_bytes",
    "cpu_seconds",
    "resources",
}
ARRAY_KEYS = {"job_name", "site_name", "group", "status", "submitted", "run_seconds", "cost", "size", "counts"}


@pytest.fixture(autouse=True)
def sites(home: Path) -> None:
    (home / "sites.toml").write_text(SITES)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[str]:
    """A script that prints, and waits for a file ``go`` before it goes on; it is let go at the end."""
    script, go = tmp_path / "held.sh", tmp_path / "go"
    script.write_text(f"echo first\nuntil [ -e '{go}' ]; do sleep 0.05; done\necho second\n")
    yield str(script)
    go.touch()


def script(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return name


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "simcampaign", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_run_starts_an_input_as_the_site_says_and_brings_the_outputs(type_: Type, tmp_path: Path) -> None:
    answer = type_("run", script(tmp_path, "melt.in", "echo hot\necho 1 > energy"), "--to", "out")
    assert answer.status == 0, answer.err
    assert (tmp_path / "out" / "energy").read_text() == "1\n"
    assert "1 rank" in answer.out
    assert "Downloaded" in answer.out


def test_run_takes_a_command_after_two_dashes_with_files_environment_and_resources(type_: Type, tmp_path: Path) -> None:
    file = script(tmp_path, "a b.txt", "deep")
    answer = type_(
        *("run", file, "--to", "out", "--env", "DEPTH=x y", "--memory-mb", "200", "--wall-time", "1m", "--json"),
        *("--name", "dive", "--group", "water", "--"),
        *("sh", "-c", 'cat "a b.txt" > "c d"; echo "$DEPTH" >> "c d"'),
    )
    assert answer.status == 0, answer.err
    assert (tmp_path / "out" / "c d").read_text() == "deepx y\n"
    document = answer.document
    assert set(document) == JOB_KEYS | {"output_folder"}
    assert (document["job_name"], document["status"], document["exit_code"]) == ("dive", "finished", 0)
    assert document["resources"]["memory_mb"] == 200
    assert document["resources"]["timeout_seconds"] == 60


def test_run_of_several_inputs_is_an_array_with_a_folder_each(type_: Type, tmp_path: Path) -> None:
    names = [script(tmp_path, f"{number}.in", f"echo {number} > out.txt") for number in range(3)]
    answer = type_("run", *names, "--to", "out", "--json")
    assert answer.status == 0, answer.err
    assert set(answer.document) == ARRAY_KEYS | {"output_folder"}
    assert answer.document["counts"] == {"finished": 3}
    assert [(tmp_path / "out" / f"job_000{number}" / "out.txt").read_text() for number in range(3)] == [
        "0\n",
        "1\n",
        "2\n",
    ]


def test_run_that_fails_exits_with_1_and_shows_the_end_of_the_log(type_: Type, tmp_path: Path) -> None:
    answer = type_("run", script(tmp_path, "melt.in", "echo 'too hot'\nexit 7"), "--to", "out")
    assert answer.status == 1
    assert "exit code 7" in answer.err
    assert "too hot" in answer.err


def test_wrong_input_exits_with_2_before_anything_runs(type_: Type, tmp_path: Path) -> None:
    file = script(tmp_path, "melt.in", "touch ran")
    (tmp_path / "out").mkdir()
    taken = type_("run", file, "--to", "out")
    assert taken.status == 2
    assert "exists already" in taken.err
    assert type_("run", file, "--to", "out", "--overwrite").status == 0
    missing = type_("submit", "melt.inn", "--site", "locl", "--name", "a/b")
    assert missing.status == 2
    assert "did you mean `local`" in missing.err
    assert "melt.inn" in missing.err
    assert "a/b" in missing.err
    assert "nothing to run" in type_("submit").err
    odd = type_("submit", file, "--option", "partition=long")
    assert odd.status == 3  # it is the site that does not take it
    assert "partition" in odd.err
    assert type_("jobs", "--json").document["jobs"] == []


def test_a_job_is_found_by_other_processes_awaited_copied_and_deleted(type_: Type, tmp_path: Path) -> None:
    submitted = start("submit", script(tmp_path, "melt.in", "echo hot\necho 1 > energy"), "--name", "melt")
    assert submitted.communicate(timeout=60)[0] == "melt\n"
    awaited = type_("wait", "melt", "--json")
    assert awaited.status == 0
    (job,) = awaited.document["jobs"]
    assert set(job) == JOB_KEYS
    assert job["status"] == "finished"
    assert type_("logs", "melt").out == "hot\n"
    copied = type_("copy", "melt", "to/here", "--json").document
    assert copied == {"files": [{"path": "to/here/energy", "bytes": 2}], "bytes": 2}
    assert type_("copy", "melt", "there").out == "1 file, 2 B, in there\n"
    deleted = type_("delete", "melt", "--yes")
    assert deleted.status == 0
    assert "energy" in deleted.out
    assert type_("jobs", "--json").document["jobs"] == []
    assert [job["job_name"] for job in type_("jobs", "--group", "archive", "--json").document["jobs"]] == ["melt"]
    assert type_("copy", "melt", "there").status == 2


def test_jobs_are_listed_newest_first_and_filtered(type_: Type, tmp_path: Path) -> None:
    fine, bad = script(tmp_path, "fine.in", "exit 0"), script(tmp_path, "bad.in", "exit 1")
    type_("submit", fine, "--name", "one", "--group", "water")
    type_("submit", bad, "--name", "two", "--site", "other")
    type_("submit", fine, bad, fine, "--name", "three")
    assert type_("wait", "one", "two", "three").status == 1

    def listed(*filters: str) -> list[str]:
        return [job["job_name"] for job in type_("jobs", *filters, "--json").document["jobs"]]

    assert listed() == ["three", "two", "one"]
    assert listed("--site", "other") == ["two"]
    assert listed("--group", "water") == ["one"]
    assert listed("--status", "failed") == ["three", "two"]
    assert listed("--status", "failed,lost", "--site", "local") == ["three"]
    assert listed("--limit", "2") == ["three", "two"]
    assert listed("--since", "1h") == ["three", "two", "one"]
    assert listed("--since", "2999-01-01") == []
    lines = type_("jobs").out.splitlines()
    assert lines[0].split() == ["NAME", "SITE", "STATE", "CAUSE", "AGE", "RUN", "TIME"]
    assert lines[1].split()[:7] == ["three", "local", "2", "finished,", "1", "failed", "application"]
    assert lines[2].split()[:4] == ["two", "other", "failed", "application"]
    assert "did you mean `failed`" in type_("jobs", "--status", "fialed").err


def test_status_exits_with_0_only_if_all_have_finished_and_says_why_others_have_not(
    type_: Type, tmp_path: Path
) -> None:
    type_("submit", script(tmp_path, "fine.in", "exit 0"), "--name", "fine")
    type_("submit", script(tmp_path, "bad.in", "exit 4"), "--name", "bad")
    type_("wait", "fine", "bad")
    assert type_("status", "fine").status == 0
    answer = type_("status", "fine", "bad")
    assert answer.status == 1
    assert "bad: failed: application, exit code 4" in answer.err


def test_a_name_that_there_is_not_is_answered_with_the_nearest_one(type_: Type, tmp_path: Path) -> None:
    type_("submit", script(tmp_path, "fine.in", "exit 0"), "--name", "melting")
    type_("wait", "melting")
    for typed in (
        ["status", "meltign"],
        ["wait", "meltign"],
        ["logs", "meltign"],
        ["copy", "meltign", "x"],
        ["cancel", "meltign"],
        ["retry", "meltign"],
        ["delete", "meltign"],
    ):
        answer = type_(*typed)
        assert answer.status == 2, typed
        assert "did you mean `melting`?" in answer.err
    both = type_("status", "meltign", "nothing-like-it")
    assert "2 mistakes" in both.err


def test_a_site_that_there_is_not_is_no_empty_list(type_: Type) -> None:
    typed = type_("jobs", "--site", "lokal")
    assert (typed.status, "did you mean `local`" in typed.err) == (2, True)
    assert type_("jobs", "--site", "local").status == 0


def test_a_name_at_two_sites_must_come_with_the_site(type_: Type, tmp_path: Path) -> None:
    file = script(tmp_path, "fine.in", "echo $SIMCAMPAIGN_JOB_ID")
    for site in ("local", "other"):
        type_("submit", file, "--name", "twin", "--site", site)
    answer = type_("status", "twin")
    assert answer.status == 2
    assert "--site" in answer.err
    assert type_("wait", "twin", "--site", "other").status == 0
    assert type_("wait", "twin", "--site", "local").status == 0


def test_wait_gives_up_after_its_timeout_and_the_job_goes_on(type_: Type, held: str, tmp_path: Path) -> None:
    type_("submit", held, "--name", "held")
    answer = type_("wait", "held", "--timeout", "0.3")
    assert answer.status == 1
    assert "held did not end within" in answer.err
    (tmp_path / "go").touch()
    assert type_("wait", "held").status == 0


def test_ctrl_c_in_wait_leaves_the_job_running_and_says_how_to_come_back(
    type_: Type, held: str, tmp_path: Path
) -> None:
    type_("submit", held, "--name", "held")
    person = Terminal(["wait", "held"])
    person.expect("running")
    person.interrupt()
    assert person.end() == 130
    assert "simcampaign jobs" in person.seen
    assert "Traceback" not in person.seen
    assert type_("status", "held", "--json").document["jobs"][0]["status"] == "running"
    (tmp_path / "go").touch()
    assert type_("wait", "held").status == 0


def test_logs_are_followed_line_by_line_until_the_end(type_: Type, held: str, tmp_path: Path) -> None:
    type_("submit", held, "--name", "held")
    follow = start("logs", "-f", "held")
    assert follow.stdout is not None
    assert follow.stdout.readline() == "first\n"
    assert follow.poll() is None
    (tmp_path / "go").touch()
    assert follow.communicate(timeout=60)[0] == "second\n"
    assert follow.returncode == 0


def test_logs_of_an_array_say_whose_line_it_is(type_: Type, tmp_path: Path) -> None:
    names = [script(tmp_path, f"{number}.in", f"echo at {number}") for number in range(2)]
    type_("submit", *names, "--name", "two")
    type_("wait", "two")
    assert type_("logs", "two").out == "two_0000 | at 0\ntwo_0001 | at 1\n"
    assert sorted(type_("logs", "-f", "two").out.splitlines()) == ["two_0000 | at 0", "two_0001 | at 1"]
    assert type_("logs", "two_0001").out == "at 1\n"
    assert type_("logs", "two", "--json").document == {
        "logs": [{"job_name": "two_0000", "text": "at 0\n"}, {"job_name": "two_0001", "text": "at 1\n"}]
    }
    assert type_("logs", "two", "-f", "--json").status == 2


def test_cancel_ends_a_job_and_leaves_one_that_has_ended(type_: Type, held: str, tmp_path: Path) -> None:
    type_("submit", held, "--name", "held")
    type_("submit", script(tmp_path, "fine.in", "exit 0"), "--name", "fine")
    type_("wait", "fine")
    answer = type_("cancel", "held", "fine", "--json")
    assert answer.document == {"cancelled": ["held"], "ended_before": ["fine"]}
    ended = type_("wait", "held", "--json")
    assert ended.status == 1
    assert ended.document["jobs"][0]["status"] == "cancelled"


def test_retry_submits_only_the_failed_jobs_of_an_array(type_: Type, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = f"echo run >> '{tmp_path}/runs'\n"
    names = [
        script(tmp_path, "fine.in", text),
        script(tmp_path, "shy.in", f"{text}[ -e '{mark}' ] || exit 3\n"),
    ]
    type_("submit", *names, "--name", "pair")
    assert type_("wait", "pair").status == 1
    mark.touch()
    assert type_("retry", "pair").out == "pair_0001\n"
    assert type_("wait", "pair").status == 0
    assert (tmp_path / "runs").read_text().count("run") == 3
    assert type_("retry", "pair", "--json").document == {"retried": []}


def test_retry_of_a_single_job_runs_it_again(type_: Type, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    type_("submit", script(tmp_path, "shy.in", f"[ -e '{mark}' ] || exit 3\n"), "--name", "shy")
    assert type_("wait", "shy").status == 1
    mark.touch()
    assert type_("retry", "shy", "--wall-time", "2m").out == "shy\n"
    assert type_("wait", "shy").status == 0
    assert type_("retry", "shy").status == 2


def test_delete_asks_says_what_is_lost_and_does_nothing_without_a_yes(type_: Type, tmp_path: Path) -> None:
    type_("submit", script(tmp_path, "melt.in", "echo 1 > energy"), "--name", "melt")
    type_("wait", "melt")
    nobody = type_("delete", "melt")
    assert nobody.status == 2
    assert "--yes" in nobody.err
    person = Terminal(["delete", "melt"])
    person.expect("energy")
    person.answer("[y/N]", "")
    assert person.end() == 1
    assert type_("status", "melt").status == 0
    person = Terminal(["delete", "melt"])
    person.answer("[y/N]", "y")
    assert person.end() == 0
    assert "deleted" in person.seen
    assert type_("jobs", "--json").document["jobs"] == []


def test_what_was_submitted_before_and_has_ended_is_not_said_to_be_handed_over(type_: Type) -> None:
    again = ["submit", "--name", "once", "--", "sh", "-c", "exit 1"]
    assert "handed to site local" in type_(*again).err
    type_("wait", "once")
    told = type_(*again)
    assert (told.status, told.out) == (0, "once\n")
    assert "is failed, so nothing is done; to run it anew: simcampaign delete once" in told.err


def test_an_active_job_is_not_deleted(type_: Type, held: str) -> None:
    type_("submit", held, "--name", "held")
    answer = type_("delete", "held", "--yes")
    assert answer.status == 2
    assert "still active" in answer.err


def test_a_ledger_that_cannot_be_used_exits_with_3(type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as changed:
        changed.setenv("SIMCAMPAIGN_LEDGER_URL", f"sqlite:///{os.devnull}/ledger.sqlite")
        assert type_("jobs").status == 3


@pytest.fixture(autouse=True)
def no_job_stays(type_: Type, home: Path) -> Iterator[None]:
    """Let no job of a test outlive it."""
    yield
    for job in type_("jobs", "--status", "queued,running", "--json").document["jobs"]:
        type_("cancel", job["job_name"], "--site", job["site_name"])
