"""Large campaigns: one call submits an array, one call tells of a hundred, and memory stays small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simcampaign.sites.batch.scale import Outcome, run


def check(outcome: Outcome, jobs: int, arrays: int) -> None:
    assert (outcome.inputs, outcome.arrays) == (jobs, arrays)
    assert outcome.submitting["submit_job"] <= arrays * 1.1
    assert outcome.submitting["register_job_definition"] == 1
    for quiet in (outcome.first_round, outcome.quiet_round):
        assert sum(quiet.values()) <= 2
    assert outcome.round_with_a_failure == {"describe_jobs": 1, "list_jobs": 1}
    assert outcome.counts_while_running == {"queued": jobs - 10 * arrays, "running": 10 * arrays}
    assert outcome.counts_at_the_end == {"finished": jobs - 1, "failed": 1}
    assert outcome.ended


def test_ten_thousand_runs_take_a_call_an_array_and_one_a_look(tmp_path: Path) -> None:
    check(run(tmp_path, 100, 100, 1000), 10_000, 10)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_a_million_runs_take_a_hundred_submissions_and_less_than_a_gibibyte(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.simcampaign.sites.batch.scale", str(tmp_path), "1000", "1000", "10000"]
    root = Path(__file__).parents[4]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    outcome = Outcome(**json.loads(done.stdout))
    check(outcome, 1_000_000, 100)
    assert sum(outcome.last_round.values()) <= 3
    assert outcome.peak_mib <= 1024
