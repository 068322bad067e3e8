"""The typed client, sync and async: what it asks for, what it makes of answers, and how it goes on after breaks."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest
import stamina

from simcampaign.errors import ConfigError, ConflictError, NetworkError, SiteError
from simcampaign.service import AsyncClient, Client
from simcampaign.service.client import Job, Limits
from simcampaign.service.client.streams import Events, LogLines
from tests.simcampaign.service.server import Server, running

GATE = "until [ -e '{}' ]; do sleep 0.01; done"
SETTINGS = """allow_commands = true
[applications.greet]
executable = "/bin/echo"
arguments = ["Hello {name}"]
[applications.greet.fields]
name = {type = "text", default = "you"}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("client") / "home", SETTINGS) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(str(server.http.base_url)) as client:
        yield client
    server.clear()


def shell(script: str, **others: object) -> dict[str, object]:
    return {"files": {"job.sh": script}, **others}


# Against a service


def test_a_job_is_submitted_waited_for_and_read(client: Client) -> None:
    submitted = client.submit(shell("echo one; echo two", group="g"), priority=3)
    [job] = client.wait([submitted.job_id], timeout=60)
    assert (job.status, job.over, job.return_code, job.priority, job.group) == ("completed", True, 0, 3, "g")
    assert isinstance(job.created, datetime)
    assert job.config["files"] == {"job.sh": "echo one; echo two"}
    assert client.log(job.id) == "one\ntwo\n"
    assert client.log(job.id, 4) == "two\n"
    assert "job.sh" in client.files(job.id)
    assert client.delete(job.id) is True
    with pytest.raises(ConfigError, match="not found"):
        client.get(job.id)


def test_an_application_is_submitted_with_its_fields(client: Client) -> None:
    job_id = client.submit_application("greet", {"name": "Ada"}).job_id
    client.wait([job_id], timeout=60)
    assert client.log(job_id) == "Hello Ada\n"
    assert client.dry_run({"application": "greet"})["command"][-1] == "Hello you"


def test_a_submission_with_the_same_key_is_one_job(client: Client) -> None:
    first, second = (client.submit(shell("true"), key="same-key-1") for _ in range(2))
    assert first.job_id == second.job_id


def test_a_job_that_waits_is_held_moved_released_and_cancelled(client: Client) -> None:
    job_id = client.submit(shell("true", held=True)).job_id
    assert client.set_priority(job_id, 7)
    assert (client.get(job_id).priority, client.get(job_id).held) == (7, True)
    assert client.cancel(job_id) is True
    assert client.cancel(job_id) is False
    with pytest.raises(ConflictError, match="only a job that waits"):
        client.hold(job_id)
    again = client.retry(job_id).job_id
    assert client.wait([again], timeout=60)[0].status == "completed"
    held = client.submit(shell("true", held=True)).job_id
    assert client.release(held)
    assert client.wait([held], timeout=60)[0].status == "completed"


