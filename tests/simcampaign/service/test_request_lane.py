"""The lane to sites that take requests: jobs are handed over, told of, cancelled, and found again after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from simcampaign.ledger import Ledger
from simcampaign.ledger.queuerows import QueueState
from simcampaign.service.core.book import Book
from simcampaign.service.core.dispatcher import Dispatcher
from simcampaign.service.core.requestlane import RequestLane
from simcampaign.service.core.telemetry import Telemetry
from simcampaign.sites.local import LocalSite
from tests.simcampaign.service.core_driver import shell
from tests.support import until


def started(folder: Path) -> Dispatcher:
    book = Book(Ledger(f"sqlite:///{folder / 'ledger.sqlite'}"))
    site = LocalSite(root=folder / "site", slots=2, grace_seconds=0.3)
    dispatcher = Dispatcher(book, Telemetry(folder), lambda _, ended: RequestLane(site, book, ended), {})
    dispatcher.start()
    return dispatcher


def stop(dispatcher: Dispatcher) -> None:
    dispatcher.stop()
    dispatcher.book.close()


def test_jobs_end_once_are_cancelled_and_are_found_again_by_the_next_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    dispatcher = started(tmp_path)
    book = dispatcher.book
    dispatcher.submit(shell("bad", "echo why; exit 3")).result()
    dispatcher.submit(shell("gated", f"until [ -e '{tmp_path}/go' ]; do sleep 0.02; done")).result()
    until(lambda: book.get("bad").state.over and book.get("gated").state is QueueState.RUNNING)
    assert (book.get("bad").state, book.get("bad").return_code) == (QueueState.FAILED, 3)
    assert dispatcher.lane("local").log(book.get("bad")) == b"why\n"
    dispatcher.submit(shell("long", "sleep 300")).result()
    until(lambda: book.get("long").state is QueueState.RUNNING)
    dispatcher.cancel("long").result()
    until(lambda: book.get("long").state is QueueState.CANCELLED)
    stop(dispatcher)

    dispatcher = started(tmp_path)
    (tmp_path / "go").touch()
    until(lambda: dispatcher.book.get("gated").state is QueueState.COMPLETED)
    kinds = [event.kind for event in dispatcher.book.events_since(0, job_id="gated")]
    assert kinds.count("job_completed") == kinds.count("job_started") == 1
    stop(dispatcher)
