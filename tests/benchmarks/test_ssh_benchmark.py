"""The SSH benchmark is alive: it compares a tiny array with the loops over a slow way."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from benchmarks import ssh
from benchmarks.latency import slow_relay
from tests.integration.services.sshd import why_no_sshd


def test_ssh_prints_its_ratios(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := why_no_sshd():
        pytest.skip(reason)
    for name in ("SIMCAMPAIGN_SITES", "SIMCAMPAIGN_HOME", "SIMCAMPAIGN_LEDGER_URL"):
        monkeypatch.setenv(name, "")
    assert ssh.main(["--jobs", "2", "--loop-jobs", "1", "--milliseconds", "5"]) == 0
    printed = capfd.readouterr().out
    assert "5 ms added by" in printed
    for way in ("simcampaign", "loop of scp and ssh", "loop over one connection"):
        assert way in printed


def test_the_relay_adds_its_milliseconds_to_each_round_trip() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def echo() -> None:
            connection, _ = server.accept()
            with connection:
                while piece := connection.recv(100):
                    connection.sendall(piece)

        threading.Thread(target=echo, daemon=True).start()
        with slow_relay(server.getsockname()[1], 200) as port, socket.create_connection(("127.0.0.1", port)) as client:
            for word in (b"first", b"second"):
                before = time.monotonic()
                client.sendall(word)
                assert client.recv(100) == word
                assert time.monotonic() - before >= 0.2
