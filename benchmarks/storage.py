"""Save rendered inputs: ours against a sequential loop, in a directory and in a local S3 server.

python -m benchmarks.storage [--files 10000]
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from simcampaign.storage import Location

INPUT = b"<set>" + b"<population id='a' temperature='37.0'/>" * 52 + b"</set>\n"
"""About 2 KB, as a rendered input is."""


@dataclass(frozen=True)
class Measured:
    """Seconds of one way to save the files."""

    wall: float
    cpu: float


def measure(work: Callable[[], object]) -> Measured:
    """Return what ``work`` took: wall time, and CPU time of this process with all its threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Measured(time.perf_counter() - wall, time.process_time() - cpu)


def items(count: int) -> Iterable[tuple[str, bytes]]:
    return ((f"colony/2026-01-31/inputs/colony_A_{index:05d}.xml", INPUT) for index in range(count))


def loop_directory(root: Path, count: int) -> None:
    """Do the peer's work: open, write, rename, one file after the other."""
    for key, data in items(count):
        target = root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        with temporary.open("wb") as file:
            file.write(data)
        temporary.rename(target)


def loop_boto3(bucket: str, count: int) -> None:
    """Do the peer's work: one put_object after the other."""
    client = boto3.client("s3")
    for key, data in items(count):
        client.put_object(Bucket=bucket, Key=key, Body=data)


@contextmanager
def s3_server() -> Iterator[str]:
    """Run moto_server on a free port, with the environment pointing at it; yield the name of a bucket in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    before = {name: os.environ.get(name) for name in settings}
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        os.environ.update(settings)
        await_port(port, process)
        boto3.client("s3").create_bucket(Bucket="benchmark")
        yield "benchmark"
    finally:
        process.terminate()
        process.wait(30)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"moto_server does not answer on port {port}")


def show(place: str, peer_name: str, ours: Measured, peer: Measured, count: int) -> None:
    print(f"{place}: {count} inputs of {len(INPUT)} bytes")
    for name, took in ((peer_name, peer), ("simcampaign", ours)):
        print(f"  {name:<26} wall {took.wall:7.2f} s   CPU {took.cpu:6.2f} s   {took.wall / count * 1e6:7.0f} µs/file")
    print(f"  simcampaign is {peer.wall / ours.wall:.2f}× as fast, with {peer.cpu / ours.cpu:.2f}× less CPU\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run both comparisons and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="how many inputs to save (default: %(default)s)")
    count: int = parser.parse_args(argv).files
    root = Path(tempfile.mkdtemp(prefix="simcampaign-benchmark-"))
    try:
        peer = measure(lambda: loop_directory(root / "peer", count))
        place = Location.open(str(root / "ours"))
        ours = measure(lambda: place.write_many(items(count)))
        assert sum(map(len, place.list())) == count
        show("directory", "open, write, rename", ours, peer, count)
    finally:
        shutil.rmtree(root)
    with s3_server() as bucket:
        peer = measure(lambda: loop_boto3(bucket, count))
        place = Location.open(f"s3://{bucket}/ours")
        ours = measure(lambda: place.write_many(items(count)))
        assert sum(map(len, place.list())) == count
        show("S3 server on this machine", "boto3 put_object", ours, peer, count)
    print("The S3 server is moto, in Python and on the same cores: it sets the pace of the bulk write.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
