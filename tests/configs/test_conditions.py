import itertools
import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from configs.conditions import anchor, expand_conditions
from simcampaign.storage import Location


def expand(raw: object, base: Path | None = None) -> list[dict[str, Any]]:
    expanded = expand_conditions(raw, base=base)
    assert not expanded.problems, expanded.problems
    return expanded.conditions


def faults(raw: object, base: Path | None = None) -> dict[str, str]:
    return {
        problem.path: f"{problem.reason}; {problem.remedy}" for problem in expand_conditions(raw, base=base).problems
    }


def test_a_list_of_conditions_is_taken_as_it_is() -> None:
    raw = [{"key": "a", "x": 1}, {"key": "b", "zip": 12345}]
    assert expand(raw) == raw


def test_product_is_itertools_product_in_order() -> None:
    raw = {"product": {"t": [1, 2.5], "drug": ["a", "b", "c"]}, "key": "T{t:.1f}_{drug}"}
    assert expand(raw) == [
        {"key": f"T{t:.1f}_{drug}", "t": t, "drug": drug} for t, drug in itertools.product([1, 2.5], ["a", "b", "c"])
    ]


def test_zip_takes_variables_in_step() -> None:
    raw = {"zip": {"x": {"range": [0, 3]}, "y": ["p", "q", "r"]}, "key": "{y}{index}"}
    assert expand(raw) == [{"key": f"{y}{x}", "x": x, "y": y} for x, y in zip(range(3), "pqr", strict=True)]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"linspace": [0, 1, 11]}, np.linspace(0, 1, 11)),
        ({"linspace": [5, -5, 4]}, np.linspace(5, -5, 4)),
        ({"logspace": [-3, 2, 6]}, np.logspace(-3, 2, 6)),
        ({"range": [2, 20, 3]}, np.arange(2, 20, 3)),
        ({"range": [5, 0, -2]}, np.arange(5, 0, -2)),
        ({"range": [0, 1, 0.25]}, np.arange(0, 1, 0.25)),
    ],
)
def test_number_sequences_are_numpys(raw: dict[str, Any], expected: Any) -> None:
    values = [condition["x"] for condition in expand({"product": {"x": raw}, "key": "{index}"})]
    np.testing.assert_array_equal(values, expected)
    assert {type(value) for value in values} <= {int, float}


def test_decimal_steps_never_reach_the_stop_by_rounding() -> None:
    values = [condition["x"] for condition in expand({"product": {"x": {"range": [1, 1.3, 0.1]}}, "key": "{x}"})]
    assert values == [1.0, 1.1, 1.2]


@pytest.mark.parametrize("kind", ["latin_hypercube", "sobol"])
def test_samples_are_inside_their_bounds_and_the_same_for_the_same_seed(kind: str) -> None:
    def sample(seed: int) -> list[dict[str, Any]]:
        variables = {"x": [-1, 1], "y": [100.0, 100.5]}
        return expand({kind: {"variables": variables, "n": 16, "seed": seed}, "key": "s{index}"})

    first = sample(1)
    assert first == sample(1)
    assert first != sample(2)
    assert [condition["key"] for condition in first] == [f"s{index}" for index in range(16)]
    assert all(-1 <= condition["x"] <= 1 and 100 <= condition["y"] <= 100.5 for condition in first)
    # one value in each of 16 equal strata: what sets these samples apart from independent draws
    assert sorted(int((condition["x"] + 1) * 8) for condition in first) == list(range(16))


def test_a_sobol_sample_of_any_size_is_drawn_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert len(expand({"sobol": {"variables": {"x": [0, 1]}, "n": 5}, "key": "{index}"})) == 5
    assert not recwarn.list


def test_constants_and_group_pattern_are_added_to_every_condition() -> None:
    raw = {"product": {"x": [1, 2]}, "key": "x{x}_{kind}", "group": "g{x}", "constants": {"kind": "k"}}
    assert expand(raw) == [{"key": f"x{x}_k", "x": x, "kind": "k", "group": f"g{x}"} for x in (1, 2)]


