"""A queue in a process of its own that is killed: ``python core_driver.py FOLDER COUNT``.

It takes up what is in the ledger, submits the jobs ``job-0`` to ``job-COUNT`` that are not there yet, and goes on until
all are over.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from simcampaign.ledger import Ledger
from simcampaign.ledger.queuerows import NewJob
from simcampaign.service.core.book import Book
from simcampaign.service.core.dispatcher import Dispatcher
from simcampaign.service.core.limits import ResourceLimits
from simcampaign.service.core.streamlane import StreamLane
from simcampaign.service.core.telemetry import Telemetry
from simcampaign.service.core.work import Work
from simcampaign.sites.local import LocalSite


def opened(folder: Path, limits: ResourceLimits | None = None) -> Dispatcher:
    """Return a queue for this host with two slots, not yet started."""
    book = Book(Ledger(f"sqlite:///{folder / 'ledger.sqlite'}"))
    site = LocalSite(root=folder / "site", slots=2, grace_seconds=0.3)
    free = limits or ResourceLimits(2, 100.0, 0.0, 0.0)
    return Dispatcher(book, Telemetry(folder), lambda _, ended: StreamLane(site, book, ended), {"local": 2.0}, free)


def shell(job_id: str, script: str, **others: object) -> NewJob:
    """Return a job that runs a shell script in a folder of its own."""
    work = Work(command=("sh", "-c", script)).text()
    return NewJob(id=job_id, user="ann", site="local", config="{}", work=work, **others)  # type: ignore[arg-type]


def main() -> None:
    """Run the queue until it is empty."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    dispatcher = opened(folder)
    dispatcher.start()
    for number in range(count):
        dispatcher.submit(shell(f"job-{number}", f"echo {number} >> '{folder}/ran'")).result()
    while dispatcher.book.not_over():
        time.sleep(0.01)
    dispatcher.stop()
    dispatcher.book.close()


if __name__ == "__main__":
    main()
