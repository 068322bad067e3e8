"""Tidy3D's own client, as it is, against the service: its tasks are uploaded, solved and loaded here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.peer import FLEX_RF_PINS, TIDY3D_PINS, PeerUnavailable, environment
from simcampaign.errors import SiteError
from simcampaign.jobs import ArrayReport, ArraySpec, JobSpec, JobState
from simcampaign.service.tidy3d.worker import GROUP
from simcampaign.web.cloud import Simulation
from simcampaign.web.site import SolverOptions, SolverSite
from tests.integration.services.aws import Aws, aws_server
from tests.packages import install
from tests.simcampaign.service.server import Server, running
from tests.support import until

pytestmark = pytest.mark.tidy3d

PROGRAM = Path(__file__).parent / "services" / "tidy3d_client.py"
TOKEN = "a-token-that-nobody-guesses"
BUCKET = "exchange"
SOLVER = '''
class Eme:
    """Answers without solving: what is tested is who is asked."""

    def estimate(self, simulation):
        return 10, 10

    def solve(self, simulation, progress):
        import tidy3d

        progress(50, 0)
        return tidy3d.EMESimulationData(simulation=simulation, data=(), smatrix=None, port_modes_raw=None)


EME = Eme()
'''


class ClientError(Exception):
    """What the client raised."""


class Client:
    """A client in a process of its own."""

    def __init__(self, python: Path, variables: Mapping[str, str], folder: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [python, PROGRAM, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "client.log").open("a"),
            text=True,
            env=dict(variables),
            cwd=folder,
        )
        assert self._read() == "ready"

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the client died"
        return json.loads(line)

    def __call__(self, name: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, arguments]) + "\n")
        self.process.stdin.flush()
        told = self._read()
        if "error" in told:
            raise ClientError(told["error"])
        return told["answer"]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def python_with(pins: Path) -> Path:
    try:
        return environment(pins)
    except PeerUnavailable as reason:
        pytest.skip(f"the client cannot be had: {reason}")


@pytest.fixture(scope="module")
def python() -> Path:
    return python_with(TIDY3D_PINS)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with aws_server(tmp_path_factory.mktemp("aws")) as aws:
        aws.client("s3").create_bucket(Bucket=BUCKET)
        yield aws


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, python: Path, aws: Aws) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tidy3d")
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    plugin = install(folder / "plugin", "eme_here", SOLVER, GROUP, {"EMESimulation": "eme_here:EME"})
    settings = f'[solver.tidy3d]\npython = "{python}"\nexchange = "s3://{BUCKET}/tasks"\n'
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**aws.environment, "PYTHONPATH": str(plugin)}.items():
            patch.setenv(name, value)
        with running(folder / "home", settings, "--tidy3d", "--token-file", str(token)) as server:
            yield server


def variables(service: Server, aws: Aws, folder: Path, key: str = TOKEN) -> dict[str, str]:
    """Return the variables by which a user points the client here; there are no AWS keys among them."""
    return {
        "SIMCLOUD_APIKEY": key,
        "TIDY3D_BASE_DIR": str(folder / "tidy3d"),
        "FLEX_RF_BASE_DIR": str(folder / "flex_rf"),
        "TIDY3D_LOCAL_CACHE__ENABLED": "false",
        "TIDY3D_WEB__API_ENDPOINT": f"{service.http.base_url}/tidy3d-api",
        "TIDY3D_WEB__WEBSITE_ENDPOINT": str(service.http.base_url),
        "TIDY3D_WEB__S3_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": aws.endpoint,
    }


@contextmanager
def connected(python: Path, service: Server, aws: Aws, folder: Path, *words: str, key: str = TOKEN) -> Iterator[Client]:
    """Run a client as its user sets it up."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SIMCAMPAIGN_"))}
    client = Client(python, {**others, **variables(service, aws, folder, key)}, folder, *words)
    try:
        yield client
    finally:
        client.kill()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, python: Path, service: Server, aws: Aws) -> Iterator[Client]:
    with connected(python, service, aws, tmp_path_factory.mktemp("client")) as client:
        yield client


def test_run_returns_what_the_solver_returns_locally(client: Client, tmp_path: Path) -> None:
    found = client("run", width=0.5, path=str(tmp_path / "data.hdf5"), task_name="one", verbose=True)
    assert found == {"type": "ModeSolverData", "index": pytest.approx(client("local", width=0.5))}