def test_a_list_may_mix_conditions_and_generators_and_names_where_each_came_from() -> None:
    raw = [
        {"key": "a"},
        {"product": {"x": [1, 2]}, "key": "x{x}"},
        {"key": "b"},
        {"zip": {"y": [3]}, "key": "y{y}"},
        {"key": "c"},
    ]
    expanded = expand_conditions(raw)
    assert [condition["key"] for condition in expanded.conditions] == ["a", "x1", "x2", "b", "y3", "c"]
    assert [expanded.origins(index).removeprefix("series.conditions") for index in range(6)] == [
        "[0]",
        "[1]#0",
        "[1]#1",
        "[2]",
        "[3]#0",
        "[4]",
    ]


CSV = "key,n,rate,on,drug,group\n001,1,0.5,true,a,\n002,2,1.5,false,,treated\n"


def test_csv_cells_have_types_keys_stay_text_and_empty_cells_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(CSV)
    assert expand({"from_csv": "c.csv"}, tmp_path) == [
        {"key": "001", "n": 1, "rate": 0.5, "on": True, "drug": "a"},
        {"key": "002", "n": 2, "rate": 1.5, "on": False, "group": "treated"},
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "yaml", "json"])
def test_a_file_of_any_format_gives_the_same_conditions(tmp_path: Path, suffix: str) -> None:
    rows = [{"name": "a", "x": 1, "y": 0.5}, {"name": "b", "x": 2, "y": 1.5}]
    path = tmp_path / f"c.{suffix}"
    if suffix in {"csv", "parquet"}:
        getattr(pl.DataFrame(rows), f"write_{suffix}")(path)
    else:
        path.write_text(json.dumps(rows))
    assert expand({"from_file": str(path), "key": "{name}_{x}"}) == [
        {"key": f"{row['name']}_{row['x']}", **row} for row in rows
    ]


def test_a_file_may_lie_in_an_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "ENDPOINT_URL": f"http://{host}:{port}",
            "ACCESS_KEY_ID": "a",
            "SECRET_ACCESS_KEY": "b",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        urlopen(Request(f"http://{host}:{port}/bucket", method="PUT"))
        Location.open("s3://bucket").write("d/c.csv", CSV.encode())
        assert [condition["key"] for condition in expand({"from_file": "s3://bucket/d/c.csv"})] == ["001", "002"]
        assert "no such file" in faults({"from_csv": "s3://bucket/d/e.csv"})["series.conditions.from_csv"]
    finally:
        server.stop()


def test_anchoring_makes_file_paths_absolute_and_nothing_else(tmp_path: Path) -> None:
    raw = [{"from_csv": "d/c.csv"}, {"from_file": "s3://b/c.csv"}, {"from_file": "${env:X}/c.csv"}, {"key": "c.csv"}]
    anchored = anchor(raw, tmp_path)
    assert anchored == [{"from_csv": str(tmp_path / "d/c.csv")}, *raw[1:]]
    assert anchor(anchored, Path("/elsewhere")) == anchored


