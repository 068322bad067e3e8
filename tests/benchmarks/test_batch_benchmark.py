"""The Batch benchmark is alive: it counts requests on a tiny array."""

from __future__ import annotations

import pytest

from benchmarks import batch


def test_batch_counts_requests_and_a_look_takes_one(capsys: pytest.CaptureFixture[str]) -> None:
    batch.main(["--jobs", "3", "--no-peer"])
    cells = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    counted = {" ".join(words[:-1]): words[-1] for words in cells if words}
    assert counted["submitjob"] == "1"
    assert counted["each further look"] == "1"
    assert counted["getlogevents"] == "6"
