"""A solver as a site: what a campaign's engine relies on, against a real service."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from simcampaign.errors import SiteError
from simcampaign.jobs import ArraySpec, JobSpec, JobState
from simcampaign.web import endpoint
from simcampaign.web.own_cloud import OwnCloud
from simcampaign.web.site import SolverSite
from tests.simcampaign.service.server import Server, running
from tests.simcampaign.service.solver_tasks import API, Gate, waveguide
from tests.support import until


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, gate: Gate) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("solver") / "home", gate.settings, "--solver") as service:
        yield service


@pytest.fixture
def site(server: Server) -> SolverSite:
    return SolverSite(OwnCloud(partial(endpoint.find, str(server.http.base_url).rstrip("/"))))


def array(folder: Path, name: str, widths: tuple[float, ...] = (0.4, 0.5), run: str = "strip") -> ArraySpec:
    jobs = []
    for index, width in enumerate(widths):
        path = folder / f"{name}-{index}.json"
        waveguide(width).to_file(path)
        jobs.append(JobSpec(index, f"{name}_{index:04d}", str(path), "0", f"{run}_{index:04d}" if run else ""))
    return ArraySpec(name, name, "", "", (), jobs)


def tasks(server: Server, folder: str) -> list[dict[str, object]]:
    return list(server.http.get(f"{API}/tasks", params={"folder": folder}).json()["tasks"])


def test_an_array_is_submitted_once_looked_at_in_steps_fetched_and_removed(
    site: SolverSite, server: Server, gate: Gate, tmp_path: Path
) -> None:
    gate.close()
    spec = array(tmp_path, "once")
    assert site.depot is not None
    quoted = site.depot.quote(spec)
    assert [site.submit(spec), site.submit(spec), site.find("once")] == ["once"] * 3
    assert len(tasks(server, "once")) == 2
    first = site.status({"once": ""})["once"]
    assert quoted == pytest.approx(sum(job.cost or 0 for job in first.changes))
    gate.open()
    cursor, ended = first.cursor, {}
    other: SolverSite = pickle.loads(pickle.dumps(site))  # noqa: S301 - as Prefect carries it to other processes

    def over() -> bool:
        nonlocal cursor
        site.wait(["once"], 5)
        report = site.status({"once": cursor})["once"]
        cursor = report.cursor
        ended.update({job.index: job for job in report.changes if not job.state.active})
        return len(ended) == 2

    until(over, 120)
    assert site.status({"once": cursor})["once"].changes == []
    assert {job.state for job in ended.values()} == {JobState.FINISHED}
    assert len(other.status({"once": cursor})["once"].changes) in {0, 2}
    assert b"n_eff" in dict(site.logs("once", [0, 1]))[1]
    entries = site.depot.outputs("once")
    assert sorted(entry.path for entry in entries) == ["strip_0000.hdf5", "strip_0001.hdf5"]
    size = site.depot.get("once", [(entry.path, tmp_path / entry.path) for entry in entries])
    assert size == sum((tmp_path / entry.path).stat().st_size for entry in entries)
    site.depot.remove(["once"])
    assert tasks(server, "once") == []
    fresh: SolverSite = pickle.loads(pickle.dumps(site))  # noqa: S301 - as above
    assert fresh.status({"once": cursor})["once"].known is False


def test_what_was_uploaded_and_never_started_is_forgotten_and_cannot_start_any_more(
    site: SolverSite, server: Server, tmp_path: Path
) -> None:
    spec = array(tmp_path, "late")
    uploaded = site.upload(spec)
    assert site.find("late") is None
    with pytest.raises(SiteError, match="there is no task"):
        site.cloud.start([task.id for task in uploaded])
    with pytest.raises(SiteError, match="another simulation"):
        site.submit(spec)
    assert site.find("late") is None
    assert {task["status"] for task in tasks(server, "late")} <= {"draft", "ready"}


def test_a_name_that_the_solver_never_saw_cannot_be_submitted_later(site: SolverSite, tmp_path: Path) -> None:
    assert site.find("unseen") is None
    with pytest.raises(SiteError, match="another simulation"):
        site.submit(array(tmp_path, "unseen"))


def test_a_simulation_that_is_refused_keeps_all_of_its_array_from_starting(
    site: SolverSite, server: Server, tmp_path: Path
) -> None:
    spec = array(tmp_path, "wrong")
    Path(spec.jobs[1].input_path).write_text('{"type": "ModeSolver", "x": 3}')
    with pytest.raises(SiteError, match="refused"):
        site.submit(spec)
    assert {task["status"] for task in tasks(server, "wrong")} == {"ready", "invalid"}


def test_a_job_of_several_runs_is_no_simulation(site: SolverSite, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="several runs"):
        site.submit(array(tmp_path, "many", run=""))


def test_a_solver_that_does_not_answer_is_said_so(tmp_path: Path) -> None:
    site = SolverSite(OwnCloud(partial(endpoint.find, "ftp://solver")))
    (finding,) = site.doctor()
    assert finding.fine is False
    assert "must begin with http" in finding.detail