@pytest.mark.parametrize(
    ("raw", "path", "words"),
    [
        ("a", "", "must be a list of conditions"),
        ({"prodct": {"x": [1]}}, "", "did you mean `product`?"),
        ({"product": [1]}, ".product", "must be a mapping"),
        ([1], "[0]", "must be a mapping of variables"),
        ([{"key": "a"}, {"key": "b", 1: 2}], "[1]", "name of a variable must be text"),
        ({"product": {"x": [1]}, "zip": {"y": [1]}, "key": "k"}, "", "product and zip at once"),
        ({"product": {"x": [1]}, "keey": "k"}, ".keey", "did you mean `key`?"),
        ({"product": {"x": [1]}}, ".key", 'add key: "x{x}"'),
        ({"product": {}, "key": "k"}, ".product", "no variable"),
        ({"product": {"x": []}, "key": "k"}, ".product.x", "no value"),
        ({"product": {"x": 5}, "key": "k"}, ".product.x", "must be a list of values"),
        ({"product": {"x": {"linspce": [0, 1, 2]}}, "key": "k"}, ".product.x", "did you mean `linspace`?"),
        ({"product": {"x": {"linspace": [0, 1]}}, "key": "k"}, ".product.x.linspace", "[start, stop, n]"),
        ({"product": {"x": {"linspace": [0, 1, 2.5]}}, "key": "k"}, ".product.x.linspace[2]", "must be an integer"),
        ({"product": {"x": {"logspace": [0, 999, 5]}}, "key": "k"}, ".product.x.logspace", "exponents of 10"),
        ({"product": {"x": {"range": [0, 1, 0]}}, "key": "k"}, ".product.x.range[2]", "must not be zero"),
        ({"product": {"x": {"range": [1, 0, 1]}}, "key": "k"}, ".product.x.range", "gives no value"),
        ({"product": {"x": {"range": [0, 1e12, 1]}}, "key": "k"}, ".product.x.range", "more than 1000000"),
        ({"product": {c: {"range": [0, 1000]} for c in "abc"}, "key": "k"}, ".product", "makes 1000000000 conditions"),
        ({"zip": {"x": [1, 2], "y": [1]}, "key": "k"}, ".zip", "same number of values"),
        ({"product": {"x": [1]}, "key": "k", "constants": {"x": 2}}, ".constants.x", "is a variable, too"),
        ({"product": {"x": [1]}, "key": "k", "constants": 3}, ".constants", "must be a mapping"),
        ({"sobol": {"variables": {"x": [1, 0]}, "n": 4}, "key": "k"}, ".sobol.variables.x", "lower one first"),
        ({"sobol": {"variables": {"x": [0, 1]}, "n": 0}, "key": "k"}, ".sobol.n", "from 1"),
        ({"sobol": {"variables": {"x": [0, 1]}, "n": 4, "sed": 1}, "key": "k"}, ".sobol.sed", "did you mean `seed`?"),
        ({"sobol": {"variables": {"x": [0, 1]}, "n": 4, "seed": -1}, "key": "k"}, ".sobol.seed", "not negative"),
        ({"from_file": "c.txt"}, ".from_file", "unknown ending"),
        ({"from_csv": "cc.csv"}, ".from_csv", "did you mean c.csv?"),
        ({"from_csv": "nokey.csv"}, ".key", "every condition needs a key"),
        ({"from_csv": "empty.csv"}, ".from_csv", ""),
        ({"from_file": "map.yaml"}, ".from_file", "must hold a list of conditions"),
    ],
)
def test_a_wrong_generator_is_named_with_its_place(raw: object, path: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(CSV)
    (tmp_path / "nokey.csv").write_text("x\n1\n")
    (tmp_path / "empty.csv").write_text("key,x\n")
    (tmp_path / "map.yaml").write_text("a: 1")
    found = faults(raw, tmp_path)
    assert list(found) == [f"series.conditions{path}"]
    assert words in found[f"series.conditions{path}"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{x.__class__}", "reaches into a value"),
        ("{x[0]}", "reaches into a value"),
        ("{x!r}", "reaches into a value"),
        ("{}", "names no variable"),
        ("{0}", "names no variable"),
        ("{x:{y}}", "is not allowed"),
        ("{x:99999999}", "is not allowed"),
        ("{xx}", "did you mean `x`?"),
        ("{x:.2q}", "cannot be formatted"),
        ("{x", "is not a pattern"),
        (5, "must be text"),
    ],
)
def test_key_patterns_reach_no_further_than_plain_variables(pattern: object, words: str) -> None:
    found = faults({"product": {"x": [1], "y": [2]}, "key": pattern})
    assert list(found) == ["series.conditions.key"]
    assert words in found["series.conditions.key"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.csv", "key,x,x\na,1,2\n", "given twice"),
        ("c.csv", "key,x\na,1,2,3\n", "is not a table"),
        ("c.csv", "", "is not a table"),
        ("c.parquet", "PAR0", "is not a table"),
        ("c.json", '[{"key": "a"},]', "line 1"),
        ("c.json", '[{"key": "a", "key": "b"}]', "given twice"),
        ("c.yaml", "- key: a\n  key: b\n", "given twice"),
        ("c.yaml", "- {key: a\n", "is not YAML"),
    ],
)
def test_a_damaged_file_of_conditions_is_named(name: str, content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    found = expand_conditions({"from_file": name}, base=tmp_path).problems
    assert len(found) == 1
    assert str(tmp_path / name) in str(found[0])
    assert words in str(found[0])
