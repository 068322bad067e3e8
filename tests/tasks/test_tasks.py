"""What lies between the engine and Prefect: Ctrl-C, progress, final states, and what cancelling a flow run does."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled

from configs.local import LocalContextConfig
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig
from flows.run_local_simulations import open_campaign, run_flow
from simcampaign.engine.planning import prepare
from simcampaign.engine.reconcile import reconcile
from simcampaign.engine.submission import claim, save_inputs, submit_array
from simcampaign.engine.watch import Progress
from simcampaign.jobs import JobState
from tasks.body import final_state
from tasks.interrupts import Interrupts
from tasks.outcome import Outcome
from tasks.progress import TerminalProgress
from tests.support import until


def outcome(**changes: Any) -> Outcome:
    fields: dict[str, Any] = {
        "complete": False,
        "counts": {"done": 6, "stale": 1, "failed": 3},
        "submitted": 10,
        "active": 0,
        "end": "every job has ended",
        "stopped": False,
        "cancelled": False,
        "summary": "/out/page.html",
        "failures": "",
    }
    return Outcome(**{**fields, **changes})


@pytest.mark.parametrize(
    ("ended", "kind", "name", "message"),
    [
        (outcome(), "COMPLETED", "PartiallyDone", "7 of 10 runs done; 3 failed"),
        (outcome(complete=True, counts={"done": 10}), "COMPLETED", "Completed", "10 of 10 runs done"),
        (outcome(cancelled=True), "CANCELLED", "Cancelled", "7 of 10 runs done; 3 failed"),
    ],
)
def test_the_state_of_a_flow_run_tells_how_the_campaign_ended(
    ended: Outcome, kind: str, name: str, message: str
) -> None:
    state = final_state(ended)
    assert (state.type.value, state.name, state.message) == (kind, name, message)
    assert state.data is ended


def test_the_exit_status_tells_how_the_campaign_ended() -> None:
    statuses = [outcome(complete=True), outcome(), outcome(cancelled=True), outcome(stopped=True)]
    assert [each.exit_status for each in statuses] == [0, 1, 1, 130]


def test_ctrl_c_is_counted_within_the_block_only() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts().listening() as interrupts:
        assert not interrupts.stopped
        signal.raise_signal(signal.SIGINT)
        assert (interrupts.stopped, interrupts.cancelled) == (True, False)
        assert not interrupts.await_second(0.05)
        signal.raise_signal(signal.SIGINT)
        assert interrupts.await_second(5)
    assert signal.getsignal(signal.SIGINT) is before


def test_without_a_terminal_changes_are_printed_but_not_too_often(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress() as progress:
        for finished in range(5):
            states = {JobState.RUNNING: 4 - finished, JobState.FINISHED: finished}
            progress.show(Progress({"_": {state: count for state, count in states.items() if count}}))
    assert capsys.readouterr().err.splitlines() == ["jobs: all: 4 running", "jobs: all: 4 finished"]


@pytest.mark.parametrize("terminate", [True, False])
def test_cancelling_a_flow_run_cancels_its_jobs_unless_they_are_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminate: bool
) -> None:
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.txt").write_text("{{ name }}")
    code = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.02)"
    context = LocalContextConfig("out", "out", ".", [sys.executable, "-c", code, str(tmp_path / "go")], slots=2)
    series = SeriesConfig("toy", "toy.txt", "0-2", [{"key": "a"}], ["a"])
    parameters = ParametersConfig("toy", terminate_jobs=terminate)
    campaign = open_campaign(context, series, parameters)
    prepared = prepare(campaign)
    for submission in claim(campaign, prepared.plan, prepared.version):
        save_inputs(campaign, submission)
        submit_array(campaign, submission)

    def running() -> int:
        reconcile(campaign)
        (array,) = campaign.ledger.arrays(campaign.id)
        return list(campaign.ledger.job_states(array.id).values()).count(JobState.RUNNING)

    until(lambda: running() == 2)
    sent = json.loads(json.dumps([asdict(part) for part in (context, series, parameters)]))
    flow_run = FlowRun(
        flow_id="00000000-0000-0000-0000-000000000000",
        parameters=dict(zip(("context", "series", "parameters"), sent, strict=True)),
    )
    (hook,) = run_flow.on_cancellation_hooks
    hook(run_flow, flow_run, Cancelled())
    if terminate:
        until(lambda: running() == 0)
        expected = {JobState.CANCELLED}
    else:
        assert running() == 2
        (tmp_path / "go").touch()
        expected = {JobState.FINISHED}
    until(lambda: not campaign.ledger.arrays(campaign.id, open_only=reconcile(campaign) is not None))
    (array,) = campaign.ledger.arrays(campaign.id)
    assert set(campaign.ledger.job_states(array.id).values()) == expected
