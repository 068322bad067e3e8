"""Calls to AWS for an array from its submission to its saved logs: ours, and container-collection's.

    python -m benchmarks.batch [--jobs 1000] [--no-peer]

Both run the same array on the same test server, whose jobs write their outputs and logs without a container, and both
go through a proxy that counts their requests. The peer is counted at its best: it looks at each job only once, after
all have ended, and its job definition is there already, while ours registers one and watches from the start. What a
further look costs while jobs run is shown apart.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from benchmarks.peer import PEER, PeerUnavailable, environment
from simcampaign.jobs import ArraySpec, JobSpec, JobState, Resources
from simcampaign.sites.batch import BatchOptions, BatchSite
from simcampaign.storage import Location
from tests.integration.proxy import Proxy
from tests.integration.services.aws import ACCOUNT, QUEUE, REGION, Aws, aws_server

BUCKET = "benchmark"
WORKING = f"s3://{BUCKET}/bench/2026-01-31/"
PEER_THREADS = 16


@dataclass
class Measured:
    """What one way took."""

    calls: Mapping[str, int]
    """Requests per call."""

    look: int
    """Requests of one look at all jobs while they run."""

    seconds: float
    logs: int
    """Lines of all logs."""


def ours(aws: Aws, proxy: Proxy, jobs: int) -> Measured:
    """Submit, watch and read the logs with our site."""
    site = BatchSite(BatchOptions(account=ACCOUNT, region=REGION, user="ours", queue=QUEUE))
    specs = [
        JobSpec(index, f"bench_{index}", f"{WORKING}inputs/bench_{index}.txt", str(index)) for index in range(jobs)
    ]
    array = ArraySpec(
        "bench", "bench", WORKING, f"{WORKING}outputs/", (), specs, Resources(1, 64), model="bench", image="played:1"
    )
    before, began = Counter(proxy.counts), time.perf_counter()
    remote_id = site.submit(array)
    submitted = Counter(proxy.counts)
    site.status({remote_id: ""})
    look = (proxy.counts - submitted).total()
    await_end(aws, remote_id)
    ended = site.status({remote_id: ""})[remote_id].changes
    assert Counter(each.state for each in ended) == {JobState.FINISHED: jobs}
    site.details(remote_id)
    lines = sum(text.count(b"\n") for _, text in site.logs(remote_id, range(jobs)))
    return Measured(proxy.counts - before, look, time.perf_counter() - began, lines)


def peers(aws: Aws, proxy: Proxy, jobs: int) -> Measured:
    """Do the same with the peer's functions."""
    submit, check, logs = (load_peer(name) for name in ("submit_batch_job", "check_batch_job", "get_batch_logs"))
    definition = aws.client("batch").register_job_definition(
        jobDefinitionName="peer_bench",
        type="container",
        containerProperties={"image": "played:1", "vcpus": 1, "memory": 64},
    )["jobDefinitionArn"]
    told = {"BATCH_WORKING_URL": WORKING, "FILE_SET_NAME": "bench"}
    overrides = {"environment": [{"name": name, "value": value} for name, value in told.items()]}
    before, began = Counter(proxy.counts), time.perf_counter()
    arns = submit("bench", definition, "peer", QUEUE, jobs, containerOverrides=overrides)
    # The part of an ARN after the last slash; the peer makes those of children from that of the parent.
    ids = [arn.rpartition("/")[2] for arn in arns]
    await_end(aws, ids[0].partition(":")[0])
    with ThreadPoolExecutor(PEER_THREADS) as threads:
        assert set(threads.map(lambda job: check(job, 0), ids)) == {0}
        lines = sum(text.count("\n") + 1 for text in threads.map(lambda job: logs(job, ""), ids))
    return Measured(proxy.counts - before, jobs, time.perf_counter() - began, lines)


def load_peer(name: str) -> Callable[..., Any]:
    """Return one of the peer's functions, from its file: its package as a whole needs Prefect 2."""
    library = next((environment().parents[1] / "lib").glob("python3*/site-packages"))
    spec = importlib.util.spec_from_file_location(name, library / "container_collection" / "batch" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[..., Any] = getattr(module, name)
    return function


def await_end(aws: Aws, remote_id: str) -> None:
    """Wait until an array is over, by calls that nobody counts."""
    batch = aws.client("batch")
    while batch.describe_jobs(jobs=[remote_id])["jobs"][0]["status"] not in {"SUCCEEDED", "FAILED"}:
        time.sleep(0.2)


@contextmanager
def service(jobs: int) -> Iterator[tuple[Aws, Proxy]]:
    """Run the server and the proxy, with the inputs of the array in place and the environment pointing at them."""
    logging.getLogger("botocore").setLevel(logging.ERROR)
    with (
        tempfile.TemporaryDirectory(prefix="simcampaign-benchmark-") as folder,
        aws_server(Path(folder), {"BATCH_SLOTS": "16"}) as aws,
        Proxy(aws.port) as proxy,
    ):
        told = {**aws.environment, "AWS_ENDPOINT_URL_BATCH": proxy.endpoint}
        told["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] = proxy.endpoint
        with patch.dict(os.environ, told):
            aws.client("s3").create_bucket(Bucket=BUCKET)
            lines = (f"bench c {index} {index} ok 0\n".encode() for index in range(jobs))
            keys = (f"inputs/bench_{index}.txt" for index in range(jobs))
            Location.open(WORKING.rstrip("/")).write_many(zip(keys, lines, strict=True))
            yield aws, proxy


def show(ways: Mapping[str, Measured], jobs: int) -> None:
    table = Table(title=f"Requests for an array of {jobs:,} jobs, from its submission to its logs")
    table.add_column("call")
    for name in ways:
        table.add_column(name, justify="right")
    for call in sorted(set().union(*(each.calls for each in ways.values()))):
        table.add_row(call, *(f"{each.calls.get(call, 0):,}" for each in ways.values()))
    table.add_section()
    table.add_row("all", *(f"{sum(each.calls.values()):,}" for each in ways.values()))
    table.add_row("all but logs", *(f"{without_logs(each):,}" for each in ways.values()))
    table.add_row("each further look", *(f"{each.look:,}" for each in ways.values()))
    table.add_row("seconds", *(f"{each.seconds:.1f}" for each in ways.values()))
    Console(width=100).print(table)


def without_logs(measured: Measured) -> int:
    return sum(count for call, count in measured.calls.items() if not call.endswith("logevents"))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1000, help="jobs in the array, 2 to 10000 (default: %(default)s)")
    parser.add_argument("--peer", action=argparse.BooleanOptionalAction, default=True, help=f"measure {PEER} too")
    options = parser.parse_args(argv)
    with service(options.jobs) as (aws, proxy):
        ways = {"simcampaign": ours(aws, proxy, options.jobs)}
        if options.peer:
            try:
                ways[PEER] = peers(aws, proxy, options.jobs)
            except PeerUnavailable as error:
                print(f"{PEER} was not measured: {error}")
    show(ways, options.jobs)
    if PEER in ways:
        mine, other = ways["simcampaign"], ways[PEER]
        assert mine.logs == other.logs, "the two do not agree on the logs"
        print(
            f"simcampaign sends {without_logs(mine)} requests beside those for logs, the peer {without_logs(other):,};"
        )
        print(f"a look at the running jobs takes {mine.look} instead of {other.look:,}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
