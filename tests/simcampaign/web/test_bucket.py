"""A solver whose files are kept in a bucket; what lies on its host are copies."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from simcampaign import web
from simcampaign.storage import Location
from tests.simcampaign.service.server import running
from tests.simcampaign.web.things import warm, waveguide


def test_what_a_host_has_lost_comes_from_the_bucket(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"s3://{s3.bucket}/solver"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(web.cache, "enabled", False)
    with running(tmp_path / "home", f'[solver]\nlocation = "{place}"\n', "--solver") as server:
        monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "client"))
        monkeypatch.setenv("SIMCAMPAIGN_SOLVER_URL", str(server.http.base_url))
        heat = web.upload(warm(5.0), "heat")
        web.start(heat)
        web.monitor(heat, verbose=False)
        waiting = web.upload(waveguide(0.5), "waiting")
        assert len([key for keys in Location.open(place).list("results") for key in keys]) == 1
        assert len([key for keys in Location.open(place).list("contents") for key in keys]) == 2

        server.stop()
        shutil.rmtree(tmp_path / "home" / "solver")
        server.start()
        monkeypatch.setenv("SIMCAMPAIGN_SOLVER_URL", str(server.http.base_url))
        before = web.load(heat, tmp_path / "heat.hdf5")
        web.start(waiting)
        web.monitor(waiting, verbose=False)
        assert web.get_info(waiting)["status"] == "completed"
        shutil.rmtree(tmp_path / "home" / "solver" / "results")
        (tmp_path / "home" / "solver" / "results").mkdir()
        optics = waveguide(0.5).model_copy(update={"temperature": web.ref(heat)["temperature"]})
        web.run(optics, "optics", tmp_path / "optics.hdf5", verbose=False)
        assert before.temperature.values.max() >= 300.0

        web.delete(heat, waiting)
        assert len([key for keys in Location.open(place).list("results") for key in keys]) == 1


def test_a_bucket_that_cannot_be_written_is_said_before_anything_is_served(s3: Any, tmp_path: Path) -> None:
    server = running(tmp_path / "home", '[solver]\nlocation = "s3://there-is-none/solver"\n', "--solver")
    with pytest.raises(AssertionError, match="there is no bucket 'there-is-none'"), server:
        pass
