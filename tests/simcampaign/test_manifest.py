"""The manifest: which files there are, by key and extension."""

import polars as pl
import pytest

from simcampaign import manifest as manifests
from simcampaign.errors import LocationError
from simcampaign.series import Series

SERIES = Series("colony", [{"key": "A"}, {"key": "T0.5"}, {"key": "v_0001.2"}], [0, 1], ["csv", "tar.gz"])


def built(*keys: str, series: Series | None = SERIES, **filters) -> list[tuple[str, str]]:
    return manifests.build([("here", keys)], series, **filters).select("KEY", "EXTENSION").rows()


def test_the_key_is_the_file_name_before_its_first_dot():
    assert built("colony/2026-01-31/outputs/colony_A_0000.tar.gz") == [("colony_A_0000", "tar.gz")]


def test_a_condition_key_that_holds_a_dot_still_works():
    assert built("o/colony_T0.5_0001.tar.gz") == [("colony_T0.5_0001", "tar.gz")]
    assert built("o/colony_v_0001.2_0000.csv") == [("colony_v_0001.2_0000", "csv")]


def test_a_dot_in_the_key_of_no_known_run_ends_the_key():
    assert built("o/colony_T0.7_0001.csv") == [("colony_T0", "7_0001.csv")]


def test_a_file_that_a_model_spelled_with_a_double_underscore_is_recognised():
    assert built("o/colony_A__0001.csv") == [("colony_A_0001", "csv")]


def test_inits_inputs_logs_pictures_and_summaries_are_no_outputs():
    dated = "colony/2026-01-31"
    keys = [f"{dated}/{folder}/colony_A_0000.csv" for folder in ("inits", "inputs", "logs", "pictures")]
    assert built(*keys, f"{dated}/colony.SUMMARY.txt", f"{dated}/outputs/.colony_A_0000.csv") == []


def test_filters_choose_by_glob_on_the_whole_key():
    keys = ["a/x.csv", "a/y.h5", "b/x.csv"]
    assert built(*keys, series=None, include=["a/*"], exclude=["*.h5"]) == [("x", "csv")]
    assert built(*keys, series=None, include=["*.h5", "b/?.csv"]) == [("y", "h5"), ("x", "csv")]


@pytest.mark.parametrize("key", ["m.csv", "m.parquet"])
def test_a_saved_manifest_reads_back_the_same(key):
    table = manifests.build([("a b", ["o/colony_A_0000.csv", 'o/we"ird,.h5'])], SERIES)
    assert manifests.parse(manifests.serialise(table, key), key).equals(table)


def test_duplicate_rows_count_once():
    table = manifests.build([("a", ["o/x.csv"])])
    assert manifests.parse(manifests.serialise(pl.concat([table, table]), "m.csv"), "m.csv").height == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"KEY,EXTENSION,LOCATION,FULL_KEY\na,csv,x,x/a.c", "the last line is cut off"),
        (b"KEY,EXT\na,csv\n", "lacks the column EXTENSION, LOCATION, FULL_KEY; it has KEY, EXT"),
        (b"KEY,EXTENSION,LOCATION,FULL_KEY\na,csv\n,,,,,,,\n", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_a_damaged_manifest_is_refused_with_the_reason_and_how_to_build_it_again(data, reason):
    with pytest.raises(LocationError) as caught:
        manifests.parse(data, "m.csv")
    assert "manifest m.csv" in str(caught.value)
    assert reason in str(caught.value)
    assert "summarize_manifest" in caught.value.hint