def test_a_mode_simulation_is_solved_as_well(client: Client, tmp_path: Path) -> None:
    found = client("run_simulation", path=str(tmp_path / "data.hdf5"))
    assert found == {"type": "ModeSimulationData", "index": pytest.approx(client("local", width=0.5))}


def test_a_nested_batch_comes_back_in_its_shape_and_without_a_cache_it_is_solved_again(
    client: Client, tmp_path: Path
) -> None:
    wanted = {"a": [pytest.approx(client("local", width=0.4))], "b": [pytest.approx(client("local", width=0.6))]}
    assert client("nested", path=str(tmp_path / "first"), folder="shapes") == wanted
    assert client("nested", path=str(tmp_path / "second"), folder="shapes") == wanted
    assert len(client("tasks", folder="shapes")) == 4


def test_steps_alone_quote_start_watch_load_and_forget_a_task(client: Client, tmp_path: Path) -> None:
    task = client("upload", width=0.45, task_name="steps", folder_name="steps")
    assert client("status", task_id=task) == "draft"
    estimated, real = client("costs", task_id=task)
    assert (estimated > 0, real) == (True, None)
    client("load_simulation", task_id=task, path=str(tmp_path / "simulation.hdf5"))
    client("start", task_id=task)
    client("start", task_id=task)  # as after an answer that was lost
    client("monitor", task_id=task)
    assert client("load", task_id=task, path=str(tmp_path / "data.hdf5")) == pytest.approx(client("local", width=0.45))
    assert client("costs", task_id=task) == [estimated, estimated]
    assert "progress 100.0" in client("log", task_id=task, path=str(tmp_path / "log"))
    assert client("tasks", folder="steps") == [task]
    client("delete", task_id=task)
    assert client("tasks", folder="steps") == []


def test_old_tasks_of_a_folder_are_deleted_together(client: Client) -> None:
    for width in (0.41, 0.42):
        client("upload", width=width, task_name="old", folder_name="attic")
    assert client("delete_old", days=1, folder="attic") == 0
    assert client("delete_old", days=0, folder="attic") == 2
    assert client("tasks", folder="attic") == []


def test_an_aborted_task_ends_and_says_so(client: Client, service: Server) -> None:
    task = client("start_long")
    until(lambda: client("status", task_id=task) == "running")
    client("abort", task_id=task)
    until(lambda: client("status", task_id=task) == "aborted")
    assert service.http.get("/jobs", params={"status": "running"}, headers=bearer()).json() == []


