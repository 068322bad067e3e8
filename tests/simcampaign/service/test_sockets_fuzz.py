"""Nonsense over Socket.IO: the service goes on, answers others meanwhile, and keeps none of it."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.simcampaign.service.server import Server, running
from tests.simcampaign.service.sockets import listening

PATH = "/socket.io/?EIO=4&transport="
GROWTH_BYTES = 200 * 2**20
"""More than a service may grow while it is told nonsense; one that kept all of it would grow by more."""

PACKETS: list[str | bytes] = [
    "",
    "9",
    "4",
    "42",
    "42[",
    "42[]",
    '42["subscribe"]',
    '42["subscribe",{"since":' + "9" * 5000 + "}]",
    '42["subscribe",{"job":' + '"x"' * 3 + "}]",
    '42["nobody knows this event",{}]',
    '42["connect"]',
    '42["disconnect"]',
    "42" + "[" * 20_000,
    "42" + '{"a":' * 10_000,
    "40/other,",
    '40{"token":{"a":["b"]}}',
    "41",
    "43[1]",
    "4399999999999999999999[1]",
    "45999999999999-[]",
    '451-["subscribe",{"_placeholder":true,"num":99}]',
    "46",
    "5",
    "1",
    "2probe",
    "3" * 100,
    "6",
    "b" + "A" * 1000,
    b"\x00",
    b"\xff" * 1000,
    "\ud7ff\u0000\u202e",
    '42["subscribe",' + json.dumps([{"log": "a"}] * 100) + "]",
    '420["subscribe",{"job":"a"},1,2,3]',
    '42999999999999999999["unsubscribe",null]',
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("fuzz") / "home", "requests_per_second = 100000") as server:
        yield server


def open_raw(server: Server) -> ClientConnection:
    url = str(server.http.base_url).rstrip("/").replace("http", "ws", 1)
    raw = connect(f"{url}{PATH}websocket", open_timeout=30, close_timeout=1)
    raw.recv(timeout=30)
    raw.send("40")
    return raw


def say(server: Server, packets: list[str | bytes]) -> None:
    """Say packets, over new connections when one is closed."""
    left = list(packets)
    while left:
        with contextlib.suppress(WebSocketException, OSError), contextlib.closing(open_raw(server)) as raw:
            while left:
                raw.send(left.pop(0))


def mixed(packet: str | bytes, dice: random.Random) -> str | bytes:
    """Return a packet with a few of its characters changed, doubled or left out."""
    data = bytearray(packet.encode("utf-8", "surrogatepass") if isinstance(packet, str) else packet)
    for _ in range(dice.randint(1, 4)):
        if data and dice.random() < 0.4:
            del data[dice.randrange(len(data))]
        else:
            data.insert(dice.randint(0, len(data)), dice.choice(b'0123456789[]{}",:-/\\x'))
    return data.decode("utf-8", "replace") if isinstance(packet, str) else bytes(data)


def memory(server: Server) -> int:
    assert server.process is not None
    return psutil.Process(server.process.pid).memory_info().rss


def assert_well(server: Server, log: Path) -> None:
    assert server.http.get("/health").json()["status"] == "ok"
    with listening(server) as ear:
        assert ear.ask("subscribe", {"since": 0})["success"] is True
    assert "Traceback" not in log.read_text()


def test_packets_that_are_none_harm_nobody(server: Server) -> None:
    before = memory(server)
    with listening(server) as ear:
        for packet in PACKETS:
            say(server, [packet, "2"])
        say(server, PACKETS)
        assert ear.ask("subscribe", {"since": 0})["success"] is True
    assert_well(server, server.log)
    assert memory(server) - before < GROWTH_BYTES


def test_packets_that_nobody_thought_of_harm_nobody(server: Server) -> None:
    dice = random.Random(7)
    say(server, [mixed(dice.choice(PACKETS), dice) for _ in range(1_000)])
    assert_well(server, server.log)


def test_bodies_of_long_polling_that_are_no_packets_are_refused(server: Server) -> None:
    opened = server.http.get(f"{PATH}polling")
    sid = json.loads(opened.text[1:])["sid"]
    for body in (b"", b"\xff\xfe", b"4" * 100_000, b"\x1e" * 5_000, b"9x", b"42" + b"[" * 50_000):
        answer = server.http.post(f"{PATH}polling&sid={sid}", content=body, headers={"content-type": "text/plain"})
        assert answer.status_code < 500
    for query in ("sid=nobody", "EIO=3", "transport=carrier-pigeon", "sid=%00", "x" * 5_000):
        assert server.http.get(f"/socket.io/?EIO=4&transport=polling&{query}").status_code < 500
    assert server.http.request("DELETE", f"{PATH}polling").status_code < 500
    assert_well(server, server.log)


def test_packets_that_are_too_large_end_the_connection(server: Server) -> None:
    before = memory(server)
    for _ in range(20):
        say(server, ["42" + json.dumps(["subscribe", {"job": "x" * 2**20}])])
    assert_well(server, server.log)
    assert memory(server) - before < GROWTH_BYTES


def test_who_says_too_much_is_let_go_and_others_are_still_heard(server: Server) -> None:
    def flood(raw: ClientConnection) -> None:
        for number in range(5_000):
            raw.send(f'42{number}["subscribe",{{"job":"j{number}"}}]')
        while True:
            raw.recv(timeout=30)

    with contextlib.closing(open_raw(server)) as raw, pytest.raises(WebSocketException):
        flood(raw)
    assert_well(server, server.log)


def test_binary_packets_are_not_kept(server: Server) -> None:
    def announce_and_send(raw: ClientConnection) -> None:
        raw.send('459999999-["subscribe",{"_placeholder":true,"num":0}]')
        for _ in range(10_000):
            raw.send(b"x" * 60_000)

    before = memory(server)
    with contextlib.closing(open_raw(server)) as raw, pytest.raises(WebSocketException):
        announce_and_send(raw)
    assert_well(server, server.log)
    assert memory(server) - before < GROWTH_BYTES


def test_one_connection_listens_once(server: Server) -> None:
    with contextlib.closing(open_raw(server)) as raw:
        assert str(raw.recv(timeout=30)).startswith("40")
        raw.send("40")
        assert str(raw.recv(timeout=30)).startswith("44")
    assert_well(server, server.log)


def test_one_client_has_so_many_connections_and_those_that_do_not_say_who_they_are_are_let_go(server: Server) -> None:
    url = str(server.http.base_url).rstrip("/").replace("http", "ws", 1)
    silent: list[ClientConnection] = []
    with contextlib.suppress(InvalidStatus):
        while len(silent) < 300:
            silent.append(connect(f"{url}{PATH}websocket", open_timeout=30, close_timeout=1))
    assert len(silent) <= 200
    for each in silent:
        with contextlib.suppress(ConnectionClosed):
            while each.recv(timeout=60):
                pass
    assert_well(server, server.log)


def test_many_who_connect_and_say_nothing_leave_room_for_others(server: Server) -> None:
    idle = [open_raw(server) for _ in range(100)]
    assert_well(server, server.log)
    for each in idle:
        each.close()