def test_jobs_are_listed_over_pages_with_filters(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    array = client.submit_array(shell("true", group="listed", held=True), [{}] * 7)
    monkeypatch.setattr("simcampaign.service.client.calls.jobs.__defaults__", (3,))
    assert [job.id for job in client.jobs(group="listed", status=["queued", "running"])] == list(array.job_ids)
    assert {job.array for job in client.jobs(array=array.array_id, brief=True)} == {array.array_id}
    assert client.array(array.array_id).counts["queued"] == 7
    assert array.array_id in [each.id for each in client.arrays()]
    assert client.cancel_array(array.array_id) is True
    client.wait(array.job_ids, timeout=60)
    assert len(client.retry_array(array.array_id).job_ids) == 7


def test_the_service_tells_of_its_host_and_queue(client: Client) -> None:
    assert client.queue().total_queued >= 0
    assert client.resources().memory_total_gb > 0
    assert client.partitions() == []
    assert client.status().mode == "none"
    before = client.limits()
    assert client.set_limits(max_concurrent_jobs=3) == Limits(
        max_concurrent_jobs=3,
        max_cpu_percent=before.max_cpu_percent,
        min_memory_gb=before.min_memory_gb,
        min_disk_gb=before.min_disk_gb,
    )
    client.set_limits(max_concurrent_jobs=before.max_concurrent_jobs)
    with pytest.raises(ConfigError):
        client.set_limits(max_cpu_percent=500)


def test_mistakes_are_told_with_the_field(client: Client) -> None:
    with pytest.raises(ConfigError) as caught:
        client.submit({"files": {"../x": "true"}})
    assert caught.value.problems[0].path.startswith("config.")


def test_a_log_is_followed_until_its_job_is_over(client: Client, tmp_path: Path) -> None:
    job_id = client.submit(shell(f"echo one; {GATE.format(tmp_path / 'go')}; echo two")).job_id
    parts = client.follow_log(job_id)
    assert next(parts) == "one\n"
    (tmp_path / "go").touch()
    assert "".join(parts) == "two\n"


def test_waiting_ends_after_a_while_and_the_job_goes_on(client: Client, tmp_path: Path) -> None:
    job_id = client.submit(shell("true", held=True)).job_id
    with pytest.raises(TimeoutError, match=f"{job_id} did not end within 0.2 s; it is queued"):
        client.wait([job_id], timeout=0.2)


def test_events_go_on_over_a_kill_of_the_service_without_gap_or_doubling(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        port = server.http.base_url.port
        with Client(str(server.http.base_url)) as client:
            ids = {client.submit(shell(GATE.format(tmp_path / "go"))).job_id for _ in range(3)}
            events = client.events(0)
            seen = [next(events) for _ in range(4)]
            server.stop(signal.SIGKILL)
            back = threading.Thread(target=start_again, args=(server, port, tmp_path / "go"))
            back.start()
            left = set(ids)
            while left:
                seen.append(next(events))
                if seen[-1].kind == "job_completed":
                    left.discard(seen[-1].job_id)
            back.join()
    assert [event.seq for event in seen] == sorted({event.seq for event in seen})
    assert all(next(event.kind for event in seen if event.job_id == each) == "job_queued" for each in ids)


def start_again(server: Server, port: int | None, go: Path) -> None:
    server.options = ("--port", str(port))
    server.start()
    go.touch()


def test_the_awaited_client_does_the_same(server: Server, tmp_path: Path) -> None:
    async def use() -> None:
        async with AsyncClient(str(server.http.base_url)) as client:
            events = client.events()
            job_id = (await client.submit(shell(f"echo one; {GATE.format(tmp_path / 'go')}; echo two"))).job_id
            parts = client.follow_log(job_id)
            assert await anext(parts) == "one\n"
            (tmp_path / "go").touch()
            assert [part async for part in parts] == ["two\n"]
            [job] = await client.wait([job_id], timeout=60)
            assert job.status == "completed"
            assert await client.log(job_id) == "one\ntwo\n"
            assert job in [each async for each in client.jobs(status="completed")]
            submitted = await client.submit(shell("true"))
            await client.wait([submitted.job_id])
            assert events is not None
            kinds = []
            async for event in client.events(0, job_id=job_id):
                kinds.append(event.kind)
                if event.kind == "job_completed":
                    break
            assert kinds == ["job_queued", "job_started", "job_completed"]

    asyncio.run(use())


# Without one


def replying(*answers: httpx.Response | Exception) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    """Return a transport that gives these answers, and where it keeps what it was asked."""
    asked: list[httpx.Request] = []
    left = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        given = next(left)
        if isinstance(given, Exception):
            raise given
        return given

    return httpx.MockTransport(answer), asked


@pytest.fixture
def no_pauses() -> Iterator[None]:
    stamina.set_testing(True, attempts=6, cap=True)
    yield
    stamina.set_testing(False)


SUBMITTED = {"success": True, "job_id": "a", "message": "", "status": "queued"}


@pytest.mark.usefixtures("no_pauses")
def test_what_was_interrupted_is_sent_again_and_a_submission_with_the_same_key() -> None:
    cut = httpx.ReadError("cut")
    transport, asked = replying(cut, httpx.Response(503), httpx.Response(429), httpx.Response(200, json=SUBMITTED))
    with Client(transport=transport) as client:
        assert client.submit({"files": {}}).job_id == "a"
    keys = {request.headers["idempotency-key"] for request in asked}
    assert (len(asked), len(keys)) == (4, 1)


@pytest.mark.usefixtures("no_pauses")
def test_a_deletion_that_may_have_arrived_is_not_sent_again() -> None:
    transport, asked = replying(httpx.ConnectError("refused"), httpx.ReadError("cut"))
    with Client(transport=transport) as client, pytest.raises(NetworkError, match="cut"):
        client.delete("a")
    assert len(asked) == 2


@pytest.mark.usefixtures("no_pauses")
def test_a_service_that_is_not_there_is_named_with_what_to_do() -> None:
    transport, _ = replying(*[httpx.ConnectError("refused")] * 6)
    with Client("http://jobs.example:1", transport=transport) as client, pytest.raises(NetworkError) as caught:
        client.queue()
    assert "http://jobs.example:1 cannot be reached: refused" in str(caught.value)
    assert caught.value.hint == "start it: simcampaign serve"


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ConfigError),
        (401, SiteError),
        (403, SiteError),
        (404, ConfigError),
        (409, ConflictError),
        (429, NetworkError),
        (500, SiteError),
        (503, NetworkError),
    ],
)
def test_refusals_are_errors_of_simcampaign(status: int, kind: type[Exception]) -> None:
    transport, _ = replying(*[httpx.Response(status, json={"error": "because", "hint": "do that"})] * 6)
    with Client(transport=transport) as client, pytest.raises(kind, match="because"):
        client.get("a")


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"{}", b'{"id": "a", "status": "queued", "created": "soon"}'])
def test_answers_that_are_none_are_said_to_be(body: bytes) -> None:
    transport, _ = replying(httpx.Response(200, content=body))
    with Client(transport=transport) as client, pytest.raises(SiteError):
        client.get("a")


