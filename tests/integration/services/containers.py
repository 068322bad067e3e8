"""What a job of the test server does: a real container, or, for the image ``played``, a play of one in this process.

A played job reads the input that a container would read and treats each of its runs as the toy model would. A line of
the input is ``NAME KEY FIRST_SEED LAST_SEED WHAT VALUE``; WHAT is one of

    ok             writes its two files               exit3     says why and ends with 3
    silent         writes nothing                     memory    is ended for its memory
    nap:SECONDS    sleeps, then as ok                 reclaim   loses its machine at the first attempt, then as ok
    act:CODE:TEXT  prints TEXT, which is in base64 and in which $NAME stands for a variable, and ends with CODE
    hold:TEXT      prints TEXT, and goes on until there is an object (dated location)/go/(name), and ends well

Each run that really started is a line in the file that BATCH_NOTES names: a run that was executed twice cannot go
unseen.
"""

from __future__ import annotations

import os
import threading
import time
from base64 import b64decode
from contextlib import closing
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

import docker
from docker.errors import APIError, ImageNotFound
from moto.s3.models import s3_backends

from tests.integration.services.batch_jobs import Ended, Job

PLAYED = "played"
KILLED = 137
LOOK = 0.1
"""Seconds between looks at a container."""

TIMED_OUT = Ended(KILLED, status_reason="Job attempt duration exceeded timeout", retried=False)
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
RECLAIMED = Ended(None, status_reason="Host EC2 (instance i-0123456789abcdef0) terminated.")


def execute(job: Job) -> Ended:
    """Do what the job's image does."""
    image = job.image.rpartition("/")[2].partition(":")[0]
    return _Play(job).run() if image == PLAYED else _run_container(job)


def _run_container(job: Job) -> Ended:
    with closing(docker.DockerClient(base_url=os.environ["DOCKER_HOST"], timeout=60)) as client:
        memory = f"{job.memory_mib}m"
        try:
            container = client.containers.create(
                job.image,
                job.command or None,
                environment=job.environment(),
                network_mode="host",
                mem_limit=memory,
                memswap_limit=memory,
            )
        except ImageNotFound as error:
            return Ended(None, f"CannotPullContainerError: {error.explanation}", "Task failed to start")
        try:
            container.start()
            logs = threading.Thread(target=_follow, args=(job, container))
            logs.start()
            ended = _await(job, container)
            logs.join()
        except APIError as error:
            return Ended(None, f"CannotStartContainerError: {error.explanation}", "Task failed to start")
        finally:
            container.remove(force=True)
    return ended


def _follow(job: Job, container: Any) -> None:
    rest = b""
    for chunk in container.logs(stream=True, follow=True):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            job.say(line.decode(errors="replace"))
    if rest:
        job.say(rest.decode(errors="replace"))


def _await(job: Job, container: Any) -> Ended:
    end = time.monotonic() + job.seconds if job.seconds else float("inf")
    while True:
        container.reload()
        state = container.attrs["State"]
        if state["Status"] == "exited":
            return Ended(state["ExitCode"], OUT_OF_MEMORY if state["OOMKilled"] else "")
        late = time.monotonic() > end
        if job.stop or late:
            container.stop(timeout=2)
            container.reload()
            return TIMED_OUT if late else Ended(container.attrs["State"]["ExitCode"], retried=False)
        time.sleep(LOOK)


class _Play:
    """A play of a container."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.told = job.environment()
        place = urlsplit(self.told["BATCH_WORKING_URL"])
        self.bucket, self.folder = place.netloc, place.path.strip("/")
        self.store = s3_backends[job.backend.account_id]["aws"]

    def run(self) -> Ended:
        stem = f"{self.folder}/inputs/{self.told['FILE_SET_NAME']}_{self.told['AWS_BATCH_JOB_ARRAY_INDEX']}"
        source = self.store.get_object(self.bucket, f"{stem}.txt")
        if source is None:
            self.job.say(f"there is no input {stem}.txt")
            return Ended(2)
        for line in source.value.decode().splitlines():
            if line.strip():
                name, key, first, last, what, value = line.split()
                for seed in range(int(first), int(last) + 1):
                    if ended := self._simulate(f"{name}_{key}_{seed:04d}", what, value):
                        return ended
        self.job.say(f"all runs of {stem} are over")
        return Ended(0)

    def _simulate(self, run: str, what: str, value: str) -> Ended | None:
        """Do one run; returns how the whole job ends with it, if it does."""
        self._note("start", run)
        if what.startswith(("act:", "hold:")):
            return self._act(run, *what.split(":"))
        self.job.say(f"{run}: {what}")
        if what == "exit3":
            self.job.say("ERROR the toy broke")
            return Ended(3)
        if what == "memory":
            return Ended(KILLED, OUT_OF_MEMORY)
        if what == "reclaim" and self.told["AWS_BATCH_JOB_ATTEMPT"] == "1":
            return RECLAIMED
        if what.startswith("nap:") and (ended := self._nap(float(what[4:]))):
            return ended
        for extension in () if what == "silent" else ("a", "b"):
            self.store.put_object(self.bucket, f"{self.folder}/outputs/{run}.{extension}", f"{value}\n".encode())
        self._note("end", run)
        return None

    def _nap(self, seconds: float) -> Ended | None:
        began = time.monotonic()
        while (slept := time.monotonic() - began) < seconds:
            if self.job.stop:
                return Ended(KILLED)
            if self.job.seconds and slept > self.job.seconds:
                return TIMED_OUT
            time.sleep(min(0.05, seconds - slept))
        return None

    def _act(self, run: str, word: str, *rest: str) -> Ended:
        self._print(rest[-1])
        if word == "hold":
            return self._hold(run.rsplit("_", 2)[0]) or Ended(0)
        return Ended(int(rest[0]))

    def _print(self, text: str) -> None:
        said = Template(b64decode(text).decode(errors="replace")).safe_substitute(self.told)
        for line in said.removesuffix("\n").split("\n") if said else ():
            self.job.say(line)

    def _hold(self, name: str) -> Ended | None:
        while self.store.get_object(self.bucket, f"{self.folder}/go/{name}") is None:
            if self.job.stop:
                return Ended(KILLED)
            time.sleep(0.05)
        return None

    def _note(self, word: str, run: str) -> None:
        line = f"{word} {self.bucket} {run} {self.job.job_id}\n".encode()
        descriptor = os.open(Path(os.environ["BATCH_NOTES"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(descriptor, line)
        os.close(descriptor)