def commands(service: Server) -> list[list[str]]:
    """Return the command lines of all processes that work below the service's home."""
    lines = [each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"])]
    return [line for line in lines if any(word.startswith(str(service.home)) for word in line)]


def test_a_task_is_solved_by_a_new_process_if_that_which_solves_it_dies(client: Client, service: Server) -> None:
    task = client("start_long")
    until(lambda: client("status", task_id=task) == "running")
    assert service.process is not None
    for each in psutil.Process(service.process.pid).children(recursive=True):
        if "examine" in (each.parent() or each).cmdline():
            each.kill()
    until(lambda: any("solve" in line for line in commands(service)))
    assert client("status", task_id=task) == "running"
    client("abort", task_id=task)
    until(lambda: client("status", task_id=task) == "aborted")
    until(lambda: not any("solve" in line for line in commands(service)))


def test_a_job_goes_on_from_its_file(client: Client, tmp_path: Path) -> None:
    task = client("save_job", width=0.47, path=str(tmp_path / "job.hdf5"))
    again, index = client("resume_job", path=str(tmp_path / "job.hdf5"), data=str(tmp_path / "data.hdf5"))
    assert (again, index) == (task, pytest.approx(client("local", width=0.47)))


def test_a_batch_whose_client_was_killed_goes_on_from_its_file_and_nothing_is_solved_twice(
    client: Client, python: Path, service: Server, aws: Aws, tmp_path: Path
) -> None:
    path = tmp_path / "batch.hdf5"
    with connected(python, service, aws, tmp_path) as first:
        first("start_batch", path=str(path), widths=[0.4, 0.55])
        first.kill()
    begun = client("tasks", folder="batch")
    found = client("resume_batch", path=str(path), folder=str(tmp_path / "data"))
    assert found == {str(width): pytest.approx(client("local", width=width)) for width in (0.4, 0.55)}
    assert client("tasks", folder="batch") == begun
    assert len(begun) == 2


@pytest.mark.parametrize("kind", ["Simulation", "TerminalComponentModeler"])
def test_what_no_solver_is_there_for_is_refused_when_it_is_validated(client: Client, kind: str) -> None:
    with pytest.raises(ClientError, match=f"no solver for {kind} is registered here"):
        client("refuse", kind=kind)


def test_the_rf_client_runs_what_is_solved_here_and_is_told_what_is_not(
    client: Client, service: Server, aws: Aws, tmp_path: Path
) -> None:
    with connected(python_with(FLEX_RF_PINS), service, aws, tmp_path, "flex_rf") as call:
        ran = call("run", width=0.52, path=str(tmp_path / "data.hdf5"), task_name="rf", verbose=False)
        assert ran == {"type": "ModeSolverData", "index": pytest.approx(client("local", width=0.52))}
        with pytest.raises(ClientError, match="no solver for TerminalComponentModeler is registered here"):
            call("refuse", kind="TerminalComponentModeler")


def test_a_solver_that_another_package_registers_is_asked(client: Client) -> None:
    task = client("eme")
    client("start", task_id=task)
    client("monitor", task_id=task)
    assert client("costs", task_id=task) == [1e-7, 1e-7]


def test_a_wrong_key_is_refused_and_no_key_is_written_down(
    client: Client, python: Path, service: Server, aws: Aws, tmp_path: Path
) -> None:
    stranger = connected(python, service, aws, tmp_path, key="wrong-key-of-somebody")
    with stranger as call, pytest.raises(ClientError, match="this token is not known"):
        call("tasks", folder="default")
    written = service.log.read_text()
    assert TOKEN not in written
    assert "wrong-key-of-somebody" not in written


def test_tasks_of_both_protocols_are_the_same(client: Client, service: Server) -> None:
    task = client("upload", width=0.43, task_name="both")
    told = service.http.get(f"/solver/v1/tasks/{task}", headers=bearer()).json()
    assert (told["type"], told["status"], told["name"]) == ("tidy3d.ModeSolver", "ready", "both")


def bearer() -> dict[str, str]:
    return {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, python: Path, service: Server, aws: Aws) -> Iterator[SolverSite]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables(service, aws, tmp_path_factory.mktemp("site")).items():
            patch.setenv(name, value)
        yield opened(python)


def opened(python: Path) -> SolverSite:
    """Return the site as a campaign that starts anew opens it."""
    return SolverSite.configure("cloud", SolverOptions(client="tidy3d", python=str(python)))


def array(name: str, *paths: Path) -> ArraySpec:
    jobs = [
        JobSpec(index, f"{name}_{index}", str(path), str(index), f"{name}_a_{index:04}")
        for index, path in enumerate(paths)
    ]
    return ArraySpec(name, name, f"{paths[0].parent}/", f"{paths[0].parent}/", (), jobs)


def follow(site: SolverSite, name: str, wanted: set[JobState]) -> ArrayReport:
    """Look until all jobs of an array are in one of these states, and return the look."""

    def look() -> ArrayReport | None:
        report = site.status({name: ""})[name]
        return report if {job.state for job in report.changes} <= wanted else None

    return until(look)


def test_their_cloud_is_a_site_where_an_array_is_priced_solved_once_and_fetched(
    client: Client, site: SolverSite, python: Path, tmp_path: Path
) -> None:
    files = [tmp_path / f"{width}.hdf5" for width in (0.4, 0.6)]
    for path in files:
        client("write", width=float(path.stem), path=str(path))
    wanted = array("sweep", *files)
    assert site.depot is not None
    quoted = site.depot.quote(wanted)
    assert quoted > 0
    assert site.submit(wanted) == "sweep"
    again = opened(python)  # the campaign was killed, and starts once more
    assert again.find("sweep") == "sweep"
    assert again.submit(wanted) == "sweep"
    assert len(client("tasks", folder="sweep")) == 2
    report = follow(again, "sweep", {JobState.FINISHED})
    assert sum(job.cost or 0.0 for job in report.changes) == pytest.approx(quoted)
    assert again.depot is not None
    found = sorted(entry.path for entry in again.depot.outputs("sweep"))
    assert found == ["sweep_a_0000.hdf5", "sweep_a_0001.hdf5"]
    again.depot.get("sweep", [(name, tmp_path / name) for name in found])
    indices = [client("read", path=str(tmp_path / name)) for name in found]
    assert indices == [pytest.approx(client("local", width=width)) for width in (0.4, 0.6)]
    assert all(b"progress 100.0" in log for _, log in again.logs("sweep", [0, 1]))
    again.depot.remove(["sweep"])
    assert client("tasks", folder="sweep") == []


def test_a_task_that_lost_its_simulation_is_replaced_and_no_double_is_left(
    client: Client, site: SolverSite, tmp_path: Path
) -> None:
    client("write", width=0.5, path=str(tmp_path / "one.hdf5"))
    lost = client("orphan", named="key-0 one", folder="orphans")
    wanted = [Simulation("key-0", "one", tmp_path / "one.hdf5")]
    (task,) = site.cloud.upload("orphans", wanted)
    assert task.id != lost
    assert client("tasks", folder="orphans") == [task.id]
    assert [each.id for each in site.cloud.upload("orphans", wanted)] == [task.id]


def test_an_array_that_was_given_up_before_its_start_does_not_begin_later(
    client: Client, site: SolverSite, tmp_path: Path
) -> None:
    client("write", width=0.5, path=str(tmp_path / "one.hdf5"))
    wanted = array("given-up", tmp_path / "one.hdf5")
    tasks = site.upload(wanted)
    assert site.find("given-up") is None
    with pytest.raises(SiteError, match="was closed"):
        site.cloud.start([task.id for task in tasks])
    with pytest.raises(SiteError, match="was closed"):
        site.submit(wanted)


def test_a_cancelled_array_ends_at_their_cloud(client: Client, site: SolverSite, tmp_path: Path) -> None:
    client("write_long", path=str(tmp_path / "long.hdf5"))
    site.submit(array("cancelled", tmp_path / "long.hdf5"))
    follow(site, "cancelled", {JobState.RUNNING})
    site.cancel("cancelled")
    follow(site, "cancelled", {JobState.CANCELLED})


def test_what_their_cloud_does_not_solve_is_refused_with_its_own_words(
    client: Client, site: SolverSite, tmp_path: Path
) -> None:
    client("write_plain", path=str(tmp_path / "fdtd.hdf5"))
    with pytest.raises(SiteError, match="no solver for Simulation is registered here"):
        site.submit(array("refused", tmp_path / "fdtd.hdf5"))


@pytest.mark.timeout(600)
def test_a_campaign_is_rendered_priced_solved_and_fetched_by_their_client(
    client: Client, service: Server, aws: Aws, python: Path, prefect_home: Path, tmp_path: Path
) -> None:
    shutil.copytree(prefect_home, tmp_path / "prefect")
    client("write", width=0.4, path=str(tmp_path / "one.json"))
    simulation = json.loads((tmp_path / "one.json").read_text())
    simulation["simulation"]["structures"][0]["geometry"]["size"][0] = "WIDTH"
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "modes.json").write_text(json.dumps(simulation).replace('"WIDTH"', "{{ width }}"))
    place = {"working_location": "out", "manifest_location": "out", "template_location": "templates"}
    conditions = [{"key": "narrow", "width": 0.4}, {"key": "wide", "width": 0.6}]
    series = {"name": "strip", "template_key": "modes.json", "seeds": 0, "extensions": ["hdf5"]}
    config = {
        "context": {"kind": "solver", "site": "cloud", **place},
        "series": {**series, "conditions": conditions},
        "parameters": {"model": "STRIP", "retry_delay": 1, "budget": 1},
    }
    (tmp_path / "strip.yaml").write_text(json.dumps(config))
    site = f'[cloud]\nbackend = "solver"\nclient = "tidy3d"\npython = "{python}"\n'
    (tmp_path / "sites.toml").write_text(site)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PREFECT", "SIMCAMP"))}
    own = {"SIMCAMPAIGN_HOME": str(tmp_path / "home"), "SIMCAMPAIGN_SITES": str(tmp_path / "sites.toml")}
    own |= {"PREFECT_HOME": str(tmp_path / "prefect"), **variables(service, aws, tmp_path)}

    def run() -> str:
        command = [sys.executable, "-m", "flows.run_solver_simulations", "strip.yaml"]
        done = subprocess.run(command, cwd=tmp_path, env={**clean, **own}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "2 of 2 runs done" in run()
    found = {path.name: client("read", path=str(path)) for path in (tmp_path / "out").rglob("outputs/*.hdf5")}
    assert found == {
        f"strip_{name}_0000.hdf5": pytest.approx(client("local", width=width))
        for name, width in (("narrow", 0.4), ("wide", 0.6))
    }
    assert run().startswith("Nothing is left to do")
