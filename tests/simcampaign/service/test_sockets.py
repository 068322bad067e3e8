"""Events over Socket.IO: in order, once, to whom they concern, and again from where a client was."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import socketio
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.service.security.patience import HEADER_SECONDS
from simcampaign.service.sockets.wishes import ROOMS, WishError, read_since, read_wishes
from tests.simcampaign.service.server import Server, running
from tests.simcampaign.service.sockets import LAST, Ear, listening

GATE = "until [ -e '{}' ]; do sleep 0.01; done"
TOKEN = "token-of-ann-0123456789"
USER = f'[users.ann]\ntoken_sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"\nrole = "viewer"'


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("sockets") / "home", "allow_commands = true") as server:
        yield server


@pytest.fixture
def server(module_server: Server) -> Iterator[Server]:
    yield module_server
    module_server.clear()
    module_server.http.put("/pool/limits", json={"max_concurrent_jobs": 2})


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_job_is_queued_started_and_completed_in_this_order_with_what_clients_expect(
    server: Server, transport: str
) -> None:
    with listening(server, options={"transports": [transport]}) as ear:
        job_id = server.shell("true", priority=3)
        ear.until_over(job_id)
    told = {kind: payload for kind, payload in ear.heard if payload.get("job_id") == job_id}
    assert ear.of(job_id) == ["job_queued", "job_started", "job_completed"]
    assert told["job_queued"].keys() >= {"job_id", "priority", "queue_position", "seq"}
    assert told["job_queued"]["priority"] == 3
    assert told["job_started"].keys() >= {"job_id", "start_time", "resources", "seq"}
    assert {"cpu_percent", "memory_free_gb", "disk_free_gb"} <= told["job_started"]["resources"].keys()
    assert told["job_completed"].keys() >= {"job_id", "status", "end_time", "return_code", "seq"}
    assert (told["job_completed"]["status"], told["job_completed"]["return_code"]) == ("completed", 0)


def test_a_change_of_limits_is_told_with_what_changed_and_what_is_now(server: Server) -> None:
    with listening(server) as ear:
        server.http.put("/pool/limits", json={"max_concurrent_jobs": 3})
        payload = ear.until("limits_updated")
    assert payload["old_limits"] == {"max_concurrent_jobs": 2}
    assert set(payload["new_limits"]) == {"max_concurrent_jobs", "max_cpu_percent", "min_memory_gb", "min_disk_gb"}


def test_every_job_has_one_last_event_however_it_is_cancelled(server: Server, tmp_path: Path) -> None:
    with listening(server) as ear:
        ids = [server.shell("sleep 0.0" + str(number % 4)) for number in range(20)]
        for job_id in ids:
            server.http.post(f"/jobs/{job_id}/cancel")
        gated = server.shell(GATE.format(tmp_path / "never"))
        ear.until("job_started", gated)
        server.http.post(f"/jobs/{gated}/cancel")
        ear.until_over(*ids, gated)
    for job_id in [*ids, gated]:
        kinds = ear.of(job_id)
        assert kinds[0] == "job_queued"
        assert [kind for kind in kinds if kind in LAST] == kinds[-1:]
    assert ear.of(gated)[-1] == "job_cancelled"


def test_a_client_that_has_nothing_to_say_stays_connected(server: Server) -> None:
    lost = threading.Event()
    client = socketio.Client(reconnection=False)
    client.on("disconnect", lambda *_: lost.set())
    client.connect(str(server.http.base_url), transports=["websocket"])
    try:
        assert not lost.wait(HEADER_SECONDS + 1), "its headers came long ago"
    finally:
        client.disconnect()


def test_a_client_of_one_job_hears_of_no_other(server: Server) -> None:
    with listening(server) as ear:
        held = server.shell("true", held=True)
        assert ear.ask("subscribe", {"job": held})["success"] is True
        other = server.shell("true")
        server.wait(other)
        server.http.post(f"/jobs/{held}/release")
        ear.until_over(held)
        assert ear.of(held)[-1] == "job_completed"
        assert "job_completed" not in ear.of(other)
        assert ear.ask("unsubscribe", {"job": held}) == {"success": True}
        third = server.shell("true")
        ear.until_over(third)


def test_a_client_that_comes_back_hears_what_it_missed_once_and_goes_on(server: Server) -> None:
    with listening(server) as ear:
        first = server.shell("true")
        ear.until_over(first)
    missed = [server.shell("true") for _ in range(5)]
    server.wait(*missed)
    before = ear.seq
    ear.connect()
    later = server.shell("true")
    ear.until_over(*missed, later)
    ear.client.disconnect()
    numbers = [payload["seq"] for _, payload in ear.heard]
    assert numbers == sorted(set(numbers))
    assert [kind for kind, each in ear.heard if each["seq"] > before and kind in LAST] == ["job_completed"] * 6


def test_a_client_can_be_told_everything_once_more(server: Server) -> None:
    job_id = server.shell("true")
    server.wait(job_id)
    with listening(server) as ear:
        newest = ear.ask("subscribe", {"since": 0})["seq"]
        ear.until_over(job_id)
        assert 0 < ear.seq <= newest


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_client_that_missed_much_is_told_all_of_it(server: Server, transport: str) -> None:
    for number in range(60):
        server.http.put("/pool/limits", json={"max_concurrent_jobs": 2 + number % 2})
    with listening(server, options={"transports": [transport]}, since=0) as ear:
        newest = ear.ask("subscribe", {})["seq"]
        while ear.seq < newest:
            ear.until("limits_updated")
        numbers = [payload["seq"] for _, payload in ear.heard]
    assert numbers == list(range(1, len(numbers) + 1))


def test_clients_come_back_by_themselves_after_the_service_was_killed_and_miss_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        port = server.http.base_url.port
        with listening(server) as ear:
            ids = [server.shell(GATE.format(tmp_path / "go")) for _ in range(4)]
            ear.until("job_started")
            server.stop(signal.SIGKILL)
            (tmp_path / "go").touch()
            server.options = ("--port", str(port))
            server.start()
            ear.until_over(*ids)
        numbers = [payload["seq"] for _, payload in ear.heard]
        assert numbers == sorted(set(numbers))
        for job_id in ids:
            assert ear.of(job_id)[0] == "job_queued"
            assert ear.of(job_id).count("job_completed") == 1


def test_a_log_is_told_as_it_is_printed_with_how_far_it_says_it_is(server: Server, tmp_path: Path) -> None:
    script = f"echo one; echo progress 40 meshing; {GATE.format(tmp_path / 'go')}; printf 'two\\033[1m\\n'"
    with listening(server) as ear:
        job_id = server.shell(script)
        ear.until("job_started", job_id)
        assert ear.ask("subscribe", {"log": job_id, "offset": 0})["success"] is True
        assert ear.until("job_progress", job_id) == {"job_id": job_id, "percent": 40.0, "message": "meshing"}
        (tmp_path / "go").touch()
        while ear.until("job_log", job_id)["text"]:
            pass
    parts = [payload for kind, payload in ear.heard if kind == "job_log"]
    assert "".join(part["text"] for part in parts) == "one\nprogress 40 meshing\ntwo\\x1b[1m\n"
    assert parts[0]["offset"] == 0
    assert [part["next_offset"] for part in parts[:-1]] == [part["offset"] for part in parts[1:]]


@pytest.mark.parametrize(
    ("what", "said", "why"),
    [
        ("subscribe", {"jobs": "x"}, "'jobs' is nothing to listen to"),
        ("subscribe", {"job": 7}, "job must be an id"),
        ("subscribe", "everything", "must be an object"),
        ("subscribe", {"since": -1}, "since must be a whole number"),
        ("subscribe", [{"log": f"j{number}"} for number in range(9)], "8 logs at a time"),
        ("unsubscribe", {"job": ""}, "job must be an id"),
    ],
)
def test_what_cannot_be_listened_to_is_said(server: Server, what: str, said: object, why: str) -> None:
    with listening(server) as ear:
        answer = ear.ask(what, said)
        assert answer["success"] is False
        assert why in answer["error"]


def test_only_those_with_a_token_may_listen(tmp_path: Path) -> None:
    with running(tmp_path / "home", USER) as server:
        for auth, why in (
            ({}, "a token is needed"),
            ({"token": "wrong-token-0123456789"}, "this token is not known"),
            ({"token": TOKEN, "since": "x"}, "since must be a whole number"),
        ):
            ear = Ear(server, **auth)
            refusals: list[object] = []
            ear.client.on("connect_error", refusals.append)
            with pytest.raises(socketio.exceptions.ConnectionError):
                ear.connect()
            assert why in str(refusals)
        with listening(server, token=TOKEN) as ear:
            assert ear.ask("subscribe", {"since": 0})["success"] is True
        with listening(server, options={"headers": {"Authorization": f"Bearer {TOKEN}"}}) as ear:
            assert ear.ask("subscribe", {})["success"] is True


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("header", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_pages_of_other_sites_and_other_names_are_refused(
    server: Server, transport: str, header: dict[str, str]
) -> None:
    with pytest.raises(socketio.exceptions.ConnectionError):
        Ear(server).connect(transports=[transport], headers=header)


def test_programs_that_use_asyncio_listen_as_well(server: Server) -> None:
    async def hear() -> list[str]:
        kinds: list[str] = []
        over = asyncio.Event()
        async with socketio.AsyncSimpleClient() as client:
            await client.connect(str(server.http.base_url).rstrip("/"))
            job_id = await asyncio.to_thread(server.shell, "true")
            while not over.is_set():
                kind, payload = await client.receive(timeout=60)
                if payload.get("job_id") == job_id:
                    kinds.append(kind)
                    if kind in LAST:
                        over.set()
        return kinds

    assert asyncio.run(hear()) == ["job_queued", "job_started", "job_completed"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*ROOMS, "since", "x"]), inner),
    max_leaves=8,
)


@given(JSON)
def test_whatever_a_client_says_is_wishes_or_is_refused(said: object) -> None:
    with contextlib.suppress(WishError):
        since, wishes = read_since(said), read_wishes(said)
        assert since is None or since >= 0
        assert {wish.room for wish in wishes} <= set(ROOMS)
