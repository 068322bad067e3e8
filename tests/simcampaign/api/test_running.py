"""Running simulations: what is started, where outputs go, what is printed, what is kept secret."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simcampaign import api
from simcampaign.errors import ConfigError, ConflictError, SimulationError, SiteError
from tests.simcampaign.api.conftest import sh
from tests.support import until


def test_the_site_says_how_an_input_file_is_started_with_ranks_and_environment() -> None:
    Path("in.sh").write_text('echo "ranks=$RANKS site=$FROM_SITE own=$OWN" > out\n')
    api.run("in.sh", "local", "one", ranks=3, cpus=0.5, environment={"OWN": "a b"}, verbose=False)
    assert Path("one/out").read_text() == "ranks=3 site=yes own=a b\n"
    api.run(Path("in.sh"), "local", "two", environment={"FROM_SITE": "no"}, verbose=False)
    assert Path("two/out").read_text() == "ranks= site=no own=\n"


def test_a_command_may_name_what_the_job_was_given() -> None:
    command = ["echo", "{input} {ranks} {cpus:} {cpus} {gpus} {memory_mb} {index}", "{python}"]
    job = api.run_async(api.Simulation(command, {"-x": b"1"}), "bare", ranks=2, memory_mb=300).result()
    assert job.logs() == f"./-x 2 {{cpus:}} 1 0 300 0 {sys.executable}\n"


def test_a_site_that_does_not_say_how_to_start_an_input_file_is_told_what_to_add(tmp_path: Path) -> None:
    Path("in.txt").write_text("1")
    with pytest.raises(ConfigError) as raised:
        api.run("in.txt", "bare", "results")
    message = str(raised.value)
    assert 'add executable = "PROGRAM {input}" below [bare]' in message
    assert str(tmp_path / "sites.toml") in message


def test_an_output_folder_that_exists_is_refused_at_once_or_written_over_if_asked() -> None:
    simulation = api.Simulation(
        sh("echo ran >> $NOTES; echo new > out"), environment={"NOTES": str(Path("n").absolute())}
    )
    Path("results").mkdir()
    Path("results/out").write_text("old")
    Path("results/other").write_text("other")
    with pytest.raises(ConfigError, match="exists already"):
        api.run(simulation, "local", "results")
    assert not Path("n").exists()
    api.run(simulation, "local", "results", overwrite=True, verbose=False)
    assert Path("results/out").read_text() == "new\n"
    assert Path("results/other").read_text() == "other"
    Path("file").write_text("")
    with pytest.raises(ConfigError, match="is no folder"):
        api.run(simulation, "local", "file", overwrite=True)


def test_a_log_that_was_saved_for_an_earlier_job_of_the_name_is_replaced() -> None:
    for act in ("echo old; echo older", "echo new", ":"):
        job = api.run(api.Simulation(sh(act)), "local", "results", True, job_name="again", verbose=False)
        assert Path("results/again.log").read_text() == job.logs()
    assert job.logs() == ""


def test_an_error_shows_the_log_of_the_newest_try() -> None:
    act = sh("test -e mark && echo second; echo first; touch $MARK; exit 1".replace("mark", "$MARK"))
    environment = {"MARK": str(Path("mark").absolute())}
    with pytest.raises(SimulationError, match=r"results/job_0000/twice_0000\.log"):
        api.run_many([api.Simulation(act, environment=environment)], "local", "results", job_name="twice")
    job = api.get_job("twice_0000")
    assert "second" not in str(job.exception())
    job.retry()
    error = job.exception()
    assert error is not None
    assert "second" in str(error)
    assert "logs()" in error.hint


def test_logs_of_a_deleted_job_are_those_beside_its_outputs() -> None:
    job = api.run(api.Simulation(sh("echo said")), "local", "one", verbose=False)
    assert (job.logs(), list(job.logs(follow=True))) == ("said\n", ["said"])
    many = [api.Simulation(sh(f"echo {index}")) for index in range(2)]
    array = api.run_many(many, "local", "two", verbose=False)
    assert (array.logs(), list(array.logs(follow=True))) == (["0\n", "1\n"], [(0, "0"), (1, "1")])
    gone = api.run_async(api.Simulation(sh("echo said")), "local").result()
    gone.delete()
    with pytest.raises(ConflictError, match="was deleted"):
        gone.logs()


def test_a_run_that_takes_up_an_earlier_one_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for _ in range(2):
        with pytest.raises(SimulationError):
            api.run(api.Simulation(sh("exit 1")), "local", "results", job_name="same")
        said.append(capsys.readouterr().out.splitlines()[0])
    assert said == ["Job same at site local, 1 rank", "Job same at site local, 1 rank, submitted before"]


def test_nothing_is_printed_if_nobody_wants_to_hear(capfd: pytest.CaptureFixture[str]) -> None:
    api.run(api.Simulation(sh("echo hi")), "local", "results", verbose=False)
    assert capfd.readouterr() == ("", "")


def test_who_gives_up_waiting_is_told_how_to_get_the_job_again() -> None:
    go = Path("go").absolute()
    code = f"""
