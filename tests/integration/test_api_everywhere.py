"""The examples of the Python API, at every kind of site."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from simcampaign import api
from simcampaign.errors import ConfigError, ConflictError, SimulationError
from simcampaign.jobs import Cause, JobState
from simcampaign.sites.registry import open_site
from tests.integration.containers import engine_of
from tests.integration.services.busybox import BUSYBOX
from tests.integration.services.slurm import NoSlurm, slurm_cluster
from tests.integration.services.sshd import NoSshd, ssh_servers

pytestmark = pytest.mark.timeout(300)

COPY = "sh -c 'tr a-z A-Z < \"$0\" > out.txt; echo computing' {input}"
"""What starts an input file: it copies the text in capitals, and prints a word."""


@dataclass(frozen=True)
class Table:
    """A table of the file of sites."""

    fields: dict[str, object]
    environment: dict[str, str] = field(default_factory=dict)
    """What this process needs to reach the site."""

    def write(self, file: Path) -> None:
        """Write it as the site ``here``."""
        fields = {"executable": COPY, **self.fields}
        lines = (f"{name} = {json.dumps(value)}" for name, value in fields.items())
        file.write_text("\n".join(["[here]", *lines, ""]))


@pytest.fixture(scope="session")
def local_table() -> Table:
    return Table({"backend": "local", "grace_seconds": 0.3})


@pytest.fixture(scope="session")
def docker_table() -> Iterator[Table]:
    with engine_of("docker") as engine:
        yield Table({"backend": "docker", "base_url": engine.address, "image": BUSYBOX, "grace_seconds": 0.3})


@pytest.fixture(scope="session")
def slurm_table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    scratch = tmp_path_factory.mktemp("slurm scratch")
    try:
        with slurm_cluster() as cluster:
            yield Table({"backend": "slurm", "poll_seconds": 1, "scratch": str(scratch)}, cluster.environment)
    except NoSlurm as error:
        pytest.skip(f"Slurm cannot be run here: {error}")


@pytest.fixture(scope="session")
def ssh_table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    try:
        with ssh_servers(tmp_path_factory.mktemp("api-ssh")) as servers:
            options = {"host": "node0", "config_file": str(servers.config), "python": sys.executable}
            yield Table({"backend": "ssh", "slots": 3, "grace_seconds": 0.3, **options})
    except NoSshd as error:
        pytest.skip(f"no SSH server can be run here: {error}")


@pytest.fixture(params=["local", "docker", "ssh", "slurm"])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A site of each kind, and a ledger of its own."""
    table: Table = request.getfixturevalue(f"{request.param}_table")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SIMCAMPAIGN_SITES", str(tmp_path / "sites.toml"))
    monkeypatch.delenv("SIMCAMPAIGN_LEDGER_URL", raising=False)
    for name, value in table.environment.items():
        monkeypatch.setenv(name, value)
    table.write(tmp_path / "sites.toml")
    yield "here"
    here = open_site("here").site
    for job in api.get_jobs(status=["queued", "running"]):
        job.cancel()
    if here.host is not None:
        here.host.close()


def script(text: str) -> list[str]:
    """A command that any site can run."""
    return ["sh", "-c", text]


