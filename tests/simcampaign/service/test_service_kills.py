"""A job manager that is killed again and again, with clients that submit to it and listen to it all the while."""

from __future__ import annotations

import json
import random
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import socketio

from tests.simcampaign.service.server import Server
from tests.support import until

OVER = ("job_completed", "job_cancelled")
AHEAD = 20
"""Jobs that each client has in the queue at a time."""

PAUSE = 0.1
"""How long a client waits before it asks again a service that does not answer."""


class Person:
    """A client that submits its jobs, and listens to what becomes of all; it comes back by itself."""

    def __init__(self, name: str, url: str, jobs: list[dict[str, Any]]) -> None:
        self.name, self.url, self.jobs = name, url, jobs
        self.ids: list[str] = []
        self.heard: list[int] = []
        self.ends: Counter[str] = Counter()
        self.repeats = 0
        """Requests that were sent once more, as no answer came."""
        self.leaving = threading.Event()
        self._changed = threading.Condition()
        self._broken: list[BaseException] = []
        self._threads = [threading.Thread(target=self._safely, args=(each,)) for each in (self._submit, self._listen)]

    def start(self) -> None:
        for each in self._threads:
            each.start()

    def leave(self) -> None:
        self.leaving.set()
        with self._changed:
            self._changed.notify_all()
        for each in self._threads:
            each.join(30)

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # a thread's failure must not pass for patience
            self._broken.append(error)
            raise

    def is_done(self) -> bool:
        """Say whether the ends of all its jobs were told."""
        assert not self._broken, self._broken
        return len(self.ids) == len(self.jobs) and set(self.ids) <= set(self.ends)

    def hear(self, kind: str, payload: dict[str, Any]) -> None:
        """Take in an event."""
        with self._changed:
            self.heard.append(payload["seq"])
            if kind in OVER:
                self.ends[payload["job_id"]] += 1
            self._changed.notify_all()

    @property
    def seq(self) -> int:
        return self.heard[-1] if self.heard else 0

    def _submit(self) -> None:
        with httpx.Client(base_url=self.url, timeout=10) as http:
            for number, config in enumerate(self.jobs):
                with self._changed:
                    self._changed.wait_for(lambda: self.leaving.is_set() or self._waiting() < AHEAD)
                if self.leaving.is_set():
                    return
                self.ids.append(self._submitted(http, f"{self.name}-{number}", config))

    def _waiting(self) -> int:
        return len(self.ids) - len(set(self.ids) & set(self.ends))

    def _submitted(self, http: httpx.Client, key: str, config: dict[str, Any]) -> str:
        """Submit a job until there is an answer; the key makes it one job, however often it is sent."""
        while not self.leaving.is_set():
            try:
                answer = http.post("/jobs/submit", json={"config": config}, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                self.repeats += 1
                self.leaving.wait(PAUSE)
                continue
            assert answer.status_code == 200, answer.text
            return str(answer.json()["job_id"])
        return ""

    def _listen(self) -> None:
        raise NotImplementedError


class StreamPerson(Person):
    """Listens to server-sent events."""

    def _listen(self) -> None:
        with httpx.Client(base_url=self.url, timeout=5) as http:
            while not self.leaving.is_set():
                try:
                    with http.stream("GET", "/events", params={"since": self.seq}) as answer:
                        self._read(answer)
                except httpx.TransportError:
                    self.leaving.wait(PAUSE)

    def _read(self, answer: httpx.Response) -> None:
        kind = ""
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                self.hear(kind, json.loads(value))
            if self.leaving.is_set():
                return


class SocketPerson(Person):
    """Listens over Socket.IO, whose library connects again by itself."""

    def _listen(self) -> None:
        client = socketio.Client(reconnection_delay=PAUSE, reconnection_delay_max=0.3)
        client.on("*", self.hear)
        client.connect(self.url, auth=lambda: {"since": self.seq}, retry=True, wait_timeout=30)
        self.leaving.wait()
        client.disconnect()


@contextmanager
def kept_up(home: Path, port: int) -> Iterator[Server]:
    """Give a service at a port, not started; at the end it and its runners are ended."""
    server = Server(home, "", "--port", str(port))
    try:
        yield server
    finally:
        if server.process is None or server.process.poll() is not None:
            server.start()
        server.end()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def kill_at_random(home: Path, kills: int, each_has: int, seconds: float, seed: int) -> None:
    """Kill the service while three clients use it; at the end each job ran once and each end was told once."""
    chance = random.Random(seed)
    port, ran = free_port(), home / "ran"
    kinds: list[type[Person]] = [StreamPerson, StreamPerson, SocketPerson]
    people = []
    for who, kind in enumerate(kinds):
        scripts = [f"echo {who}-{number} >> '{ran}'; sleep {seconds}" for number in range(each_has)]
        jobs = [{"files": {"job.sh": script}} for script in scripts]
        people.append(kind(f"person-{who}", f"http://127.0.0.1:{port}", jobs))
    with kept_up(home, port) as server, ExitStack() as leaving:
        server.start()
        for each in people:
            leaving.callback(each.leave)
            each.start()
        for _ in range(kills):
            _kill_once(server, chance)
        server.start()
        until(lambda: all(each.is_done() for each in people), patience=240)
        ids = {job_id for each in people for job_id in each.ids}
        until(lambda: all(set(each.ends) == ids for each in people))
        listed = server.http.get("/jobs").json()
    assert {job["id"] for job in listed} == ids, f"seed {seed}: the service has other jobs than its clients"
    assert {job["status"] for job in listed} == {"completed"}, f"seed {seed}"
    expected = {f"{who}-{number}" for who in range(len(kinds)) for number in range(each_has)}
    counts = Counter(ran.read_text().split())
    assert set(counts) == expected, f"seed {seed}: a job was lost"
    assert set(counts.values()) == {1}, f"seed {seed}: a job ran twice"
    for each in people:
        assert set(each.ends.values()) == {1}, f"seed {seed}: {each.name} was told an end twice"
        assert each.heard == sorted(set(each.heard)), f"seed {seed}: {each.name} was told events twice or in disorder"
    assert any(each.repeats for each in people), "no kill was noticed by anybody who submits"


def _kill_once(server: Server, chance: random.Random) -> None:
    """Kill the service at a random instant: while it works, or one time in five while it still starts."""
    if server.process is None or server.process.poll() is not None:
        server.launch()
        assert server.process is not None
        if chance.random() < 0.2:
            threading.Event().wait(chance.uniform(0.05, 1.5))
        else:
            server.wait_until_it_listens()
            threading.Event().wait(chance.uniform(0.0, 1.2))
    server.stop(signal.SIGKILL)


def test_a_killed_service_loses_no_job_runs_none_twice_and_its_clients_come_back(tmp_path: Path) -> None:
    kill_at_random(tmp_path, kills=4, each_has=12, seconds=0.1, seed=3)


@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(2))
def test_fifty_kills_of_a_service_with_three_hundred_jobs(tmp_path: Path, seed: int) -> None:
    kill_at_random(tmp_path, kills=50, each_has=100, seconds=0.25, seed=seed)
