"""The cache of results on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from simcampaign import web
from simcampaign.web.cache import Cache
from tests.simcampaign.service.server import Server
from tests.simcampaign.web.things import warm


def test_the_same_simulation_is_solved_once_until_its_result_is_torn_or_the_cache_is_off(
    service: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(web.cache, "enabled", True)

    def count(name: str) -> int:
        data = web.run({"x": warm(9.0)}, name, tmp_path / name, "cached", verbose=False)
        assert data["x"].temperature.values.min() == pytest.approx(300.0)
        return len(web.get_tasks(folder="cached"))

    assert [count("first"), count("second")] == [1, 1]
    assert len(web.cache) == 1
    assert web.cache.size > 0
    batch = web.run_async([warm(9.0)], "third", tmp_path, "cached")
    assert batch.result(240)[0] == batch[0].result()
    assert batch[0].info["cached"]
    (entry,) = web.cache.folder.glob("*/*.hdf5")
    entry.write_bytes(entry.read_bytes()[:-1])
    assert count("torn") == 2
    web.cache.enabled = False
    assert count("off") == 3
    web.cache.enabled = True
    web.cache.clear()
    assert len(web.cache) == 0
    assert count("cleared") == 4


def test_other_solvers_and_other_versions_have_entries_of_their_own() -> None:
    keys = {Cache.key("abc", endpoint, solver) for endpoint in ("here", "there") for solver in ("one 1", "one 2")}
    assert len(keys) == 4


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    cache.max_bytes = 1000
    data = tmp_path / "data"
    for number in range(6):
        data.write_bytes(bytes([number]) * 300)
        cache.put(Cache.key(str(number), "here", "1"), data)
        assert cache.get(Cache.key("0", "here", "1"), [tmp_path / "out"]), number
    assert cache.size <= 1000
    assert (tmp_path / "out").read_bytes() == bytes(300)
    assert cache.get(Cache.key("5", "here", "1"), [tmp_path / "out"])
    assert not cache.get(Cache.key("1", "here", "1"), [tmp_path / "out"])
