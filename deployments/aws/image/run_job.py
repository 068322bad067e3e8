"""Run one job of a campaign in a container: fetch its input and inits, run the model, save what it wrote.

What the job is told comes through the environment, the same at every site:

    BATCH_WORKING_URL          s3://bucket/prefix/NAME/DATE/, or the folder that is mounted in its place
    FILE_SET_NAME              first part of the names of the job's input and inits
    AWS_BATCH_JOB_ARRAY_INDEX  the job's index, the end of its input's name

The model reads and writes folders, so an object store is copied from before and to afterwards. What a model wrote
before it failed is saved, too: those runs are done. The exit status is the model's, or 70 if files could not be copied.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from models.colony.campaign import InputError, read_campaign

NO_FILES = 70


class JobError(Exception):
    """The job cannot be run; the message says why."""


def main() -> int:
    """Run the job and return its exit status."""
    try:
        place = os.environ["BATCH_WORKING_URL"]
        file_set = os.environ["FILE_SET_NAME"]
        # AWS sets the first for jobs of an array only; ours is there for a single job, too.
        index = int(os.environ.get("AWS_BATCH_JOB_ARRAY_INDEX") or os.environ["JOB_ARRAY_INDEX"])
        if "://" not in place:
            return run_model(Path(place), find_input(Path(place), file_set, index))
        return run_in_store(place, file_set, index)
    except KeyError as error:
        return complain(f"the job was not told {error.args[0]}")
    except (JobError, InputError, BaseError, OSError) as error:
        return complain(str(error))


def run_in_store(place: str, file_set: str, index: int) -> int:
    """Run the job in a temporary folder, with files from and to the object store."""
    # An endpoint of one's own (AWS_ENDPOINT_URL) may be without TLS; Amazon's never is.
    plain = os.environ.get("AWS_ENDPOINT_URL_S3", os.environ.get("AWS_ENDPOINT_URL", "")).startswith("http://")
    store = S3Store.from_url(place, client_options={"allow_http": plain})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetch(store, f"inputs/{file_set}_{index}.", folder)
        source = find_input(folder, file_set, index)
        for seed in seeds_of(source):
            fetch(store, f"inits/{file_set}_{seed:04d}.", folder)
        status = run_model(folder, source)
        for path in sorted((folder / "outputs").glob("[!.]*")):
            obstore.put(store, f"outputs/{path.name}", path)
            say(f"saved outputs/{path.name} ({path.stat().st_size} bytes)")
    return status


def fetch(store: S3Store, prefix: str, folder: Path) -> None:
    """Copy the objects whose keys begin with ``prefix`` to the folder."""
    parent, _, start = prefix.rpartition("/")
    # A store lists whole folders; what sorts before the prefix is skipped by the server.
    for objects in obstore.list(store, parent, offset=prefix):
        keys = [found["path"] for found in objects]
        for key in keys:
            if key.startswith(prefix):
                path = folder / key
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(obstore.get(store, key).bytes())
                say(f"fetched {key}")
        if keys and keys[-1] > f"{parent}/{start}\uffff":
            return


def find_input(folder: Path, file_set: str, index: int) -> Path:
    """Return the job's input, whatever its extension."""
    found = sorted((folder / "inputs").glob(f"{file_set}_{index}.*"))
    if len(found) != 1:
        raise JobError(f"inputs/{file_set}_{index}.*: {len(found)} such files, not one")
    return found[0]


def seeds_of(source: Path) -> Iterator[int]:
    """Yield the seeds whose inits the job needs."""
    for condition in read_campaign(source).conditions:
        yield from range(condition.start_seed, condition.end_seed + 1)


def run_model(folder: Path, source: Path) -> int:
    """Run the model until it ends or the service ends the job; returns its exit status."""
    command = [sys.executable, "-m", "models.colony", str(source), str(folder / "outputs")]
    with subprocess.Popen(command, env={**os.environ, "BATCH_WORKING_URL": str(folder)}) as model:

        def pass_on(number: int, _frame: FrameType | None) -> None:
            model.send_signal(number)

        # The first process of a container is sent no signal that it does not ask for.
        signal.signal(signal.SIGTERM, pass_on)
        status = model.wait()
    return 128 - status if status < 0 else status


def say(line: str) -> None:
    """Append a line to the job's log."""
    sys.stdout.write(f"job: {line}\n")
    sys.stdout.flush()


def complain(message: str) -> int:
    """Say what went wrong and return the exit status for it."""
    sys.stderr.write(f"job: {message}\n")
    return NO_FILES


if __name__ == "__main__":
    sys.exit(main())