def process(code: str) -> str:
    """Run code in another process, and return what it printed."""
    command = [sys.executable, "-c", f"from simcampaign import api\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_run_waits_copies_all_outputs_and_the_log_and_deletes_what_the_site_has(
    site: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in.txt").write_text("hello\n")
    job = api.run("in.txt", site, "results", ranks=1)
    assert job.status == "finished"
    assert Path("results/out.txt").read_text() == "HELLO\n"
    assert Path("results", job.log_name).read_text() == "computing\n"
    assert {path.name for path in Path("results").iterdir()} == {"out.txt", job.log_name}
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"Job {job.job_name} at site here, 1 rank"
    assert second.startswith(f"Downloaded 16 B (2 files) to {Path.cwd() / 'results'}; ")
    assert second.endswith(" s of simulation")
    assert job.group == "archive"
    host = open_site(site).site.host
    assert host is not None
    assert [each.path for each in host.list(open_site(site).site.scratch) if job.job_name in each.path] == []


def test_run_many_puts_the_outputs_of_each_job_into_a_folder_of_its_own(
    site: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(3):
        Path(f"{index}.txt").write_text(f"input {index}\n")
    array = api.run_many([f"{index}.txt" for index in range(3)], site, "results")
    assert array.status == "finished"
    for index in range(3):
        assert Path(f"results/job_{index:04d}/out.txt").read_text() == f"INPUT {index}\n"
    assert capsys.readouterr().out.startswith(f"Job array {array.job_name} at site here: 3 jobs, 1 rank each\n")


def test_jobs_of_an_array_may_differ_in_command_files_and_environment(site: str) -> None:
    simulations = [
        api.Simulation(
            script(f'echo "{index} $WORD" | cat - own > result'),
            files={f"data/{index}": f"<{index}>".encode(), "own": b"own\n"} if index else {"own": b"own\n"},
            environment={"WORD": f'it\'s {index} "$HOME"'},
        )
        for index in range(3)
    ]
    array = api.run_many_async(simulations, site, environment={"WORD": "hidden"}).result()
    copied = array.copy_output("results")
    assert sorted(copied) == [Path(f"results/job_{index:04d}/result") for index in range(3)]
    for index in range(3):
        path = Path(f"results/job_{index:04d}/result")
        assert path.read_text().splitlines()[:2] == [f'{index} it\'s {index} "$HOME"', "own"]
        assert copied[path] == path.stat().st_size


def test_a_job_is_found_again_by_another_process_waited_for_copied_and_deleted(site: str) -> None:
    submit = """
job = api.run_async(api.Simulation(["sh", "-c", "sleep 1; echo done > out"]), "here", job_name="later", group="mine")
print(job.status)
"""
    assert process(submit) in ("queued\n", "running\n")
    job = api.get_job(job_name="later", site_name=site)
    assert job == api.get_jobs(group="mine")[0]
    job.result()
    assert job.get_output_files() == ["out"]
    assert job.copy_output("results") == {Path("results/out"): 5}
    assert job.exception() is None
    deleted = job.delete()
    assert any(path.endswith("/out") for path in deleted)
    assert job.group == "archive"
    assert api.get_jobs() == []
    assert process("print(api.get_job(job_name='later', site_name='here').status)") == "finished\n"


def test_a_job_is_the_same_job_in_another_process_and_after_pickling(site: str) -> None:
    job = api.run_async(api.Simulation(script(":")), site, job_name="same")
    array = api.run_many_async([api.Simulation(script(":"))] * 2, site, job_name="both")
    Path("jobs.pickle").write_bytes(pickle.dumps([job, array, array.jobs[1]]))
    assert pickle.loads(Path("jobs.pickle").read_bytes()) == [job, array, array.jobs[1]]  # noqa: S301 - our own
    code = """
import pickle
found = [api.get_job(job_name="same", site_name="here"), api.get_job_array("both"), api.get_job("both_0001")]
pickled = pickle.load(open("jobs.pickle", "rb"))
print(found == pickled, set(found) == set(pickled), found[2] == pickled[0], pickled[1].jobs[1] == found[2])
"""
    assert process(code) == "True True False True\n"
    assert {job: 1}[api.get_job(job_name="same", site_name=site)] == 1
    array.wait()


def test_a_simulation_that_fails_says_cause_exit_code_last_lines_and_where_its_log_is(site: str) -> None:
    simulation = api.Simulation(script("echo before > partial; echo it is broken; exit 3"))
    with pytest.raises(SimulationError) as raised:
        api.run(simulation, site, "results", job_name="bad", verbose=False)
    message = str(raised.value)
    assert message.startswith("job bad at site here failed: the program failed, exit code 3")
    assert "it is broken" in message
    assert str(Path("results/bad.log").absolute()) in message
    assert Path("results/partial").read_text() == "before\n"
    job = api.get_job("bad", site)
    assert job.status == "failed"
    assert job.get_output_files() == ["partial"], "nothing is deleted"
    assert isinstance(job.exception(), SimulationError)
    with pytest.raises(SimulationError):
        job.result()


def test_only_failed_jobs_of_an_array_are_tried_again_and_the_newest_try_is_shown(site: str) -> None:
    simulations = [
        api.Simulation(["sh", "run.sh"], files={"run.sh": SCRIPT, "n": f"{index}".encode()}) for index in range(4)
    ]
    array = api.run_many_async(simulations, site, job_name="again")
    array.wait()
    assert [job.status for job in array.jobs] == ["finished", "failed", "finished", "failed"]
    assert array.status == "failed"
    error = array.exception()
    assert error is not None
    assert "2 finished, 2 failed" in str(error)
    assert "retry_failed()" in str(error)
    names = [job.job_name for job in array.retry_failed()]
    assert names == ["again_0001", "again_0003"]
    assert array.wait() == "failed"
    assert [job.logs() for job in array.jobs] == ["ok 0\n", "no 1\n", "ok 2\n", "no 3\n"]
    array.delete()


SCRIPT = b"""\
read index < n
case "$index" in *[13]) echo "no $index"; exit 1;; esac
echo "ok $index"
"""


def test_a_job_that_is_cancelled_says_so(site: str) -> None:
    job = api.run_async(api.Simulation(script("echo started; sleep 100")), site)
    job.cancel()
    job.cancel()
    assert job.wait(timeout_in_seconds=60) == "cancelled"
    assert "was cancelled" in str(job.exception())
    array = api.run_many_async([api.Simulation(script("sleep 100"))] * 3, site)
    array.jobs[1].cancel()
    array.jobs[1].wait(timeout_in_seconds=60)
    assert array.jobs[0].status.active
    array.cancel()
    assert array.wait(timeout_in_seconds=60) == "cancelled"


def test_an_active_job_is_not_deleted_and_told_how_to_be_cancelled(site: str) -> None:
    job = api.run_async(api.Simulation(script("sleep 100")), site)
    with pytest.raises(ConflictError, match=r"cancel\(\)"):
        job.delete()
    job.cancel()
    job.wait()
    job.delete()


@pytest.mark.parametrize("site", ["local", "docker", "ssh"], indirect=True)  # Slurm counts in minutes
def test_a_job_that_takes_longer_than_its_wall_time_is_ended(site: str) -> None:
    job = api.run_async(api.Simulation(script("echo begun; sleep 100")), site, wall_time_in_seconds=1)
    assert job.wait(timeout_in_seconds=100) == "failed"
    error = job.exception()
    assert error is not None
    assert "its wall time was up" in str(error)
    assert job.resources.timeout_seconds == 1
    job.retry(wall_time_in_seconds=30)
    assert job.resources.timeout_seconds == 30
    job.cancel()
    job.wait()


def test_waiting_ends_when_the_time_is_up_and_the_job_goes_on(site: str) -> None:
    job = api.run_async(api.Simulation(script("sleep 3")), site)
    with pytest.raises(TimeoutError, match="goes on"):
        job.wait(poll_interval_in_seconds=0.2, timeout_in_seconds=0.5)
    assert not job.done()
    assert job.wait() == "finished"
    assert job.done()


def test_names_of_files_may_be_hostile(site: str) -> None:
    names = ["a b", "it's", '"q"', "$HOME", "-rf", "é☃", "new\nline", "{input}", "*", "sub dir/x;y", "`id`", "\\n"]
    files = {"-in put": b"main", **{name: name.encode() for name in names}}
    act = 'cat -- "$1" > "out put"; for f in *; do if [ -f "$f" ]; then cp -- "./$f" "./new-$f"; fi; done'
    job = api.run_async(api.Simulation(["sh", "-c", act, "sh", "{input}"], files), site).result()
    copied = {path.relative_to("results").as_posix() for path in job.copy_output("results")}
    top = [name for name in files if "/" not in name] + ["out put"]
    assert copied == {f"new-{name}" for name in top} | {"out put"}
    assert Path("results/out put").read_bytes() == b"main"
    assert Path("results/new-new\nline").read_bytes() == b"new\nline"


def test_outputs_are_all_but_unchanged_inputs_or_what_is_asked_for(site: str) -> None:
    files = {"same": b"same", "changed": b"before", "grown": b"1"}
    act = script("printf after1 > changed; echo 2 >> grown; mkdir -p d; echo 3 > d/new.csv; echo 4 > new.txt")
    job = api.run_async(api.Simulation(act, files), site).result()
    assert job.get_output_files() == ["changed", "d/new.csv", "grown", "new.txt"]
    job = api.run_async(api.Simulation(act, files, outputs=["*.csv", "same"]), site).result()
    assert job.get_output_files() == ["d/new.csv", "same"]


def test_files_and_folders_are_put_into_the_folder_of_the_job(site: str) -> None:
    Path("model/part").mkdir(parents=True)
    Path("model/part/a").write_text("a")
    Path("program").write_text('#!/bin/sh\necho "I am $0"; cat model/part/a > out\n')
    Path("program").chmod(0o755)
    job = api.run_async(api.Simulation("./program", files=["program", "model"]), site).result()
    assert job.get_output_files() == ["out"]
    assert job.logs() == "I am ./program\n"


def test_an_object_writes_its_own_input(site: str) -> None:
    class Model:
        def write(self, path: Path) -> None:
            path.write_text("from an object")

    api.run(Model(), site, "results", verbose=False)
    assert Path("results/out.txt").read_text() == "FROM AN OBJECT"


def test_a_log_is_followed_line_by_line_until_the_job_ends(site: str) -> None:
    job = api.run_async(api.Simulation(script("echo one; sleep 1; echo two; printf three")), site)
    lines = job.logs(follow=True)
    assert list(lines) == ["one", "two", "three"]
    assert job.status == "finished"
    assert job.logs() == "one\ntwo\nthree"


def test_jobs_come_as_they_complete(site: str) -> None:
    acts = [script("sleep 3"), script(":"), script("exit 1")]
    array = api.run_many_async([api.Simulation(act) for act in acts], site)
    seen = [(job.job_name[-1], job.status) for job in array.as_completed()]
    assert sorted(seen) == [("0", "finished"), ("1", "finished"), ("2", "failed")]


def test_what_a_job_took_is_known(site: str) -> None:
    busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
    job = api.run_async(api.Simulation(script(busy)), site).result()
    used = job.resources_used
    assert used.wall_seconds is not None
    assert 0 <= used.wall_seconds < 60
    assert job.cost == 0


def test_a_name_that_is_taken_is_refused_unless_the_very_same_is_asked_for(site: str) -> None:
    simulation = api.Simulation(script("echo once >> count"), files={"x": b"1"})
    first = api.run_async(simulation, site, job_name="taken")
    assert api.run_async(simulation, site, job_name="taken") == first
    with pytest.raises(ConflictError, match="taken"):
        api.run_async(api.Simulation(script("true")), site, job_name="taken")
    first.result().copy_output("results")
    assert Path("results/count").read_text() == "once\n"
    first.delete()
    second = api.run_async(simulation, site, job_name="taken")
    assert second != first
    assert api.get_job("taken", site) == second
    second.wait()


def test_mistakes_are_told_all_at_once_and_nothing_is_created(site: str) -> None:
    with pytest.raises(ConfigError) as raised:
        api.run("missing.txt", site, ".", ranks=0, wall_time_in_seconds=-1, cpus=0, job_name="../up")
    assert len(raised.value.problems) == 6
    with pytest.raises(ConfigError, match="did you mean `here`"):
        api.run_async(api.Simulation(script(":")), "her")
    assert api.get_jobs() == []


def test_states_are_those_of_jobs(site: str) -> None:
    job = api.run_async(api.Simulation(script("exit 1")), site)
    assert job.status in JobState
    job.wait()
    assert [each.job_name for each in api.get_jobs(status="failed", site_name=site)] == [job.job_name]
    assert api.get_jobs(status=[JobState.FINISHED]) == []
    assert Cause.APPLICATION == "application"
