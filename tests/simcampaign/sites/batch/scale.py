"""A campaign of any size, planned, saved, submitted and watched through the engine, at a simulated AWS Batch.

    python -m tests.simcampaign.sites.batch.scale DIRECTORY CONDITIONS SEEDS MAX_ARRAY_SIZE

It prints what it took as JSON. The inputs are rendered and handed to a location that forgets them: a million files, on
a disk or in memory, would be measured instead of the campaign.
"""

from __future__ import annotations

import json
import resource
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from simcampaign.engine.campaign import Campaign, Settings
from simcampaign.engine.planning import prepare
from simcampaign.engine.reconcile import look, reconcile
from simcampaign.engine.submission import check_submission, claim, save_inputs, submit_array
from simcampaign.engine.watch import WatchEnd, progress_of, watch
from simcampaign.jobs import JobState, Resources
from simcampaign.layout import Layout
from simcampaign.series import Series
from simcampaign.sites.batch import BatchOptions, BatchSite
from simcampaign.storage import Location
from simcampaign.storage.listing import KeyLists
from tests.simcampaign.sites.batch.simulated import SimulatedBatch

FAILED = {"statusReason": "Essential container in task exited", "container": {"exitCode": 3}}


class Forgetful:
    """A bucket that takes files, counts them, and forgets them."""

    def __init__(self) -> None:
        self.written = 0

    def url(self, key: str) -> str:
        return f"s3://bucket/{key}".removesuffix("/")

    def read(self, key: str) -> bytes | None:
        return None

    def exists(self, key: str) -> bool:
        return False

    def write_many(self, items: Iterable[tuple[str, bytes]], concurrency: int) -> int:
        count = sum(1 for _ in items)
        self.written += count
        return count

    def copy_many(self, pairs: Iterable[tuple[str, str]], concurrency: int) -> int:
        return sum(1 for _ in pairs)

    def delete_many(self, keys: Iterable[str]) -> None:
        for _ in keys:
            pass

    def list(self, prefix: str) -> KeyLists:
        return iter([])

    def scan(self, prefix: str, cache: Path | None) -> KeyLists:
        return iter([])

    def check_writable(self) -> None:
        pass


@dataclass(frozen=True)
class Outcome:
    """What a campaign took: jobs and files, calls to the service per operation, and memory."""

    arrays: int
    inputs: int
    submitting: dict[str, int]
    first_round: dict[str, int]
    quiet_round: dict[str, int]
    round_with_a_failure: dict[str, int]
    last_round: dict[str, int]
    counts_while_running: dict[str, int]
    counts_at_the_end: dict[str, int]
    ended: bool
    peak_mib: float


def campaign_at(directory: Path, client: SimulatedBatch, conditions: int, seeds: int, size: int) -> Campaign:
    (directory / "big.xml").write_text('<set key="{{ key }}" seed="{{ seed }}" x="{{ x }}"/>\n')
    options = BatchOptions(account="123456789012", region="us-east-1", user="ada", queue="main", max_array_size=size)
    site = BatchSite(options, settle_seconds=0, client_factory=lambda _: client)
    return Campaign(
        series=Series(
            "big",
            [{"key": f"c{number:04d}", "x": number} for number in range(conditions)],
            range(seeds),
            ["csv"],
            template_key="big.xml",
        ),
        layout=Layout.today("big"),
        working=Location(Forgetful()),
        manifest=Location(Forgetful()),
        templates=Location.open(str(directory)),
        ledger_url=f"sqlite:///{directory / 'ledger.sqlite'}",
        settings=Settings(model="big", image="big:1", resources=Resources(1, 2048), retries=100),
        site=site,
    )


def run(directory: Path, conditions: int, seeds: int, size: int) -> Outcome:
    client = SimulatedBatch(submits_per_second=50)
    campaign = campaign_at(directory, client, conditions, seeds, size)

    def calls() -> dict[str, int]:
        made = dict(client.calls)
        client.calls.clear()
        return made

    reconcile(campaign)
    prepared = prepare(campaign)
    check_submission(campaign, prepared.plan)
    submissions = claim(campaign, prepared.plan, prepared.version)
    inputs = 0
    for submission in submissions:
        inputs += save_inputs(campaign, submission)
        submit_array(campaign, submission)
    submitting = calls()

    def round_of_looks() -> dict[str, int]:
        look(campaign, campaign.ledger.arrays(campaign.id, open_only=True))
        return calls()

    jobs = list(client.submitted)
    first = round_of_looks()
    for job in jobs:
        client.start(job, 10)
    quiet = round_of_looks()
    arrays = campaign.ledger.arrays(campaign.id)
    running = Counter[JobState]()
    for states in progress_of(campaign, arrays).groups.values():
        running.update(states)
    client.end(jobs[0], 10, {7: FAILED})
    failure = round_of_looks()
    for job in jobs:
        client.end(job)
    end = watch(campaign, arrays, lambda _: None, lambda: False)
    last = calls()
    ended = Counter[JobState]()
    for states in progress_of(campaign, arrays).groups.values():
        ended.update(states)
    return Outcome(
        arrays=len(submissions),
        inputs=inputs,
        submitting=submitting,
        first_round=first,
        quiet_round=quiet,
        round_with_a_failure=failure,
        last_round=last,
        counts_while_running={state.value: count for state, count in running.items()},
        counts_at_the_end={state.value: count for state, count in ended.items()},
        ended=end is WatchEnd.ENDED,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(run(Path(sys.argv[1]), *map(int, sys.argv[2:])))))
