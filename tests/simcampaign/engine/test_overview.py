"""The overview of a series: what is listed, counted and shown, without running anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from simcampaign.engine.campaign import SeriesRecord
from simcampaign.engine.overview import list_series, publish_overview, saved_manifest
from simcampaign.errors import LocationError
from simcampaign.layout import Layout
from simcampaign.series import Series
from simcampaign.storage import Location


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SeriesRecord:
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    place = Location.open(str(tmp_path / "out"))
    for key in ("A_0000.csv", "A_0000.h5", "A_0001.csv", "B.json"):
        place.write(f"s/2026-01-31/outputs/s_{key}", b"x")
    place.write("s/2026-01-31/logs/s_A_0002.csv", b"a log is no output")
    series = Series("s", [{"key": "A"}, {"key": "B"}], [0, 1], ["csv", "h5"])
    return SeriesRecord(series=series, layout=Layout("s", "2026-02-01"), working=place, manifest=place)


def test_the_manifest_holds_the_outputs_of_every_date_and_not_itself(record: SeriesRecord) -> None:
    for _ in range(2):
        found = list_series(record, [])
        assert sorted(found["KEY"]) == ["s_A_0000", "s_A_0000", "s_A_0001", "s_B"]
    assert saved_manifest(record).equals(found)


def test_filters_and_search_locations_choose_what_is_listed(record: SeriesRecord) -> None:
    outputs = Location.open(str(record.working.path("s/2026-01-31/outputs")))
    assert list_series(record, [outputs], include=["*.csv"])["LOCATION"].unique().to_list() == [str(outputs)]
    assert sorted(list_series(record, [], exclude=["*.csv", "*.json"])["EXTENSION"]) == ["h5"]


def test_a_search_location_that_is_not_there_is_refused_and_the_manifest_kept(
    record: SeriesRecord, tmp_path: Path
) -> None:
    before = list_series(record, [])
    with pytest.raises(LocationError, match="no such directory"):
        list_series(record, [Location.open(str(tmp_path / "typo"))])
    assert saved_manifest(record).equals(before)


def test_the_summary_counts_files_per_condition_and_is_saved_as_text_and_page(record: SeriesRecord) -> None:
    found = publish_overview(record, list_series(record, []))
    assert (found.complete, found.counts, found.files) == (False, {"missing": 2, "incomplete": 1, "done": 1}, 4)
    rows = {line.split()[0]: line.split()[1:] for line in found.table.splitlines() if line.startswith(("A ", "B "))}
    assert rows == {"A": ["2/2", "(100.00", "%)", "1/2", "(50.00", "%)"], "B": ["✓"]}
    assert found.table.strip() in record.working.read_text("s/2026-02-01/s.SUMMARY.txt")
    assert Path(found.summary).read_text().startswith("<!DOCTYPE html>")


def test_without_expected_extensions_a_run_is_done_when_it_has_what_any_run_has(record: SeriesRecord) -> None:
    series = Series("s", [{"key": "A"}], [0, 1], [])
    bare = SeriesRecord(series=series, layout=record.layout, working=record.working, manifest=record.manifest)
    assert publish_overview(bare, list_series(bare, [])).counts == {"incomplete": 1, "done": 1}


def test_taking_a_manifest_as_it_is_needs_one(record: SeriesRecord) -> None:
    with pytest.raises(LocationError) as caught:
        saved_manifest(record)
    assert "update_manifest" in caught.value.hint