def test_fields_that_are_not_known_yet_are_left_out() -> None:
    transport, asked = replying(httpx.Response(200, json={"id": "a/b", "status": "queued", "news": 1}))
    with Client(transport=transport) as client:
        assert client.get("a/b") == Job(id="a/b", status="queued")
    assert asked[0].url.raw_path == b"/jobs/a%2Fb"


def test_the_address_and_the_token_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMCAMPAIGN_SERVICE_URL", "http://jobs.example:99/")
    monkeypatch.setenv("SIMCAMPAIGN_SERVICE_TOKEN", "secret")
    transport, asked = replying(httpx.Response(200, json=[]))
    with Client(transport=transport) as client:
        assert client.partitions() == []
    assert str(asked[0].url) == "http://jobs.example:99/api/cluster_partitions"
    assert asked[0].headers["authorization"] == "Bearer secret"
    with pytest.raises(ConfigError, match="base_url"):
        Client("jobs.example")


def sse(*events: tuple[str, dict[str, object]]) -> bytes:
    return b": here\n\n" + b"".join(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode() for kind, data in events)


def test_a_stream_that_was_cut_goes_on_behind_what_was_seen_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Events, "pause", lambda _self: 0.0)
    transport, asked = replying(
        httpx.Response(200, content=sse(("job_queued", {"job_id": "a", "seq": 5})) + b"event: job_started\nda"),
        httpx.ConnectError("refused"),
        httpx.Response(503),
        httpx.Response(200, content=sse(("job_started", {"job_id": "a", "seq": 6}))),
    )
    with Client(transport=transport) as client:
        seen = list(itertools.islice(client.events(4), 2))
    assert [(event.seq, event.kind) for event in seen] == [(5, "job_queued"), (6, "job_started")]
    assert [request.url.params["since"] for request in asked] == ["4", "5", "5", "5"]


def test_a_log_that_was_cut_goes_on_at_its_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogLines, "pause", lambda _self: 0.0)
    part = {"job_id": "a", "offset": 0, "text": "one\n", "next_offset": 4}
    transport, asked = replying(
        httpx.Response(200, content=sse(("job_log", part))),
        httpx.Response(200, content=sse(("log_end", {**part, "text": "", "offset": 4}))),
    )
    with Client(transport=transport) as client:
        assert list(client.follow_log("a")) == ["one\n"]
    assert [request.url.params["offset"] for request in asked] == ["0", "4"]


def test_both_clients_have_the_same_methods() -> None:
    def public(kind: type) -> dict[str, list[str]]:
        named: list[tuple[str, Callable[..., object]]] = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(each).parameters) for name, each in named if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)


def test_importing_the_package_is_light_until_a_client_is_asked_for() -> None:
    asked = "print('httpx' in sys.modules, service.Client.__name__, 'fastapi' in sys.modules)"
    code = f"import sys; from simcampaign import service; {asked}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "Client", "False"]
