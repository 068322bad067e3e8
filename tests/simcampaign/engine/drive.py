"""A campaign run without Prefect, in the order of ``tasks.body``; as a program it runs a pickled campaign.

    python drive.py CAMPAIGN [tick]

It says ``ready`` when it has imported everything, waits for a line, and says ``complete`` or ``incomplete`` at the end;
with ``tick`` it does one step only, and says ``settled`` or ``unsettled``.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.owner import identity
from simcampaign.engine.planning import Prepared, prepare
from simcampaign.engine.report import Published, publish
from simcampaign.engine.rounds import run_rounds
from simcampaign.engine.steps import PLAIN, gather
from simcampaign.engine.submission import (
    Submission,
    check_submission,
    claim,
    copy_inits,
    save_inputs,
    stage_files,
    submit_all,
    submit_array,
)
from simcampaign.engine.tick import tick
from simcampaign.engine.watch import WatchEnd, terminate, watch
from simcampaign.errors import ConflictError
from simcampaign.ledger import ArrayRow


def run(campaign: Campaign, stop: Callable[[], bool] = lambda: False) -> Published:
    PLAIN.attach(campaign)

    def watched(arrays: Sequence[ArrayRow]) -> WatchEnd:
        end = watch(campaign, arrays, lambda _: None, lambda: False)
        if end is WatchEnd.TIME_UP and campaign.settings.terminate_jobs:
            terminate(campaign, arrays, lambda _: None)
        return end

    run_rounds(campaign, watched, stop)
    arrays = gather(campaign)
    published = publish(campaign, "run it again")
    for array in arrays:
        campaign.ledger.collected(array.id)
    return published


def plan_and_claim(campaign: Campaign, selected: Any = None) -> tuple[Prepared, list[Submission]]:
    while True:
        prepared = prepare(campaign, selected=selected)
        if not prepared.plan.jobs:
            return prepared, []
        check_submission(campaign, prepared.plan)
        try:
            return prepared, claim(campaign, prepared.plan, prepared.version)
        except ConflictError:
            continue


def submit(campaign: Campaign, prepared: Prepared, submissions: list[Submission]) -> None:
    def stage(submission: Submission) -> None:
        copy_inits(campaign, submission)
        save_inputs(campaign, submission)
        stage_files(campaign, submission)

    submit_all(campaign, prepared, submissions, stage, lambda submission: submit_array(campaign, submission))


if __name__ == "__main__":
    mine = replace(pickle.loads(Path(sys.argv[1]).read_bytes()), owner=identity())  # noqa: S301 - our own
    os.write(1, b"ready\n")
    sys.stdin.readline()
    if sys.argv[2:] == ["tick"]:
        os.write(1, b"settled\n" if tick(mine).settled else b"unsettled\n")
    else:
        os.write(1, b"complete\n" if run(mine).plan.complete else b"incomplete\n")
