"""Batches: futures of simulations, for programs that do something else in the meantime."""

from __future__ import annotations

import concurrent.futures
import pickle
from pathlib import Path

import pytest

from simcampaign import solver, web
from simcampaign.errors import ConfigError, LocationError, SimulationError
from tests.simcampaign.service.server import Server
from tests.simcampaign.web.things import warm, waveguide


def test_a_batch_returns_at_once_and_its_futures_give_the_data_in_its_shape(service: Server, tmp_path: Path) -> None:
    heard: list[str] = []
    shape = {"heat": warm(2.0), "light": [waveguide(0.4), (waveguide(0.4), waveguide(0.45))]}
    batch = web.run_async(
        shape, "sweep", tmp_path / "data", "futures", progress_callback=lambda info: heard.append(info["status"])
    )
    assert len(batch) == 4
    assert {each.name for each in batch.as_completed(240)} == {
        "sweep/heat",
        "sweep/light/0",
        "sweep/light/1/0",
        "sweep/light/1/1",
    }
    data = batch.result()
    assert isinstance(data["heat"], solver.HeatConductionData)
    assert isinstance(data["light"][1], tuple)
    assert data["light"][0] == data["light"][1][0] == batch["light"][1][0].result()
    assert data["light"][0] != data["light"][1][1]
    assert batch.done()
    assert batch.exception() is None
    assert concurrent.futures.wait(batch, 1).not_done == set()
    assert len(web.get_tasks(folder="futures")) == 3
    assert {"ready", "completed"} <= set(heard)


def test_a_result_is_read_when_it_is_touched_first(service: Server, tmp_path: Path) -> None:
    batch = web.run_async([warm(3.0)], "lazy", tmp_path / "data", "lazy")
    assert batch.wait(240)
    result = batch.result()[0]
    assert "lazy_0.hdf5" in repr(result)
    assert isinstance(result, solver.HeatConductionData)
    (tmp_path / "data" / "lazy_0.hdf5").rename(tmp_path / "moved.hdf5")
    with pytest.raises(LocationError, match=r"lazy_0\.hdf5"):
        _ = result.temperature
    (tmp_path / "moved.hdf5").rename(tmp_path / "data" / "lazy_0.hdf5")
    assert result == pickle.loads(pickle.dumps(result))  # noqa: S301 - our own
    whole = solver.HeatConductionData.from_file(tmp_path / "data" / "lazy_0.hdf5")
    assert result == whole
    assert whole == result
    assert len({result, whole}) == 1


def test_another_program_goes_on_by_the_file_or_by_ids(service: Server, tmp_path: Path) -> None:
    first = web.run_async({"a": warm(4.0)}, "early", tmp_path / "data", "files")
    first.to_file(tmp_path / "mine.batch")
    again = web.Batch.from_file(tmp_path / "mine.batch")
    assert again.result(240)["a"] == first.result(240)["a"]
    (task,) = web.get_tasks(folder="files")
    assert [each.task_id for each in again] == [task["id"]]
    (tmp_path / "data" / "early_a.hdf5").unlink()
    other = web.Batch.from_ids({"x": (task["id"],)}, tmp_path / "other")
    assert other.result(240)["x"][0] == first.result()["a"]
    assert other["x"][0].path == tmp_path / "other" / f"{task['id']}.hdf5"


def test_what_is_aborted_or_deleted_can_be_tried_again(service: Server, tmp_path: Path) -> None:
    batch = web.run_async([warm(5.0), waveguide(0.47)], "aborted", tmp_path / "data", "aborted")
    batch.abort()
    assert batch.wait(240)
    failed = [each for each in batch if each.exception() is not None]
    assert all(isinstance(each.exception(), SimulationError) for each in failed)
    known = [each["id"] for each in web.get_tasks(folder="aborted") if each["status"] in {"cancelled", "failed"}]
    web.delete(*known[:1])
    assert len(batch.retry_failed()) == len(failed)
    error = batch.exception(240)
    if known and error is not None:  # what was deleted is noticed once, and made anew
        assert isinstance(error, LocationError)
        batch.retry_failed()
        assert batch.exception(240) is None
    assert [each["status"] for each in web.get_tasks(folder="aborted")] == ["completed"] * 2


def test_a_batch_says_at_once_what_is_no_simulation_and_later_which_one_cannot_be_solved(
    service: Server, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="wrong/a"):
        web.run_async({"a": "text"}, "wrong")
    (tmp_path / "notes.batch").write_text("my notes")
    with pytest.raises(ConfigError, match="no record of a batch"):
        web.Batch.from_file(tmp_path / "notes.batch")
    missing = waveguide(0.5).model_copy(update={"temperature": web.ref("task-0123456789abcdef")["temperature"]})
    batch = web.run_async([missing, warm(6.0)], "half", tmp_path / "data", "half")
    assert isinstance(batch[0].exception(240), ConfigError)
    assert batch[1].result(240).type_name() == "HeatConductionData"
    with pytest.raises(ConfigError, match="there is none"):
        batch.result()
