"""Ledgers with very many jobs."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import sqlalchemy as sa

from simcampaign.ledger import Ledger
from simcampaign.ledger.queuerows import NewJob
from simcampaign.ledger.schema import queue_jobs
from simcampaign.service.core.work import Work

STATES = ("completed", "completed", "completed", "completed", "completed", "completed", "failed", "cancelled", "lost")
USERS = ("ann", "bob", "chidi", "dana")


def fill(ledger: Path, jobs: int, waiting: int) -> None:
    """Write jobs down that are over, and some that are held, in one go."""
    now = time.time()
    config = json.dumps({"files": {"input.txt": "x" * 200}})
    job = asdict(NewJob(id="", user="", site="local", config=config, work=Work(command=("true",)).text()))
    alike = job | {"after": "[]", "after_ok": "[]", "place": "", "place_index": 0, "cancelling": False, "message": ""}
    rows = [alike | _one(number, number >= jobs - waiting, now - 2 * (jobs - number)) for number in range(jobs)]
    with Ledger(f"sqlite:///{ledger}").database.write() as connection:
        connection.execute(sa.insert(queue_jobs), rows)


def _one(number: int, held: bool, created: float) -> dict[str, object]:
    state = "queued" if held else STATES[number % len(STATES)]
    return {
        "id": f"crowd-{number:06d}",
        "user": USERS[number % len(USERS)],
        "group": f"group-{number % 12}",
        "held": held,
        "state": state,
        "created": created,
        "started": None if held else created + 1,
        "ended": None if held else created + 2.5,
        "return_code": None if held else int(state == "failed"),
    }
