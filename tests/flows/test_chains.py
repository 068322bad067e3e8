"""Chains of campaigns on this machine: stage two starts run by run as stage one delivers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import configs
from configs.contexts import AnyContextConfig, open_campaign
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig
from simcampaign.engine.tick import Tick, tick
from simcampaign.errors import ConfigError
from tests.support import until

COPY = """
import pathlib, sys
source, target = pathlib.Path(sys.argv[1]).read_text().split()
pathlib.Path(sys.argv[2], target).write_text(pathlib.Path(source).read_text() + "!")
"""
TEMPLATE = '{{ start }} {{ name }}_{{ key }}_{{ "%04d" % seed }}.csv'


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The config of a series that takes a file of each run of the series ``first``."""
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SIMCAMPAIGN_LEDGER_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "second.txt").write_text(TEMPLATE)
    return {
        "context": {
            "kind": "local",
            "working_location": "out",
            "manifest_location": "out",
            "template_location": ".",
            "command": [sys.executable, "-I", "-S", "-c", COPY, "{input}", "{output}"],
        },
        "series": {
            "name": "second",
            "template_key": "second.txt",
            "after": ["first"],
            "seeds": "0-1",
            "extensions": ["csv"],
            "conditions": [{"key": "p.5", "start": '{{ output("first", key, seed, "csv") }}'}],
        },
        "parameters": {"model": "copy"},
    }


def loaded(config: dict[str, Any]) -> Any:
    Path("second.yaml").write_text(json.dumps(config))
    return configs.load(["second.yaml"], AnyContextConfig, SeriesConfig, ParametersConfig)


def one_tick(config: dict[str, Any]) -> Tick:
    made = loaded(config)
    return tick(open_campaign(made.context, made.series, made.parameters))


def deliver(seed: int) -> None:
    folder = Path("out/first/2026-01-31/outputs")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"first_p.5_000{seed}.csv").write_text(f"state {seed}")


def test_runs_wait_for_their_files_and_start_one_by_one(second: dict[str, Any]) -> None:
    first = one_tick(second)
    assert (first.counts, first.submitted, first.settled) == ({"waiting": 2}, 0, False)
    deliver(1)
    assert one_tick(second).submitted == 1
    until(lambda: one_tick(second).counts == {"done": 1, "waiting": 1})
    deliver(0)
    assert one_tick(second).submitted == 1
    until(lambda: one_tick(second).complete)
    [done] = Path("out/second").glob("*/outputs/second_p.5_0001.csv")
    assert done.read_text() == "state 1!"


def test_a_series_may_wait_until_another_is_complete(second: dict[str, Any], tmp_path: Path) -> None:
    other = {
        "name": "first",
        "template_key": "x",
        "seeds": "0-1",
        "extensions": ["csv"],
        "conditions": [{"key": "p.5"}],
    }
    (tmp_path / "first.yaml").write_text(json.dumps({"series": other}))
    second["series"]["after"] = ["first.yaml"]
    deliver(0)
    assert one_tick(second).counts == {"waiting": 2}
    deliver(1)
    assert one_tick(second).submitted == 2
    until(lambda: one_tick(second).complete)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (["second"], "series.after[0] = 'second': is the series itself"),
        (["none.yaml"], "there is no such file"),
        (["a/b"], "not safe in file names"),
    ],
)
def test_what_no_series_can_follow_is_refused(second: dict[str, Any], after: list[str], words: str) -> None:
    second["series"]["after"] = after
    with pytest.raises(ConfigError) as error:
        loaded(second)
    assert words in str(error.value)