from simcampaign import api
simulation = api.Simulation(["sh", "-c", "touch {go}; sleep 2; echo end > out"])
api.run(simulation, "local", "out", job_name="long")
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.readline()
        until(go.exists)
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert (printed, rest) == ("Job long at site local, 1 rank\n", "")
    assert (
        "The job goes on at site local. To get it again:\n  api.get_job(job_name='long', site_name='local')\n" in said
    )
    job = api.get_job("long", "local").result()
    assert job.copy_output("out") == {Path("out/out"): 4}


def test_jobs_that_lacked_time_are_given_more_when_they_are_tried_again() -> None:
    slow = api.Simulation(sh("sleep 1.2; echo end > out"))
    array = api.run_many_async([slow, api.Simulation(sh(":")), slow], "local", wall_time_in_seconds_per_job=0.8)
    assert array.wait() == "failed"
    assert [job.job_name[-1] for job in array.retry_failed()] == ["0", "2"]
    assert [job.resources.timeout_seconds for job in array.jobs] == [1.6, 0.8, 1.6]
    assert array.result().get_output_files() == ["job_0000/out", "job_0002/out"]
    assert array.retry_failed() == []
    assert len({path.rsplit("/", 3)[1] for path in array.delete()}) == 2, "folders of the first tries go, too"


def test_a_job_that_failed_can_be_tried_again_and_inputs_are_what_they_were(tmp_path: Path) -> None:
    Path("data").write_text("1\n")
    act = sh(f"cat data; echo changed > data; test -e {tmp_path / 'mended'}")
    job = api.run_async(api.Simulation(act, ["data"]), "local")
    assert isinstance(job.exception(), SimulationError)
    Path("mended").touch()
    job.retry()
    assert job.result().logs() == "1\n"
    assert job.get_output_files() == ["data"]


def test_a_site_refuses_before_anything_is_written_down() -> None:
    with pytest.raises(SiteError, match="no-such-program"):
        api.run_async(api.Simulation("no-such-program"), "local")
    with pytest.raises(SiteError, match="no such options"):
        api.run_async(api.Simulation(sh(":")), "local", options={"partition": "long"})
    with pytest.raises(SiteError, match="cores"):
        api.run_async(api.Simulation(sh(":")), "local", ranks=1000)
    assert api.get_jobs() == []


def test_values_of_environment_variables_are_kept_private_and_only_until_the_job_is_deleted(home: Path) -> None:
    secret = "hunter2-of-the-test"
    simulation = api.Simulation(sh('test "$PASSWORD" && exit 1'), {"x": b"x"}, environment={"PASSWORD": secret})
    with pytest.raises(SimulationError) as raised:
        api.run(simulation, "local", "results", job_name="private", verbose=False)
    assert secret not in str(raised.value)
    ledger = b"".join(path.read_bytes() for path in home.glob("ledger.sqlite*"))
    assert b"PASSWORD" in ledger
    assert secret.encode() not in ledger
    [folder] = (home / "requests").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    api.get_job("private").delete()
    assert not folder.exists()


def test_files_of_a_failed_submission_are_removed(home: Path) -> None:
    Path("x").write_text("x")
    simulation = api.Simulation(sh(":"), {"a": b"1", "b": "x"})
    (home / "local").mkdir(parents=True)
    (home / "local" / "arrays").write_text("in the way")
    with pytest.raises(SiteError):
        api.run_async(simulation, "local", job_name="refused")
    assert api.get_jobs() == []
    assert not any((home / "local" / "scratch").rglob("a"))
    assert not list((home / "requests").glob("*"))
    (home / "local" / "arrays").unlink()
    api.run_async(simulation, "local", job_name="refused").result()


def test_deleting_says_what_is_deleted_and_a_second_time_nothing() -> None:
    job = api.run_async(api.Simulation(sh("echo 1 > out"), {"in": b"1"}), "local").result()
    assert [path.rsplit("/", 1)[1] for path in job.delete()] == ["in", "out"]
    assert job.delete() == []
    array = api.run_many_async([api.Simulation(sh("echo 1 > out"))] * 2, "local").result()
    assert len(array.jobs[0].delete()) == 2
    assert array.group == "default"
    assert array.get_output_files() == ["job_0001/out"]
    assert len(array.delete()) == 2
    assert array.jobs[1].group == "archive"


def test_a_site_whose_jobs_reach_no_directory_is_refused_and_told_what_to_run(tmp_path: Path) -> None:
    with (tmp_path / "sites.toml").open("a") as file:
        file.write(
            '[aws]\nbackend = "batch"\naccount = "123456789012"\nregion = "us-east-1"\nqueue = "q"\nuser = "u"\n'
        )
    with pytest.raises(SiteError, match="run_batch_simulations"):
        api.run_async(api.Simulation(sh(":")), "aws")
