"""Chains: which files of other series an input names, and which runs wait for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign import manifest as manifests
from simcampaign.chains import Outputs, Taking, file_name
from simcampaign.errors import TemplateError
from simcampaign.jobs import RunRange
from simcampaign.plan import Known, make_plan
from simcampaign.runs import RunState
from simcampaign.series import Series, key_fault
from simcampaign.templates import Template, context

keys = st.from_regex(r"[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]{0,8}", fullmatch=True).filter(lambda key: not key_fault(key))
seeds = st.integers(0, 10**6)
extensions = st.sampled_from(["h5", "csv", "tar.xz"])
runs = st.tuples(keys, seeds, extensions)


def listed(*names: str, date: str = "2026-01-31", series: str = "growth") -> pl.DataFrame:
    return manifests.build([("/data", [f"{series}/{date}/outputs/{name}" for name in names])])


def outputs(manifest: pl.DataFrame, *series: str) -> Outputs:
    found = Outputs(series)
    for name in series:
        found = found.with_files(name, manifest)
    return found


@given(st.lists(runs, max_size=8), st.lists(runs, max_size=8))
def test_exactly_the_files_that_are_there_are_found_whatever_their_keys(
    there: list[tuple[str, int, str]], asked: list[tuple[str, int, str]]
) -> None:
    names = {file_name("growth", *run) for run in there}
    taking = Taking(outputs(listed(*names), "growth"))
    for run in [*there, *asked]:
        name = file_name("growth", *run)
        place = taking("growth", *run)
        assert (place == f"/data/growth/2026-01-31/outputs/{name}") == (name in names)
    assert set(taking.missing) == {file_name("growth", *run) for run in asked} - names


def test_names_are_folded_as_those_of_runs_are() -> None:
    assert file_name("growth", "_p_", 3, "csv") == "growth_p_0003.csv"


def test_of_several_dates_the_newest_file_is_taken() -> None:
    name = file_name("growth", "p", 0, "csv")
    both = pl.concat([listed(name, date="2026-02-01"), listed(name, date="2026-01-31")])
    assert Taking(outputs(both, "growth"))("growth", "p", 0, "csv") == f"/data/growth/2026-02-01/outputs/{name}"


def test_a_series_of_a_similar_name_is_not_mistaken_for_the_other() -> None:
    name = "growth_fast_p_0000.csv"
    taking = Taking(outputs(listed(name, series="growth_fast"), "growth"))
    taking("growth", "p", 0, "csv")
    assert taking.missing == ["growth_p_0000.csv"]


def shown(condition: dict[str, Any], first: int, last: int, manifest: pl.DataFrame) -> tuple[dict[str, Any], Taking]:
    taking = Taking(outputs(manifest, "growth"))
    given = {"p": {"key": "p", **condition}}
    return context("drug", "_", [RunRange("p", first, last)], given, taking), taking


START = '{{ output("growth", key, seed, "csv") }}'


def test_a_condition_and_a_template_take_the_file_of_each_run() -> None:
    seen, taking = shown({"start": START}, 2, 2, listed("growth_p_0002.csv"))
    text = Template.compile('{{ start }} {{ output("growth", "q", 7, "h5") }}', "x").render(seen)
    assert text == "/data/growth/2026-01-31/outputs/growth_p_0002.csv growth_q_0007.h5"
    assert taking.missing == ["growth_q_0007.h5"]


def test_an_input_of_several_runs_takes_their_files_in_a_loop() -> None:
    seen, taking = shown({}, 0, 2, listed(*(f"growth_p_000{seed}.csv" for seed in range(3))))
    loop = '{% for c in conditions %}{% for s in range(c.start_seed, c.end_seed + 1) %}{{ output("growth", c.key, s, "csv")[-8:] }} {% endfor %}{% endfor %}'  # noqa: E501
    assert Template.compile(loop, "x").render(seen) == "0000.csv 0001.csv 0002.csv "
    assert not taking.missing


def test_a_condition_that_needs_the_seed_says_so_where_an_input_holds_several() -> None:
    with pytest.raises(TemplateError, match=r"start of p.*'seed' is not defined"):
        shown({"start": START}, 0, 1, listed())


def test_a_series_that_is_not_declared_is_refused_with_what_to_do() -> None:
    seen, _ = shown({}, 0, 0, listed())
    with pytest.raises(TemplateError, match=r"series 'grwoth' is not among series.after \(growth\); add it there"):
        Template.compile('{{ output("grwoth", key, seed, "csv") }}', "x").render(seen)


def test_texts_of_conditions_stay_as_they_are_where_a_series_takes_nothing() -> None:
    seen = context("drug", "_", [RunRange("p", 0, 0)], {"p": {"key": "p", "start": START}})
    assert seen["start"] == START
    assert "output" not in seen


@given(st.data())
def test_a_run_waits_exactly_while_it_is_to_do_and_its_files_are_not_there(data: st.DataObject) -> None:
    shape = (2, 3)
    mask = st.lists(st.booleans(), min_size=6, max_size=6).map(lambda flat: np.array(flat).reshape(shape))
    series = Series("drug", [{"key": "p"}, {"key": "q"}], range(3), ["csv"], after=["growth"])
    done, known = data.draw(mask), Known.nothing(series)
    known.in_flight[:], known.failed[:], known.waiting[:] = data.draw(mask), data.draw(mask), data.draw(mask)
    names = [f"drug_{'pq'[row]}_000{column}.csv" for row, column in zip(*np.nonzero(done), strict=True)]
    plan = make_plan(series, listed(*names, series="drug"), known)
    waits = known.waiting & ~known.in_flight & ~done
    assert ((plan.codes == RunState.WAITING) == waits).all()
    assert plan.runs_to_do == int((~done & ~known.in_flight & ~waits).sum())
    assert not (plan.complete and waits.any())
    if waits.any():
        assert "a file of another series that it takes is not there yet" in {row["reason"] for row in plan.reasons()}
