"""Callbacks: the service tells a URL that a task is over."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from simcampaign import web
from simcampaign.errors import ConfigError
from simcampaign.service.solver.callbacks import refuse_host
from tests.simcampaign.service.server import Server
from tests.simcampaign.web.things import warm
from tests.support import until


class Hearer(HTTPServer):
    """Hears of tasks; the first time it is asked it is not well."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[dict[str, Any]] = []
        self.refused = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/over"


class _Handler(BaseHTTPRequestHandler):
    server: Hearer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self.server.refused:
            self.server.refused += 1
            self.send_error(503)
            return
        self.server.heard.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hearer() -> Iterator[Hearer]:
    with Hearer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_url_is_told_that_a_task_is_over_also_if_it_was_away(service: Server, hearer: Hearer, tmp_path: Path) -> None:
    web.run(warm(7.0), "told", tmp_path / "told.hdf5", "told", verbose=False, callback_url=hearer.url)
    (heard,) = until(lambda: list(hearer.heard))
    (task,) = web.get_tasks(folder="told")
    assert (heard["id"], heard["status"], heard["real"]) == (task["id"], "completed", task["real"])
    assert hearer.refused == 1


def test_the_owner_says_which_hosts_are_told(service: Server) -> None:
    with pytest.raises(ConfigError, match=r"tells nothing to 169\.254\.169\.254:80"):
        web.upload(warm(8.0), "elsewhere", callback_url="http://169.254.169.254/latest")
    with pytest.raises(ConfigError, match="must be http"):
        web.upload(warm(8.0), "nowhere", callback_url="file:///etc/passwd")


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://Hooks.example.org/x", ["hooks.example.org"]),
        ("https://hooks.example.org:8443/x", ["hooks.example.org:8443"]),
        ("http://anywhere", ["*"]),
    ],
)
def test_hosts_that_are_named_are_told(url: str, hosts: list[str]) -> None:
    refuse_host(url, hosts)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org:22/x",
        "https://hooks.example.org@evil.example/x",
        "https://evil.example/?hooks.example.org",
        "ftp://hooks.example.org",
        "http://[::1",
        "http://hooks.example.org.evil.example",
    ],
)
def test_tricks_do_not_pass_for_a_host_that_is_named(url: str) -> None:
    with pytest.raises(ConfigError):
        refuse_host(url, ["hooks.example.org:443"])
