"""What the job manager refuses: strangers, foreign pages, programs of a client's choice, and what is too much."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simcampaign.errors import ConfigError, LocationError
from simcampaign.service.security.access import Access
from simcampaign.service.security.pace import Pace
from simcampaign.service.settings import check, is_loopback
from simcampaign.service.wire import escaped
from tests.simcampaign.service.server import Server, running

TOKENS = {"ann": "token-of-ann-0123456789", "eve": "token-of-eve-0123456789", "vic": "token-of-vic-0123456789"}
ROLES = {"ann": "submitter", "eve": "submitter", "vic": "viewer"}
ROOT = "token-of-root-0123456789"
USERS = "\n".join(
    f'[users.{name}]\ntoken_sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\nrole = "{ROLES[name]}"'
    for name, token in TOKENS.items()
)
JSON = {"content-type": "application/json"}
BODY = '{"config": {"files": {"a.sh": "true"}}}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a service with the settings that it has by itself, but for sizes and times."""
    settings = "max_body_bytes = 20000\nbody_seconds = 0.5\nrequests_per_second = 400"
    with running(tmp_path_factory.mktemp("security") / "home", settings) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a service that needs tokens."""
    home = tmp_path_factory.mktemp("guarded") / "home"
    home.mkdir()
    (home / "token").write_text(ROOT)
    (home / "token").chmod(0o600)
    server = Server(home, f'token_file = "{home}/token"\n{USERS}')
    server.http.headers["authorization"] = f"Bearer {ROOT}"
    server.start()
    yield server
    server.end()


def jobs(server: Server) -> int:
    return len(server.http.get("/jobs").json())


def port_of(server: Server) -> int:
    port = server.http.base_url.port
    assert port is not None
    return port


HOSTILE: dict[str, tuple[str, str, dict[str, str], str | None, set[int]]] = {
    "a page of another site": ("POST", "/jobs/submit", {"origin": "http://evil.example", **JSON}, BODY, {403}),
    "a page without origin": ("POST", "/jobs/submit", {"origin": "null", **JSON}, BODY, {403}),
    "an origin with our name in it": (
        "POST",
        "/jobs/submit",
        {"origin": "http://127.0.0.1.evil.example", **JSON},
        BODY,
        {403},
    ),
    "another port of this host": ("POST", "/jobs/submit", {"origin": "http://127.0.0.1:1", **JSON}, BODY, {403}),
    "a page that reads": ("GET", "/jobs", {"origin": "http://evil.example"}, None, {403}),
    "a form of another site": ("POST", "/jobs/submit", {"sec-fetch-site": "cross-site", **JSON}, BODY, {403}),
    "a simple request": ("POST", "/jobs/submit", {"content-type": "text/plain"}, BODY, {415}),
    "a form": ("POST", "/jobs/submit", {"content-type": "application/x-www-form-urlencoded"}, "a=b", {415}),
    "a name that leads here by DNS": ("GET", "/jobs", {"host": "evil.example"}, None, {421}),
    "a name that begins like ours": ("GET", "/jobs", {"host": "localhost.evil.example"}, None, {421}),
    "an address that is not ours": ("GET", "/jobs", {"host": "169.254.169.254"}, None, {421}),
    "an empty name": ("GET", "/jobs", {"host": ""}, None, {421}),
    "a method that nobody needs": ("TRACE", "/jobs", {}, None, {405}),
    "a preflight": ("OPTIONS", "/jobs/submit", {"origin": "http://evil.example"}, None, {405}),
    "a way up": ("GET", "/..%2f..%2f..%2fetc%2fpasswd", {}, None, {404}),
    "a way up in a job": ("GET", "/jobs/..%2f..%2fetc%2fpasswd/log", {}, None, {404}),
    "a way up, encoded twice": ("GET", "/%252e%252e%252f%252e%252e%252fetc%252fpasswd", {}, None, {404}),
    "a way up with backslashes": ("GET", "/page/..%5c..%5c..%5cetc%5cpasswd", {}, None, {404}),
    "a way up in the page": ("GET", "/page/..%2f__init__.py", {}, None, {404}),
    "an absolute path": ("GET", "/page/%2fetc%2fpasswd", {}, None, {404}),
    "an absolute path in a job": ("GET", "/api/jobs/%2fetc%2fpasswd/log", {}, None, {404}),
    "a newline in a job's id": ("POST", "/jobs/a%0d%0aset-cookie:%20x/cancel", {}, None, {404}),
    "a user before our name": ("GET", "/jobs", {"host": "localhost@evil.example"}, None, {421}),
    "our name as the user": ("GET", "/jobs", {"host": "localhost:80@evil.example:80"}, None, {421}),
    "our name with a foreign end": ("GET", "/jobs", {"host": "localhost.evil.example."}, None, {421}),
    "an address in other digits": ("GET", "/jobs", {"host": "2130706433.evil.example"}, None, {421}),
    "infinity": ("PUT", "/pool/limits", JSON, '{"max_cpu_percent": Infinity}', {400}),
    "a number beyond all numbers": ("PUT", "/pool/limits", JSON, '{"min_memory_gb": 1e999}', {400}),
    "a giant limit": ("PUT", "/pool/limits", JSON, f'{{"max_concurrent_jobs": {"9" * 400}}}', {400}),
    "the same key twice": (
        "POST",
        "/jobs/submit",
        JSON,
        '{"config": {"files": {"a.sh": "true"}}, "config": {"command": ["id"]}}',
        {400},
    ),
    "bytes that are no text": ("POST", "/jobs/submit", JSON, '{"config": {"user": "\udcff"}}', {400}),
    "deep objects": ("POST", "/jobs/submit", JSON, '{"config":' + '{"a":' * 3000 + "1" + "}" * 3001, {400}),
    "a null character": ("GET", "/jobs/a%00b", {}, None, {404}),
    "a giant body": ("POST", "/jobs/submit", JSON, "[" * 30000, {413}),
    "deep nesting": ("POST", "/jobs/submit", JSON, "[" * 19000, {400}),
    "a giant number": ("POST", "/jobs/submit", JSON, f'{{"config": {{}}, "priority": {"9" * 5000}}}', {400}),
    "no number": ("PUT", "/pool/limits", JSON, '{"max_cpu_percent": NaN}', {400}),
    "a list without end": ("GET", "/jobs?limit=100000000", {}, None, {400}),
    "a filter with a newline": ("GET", "/jobs?site=a%0ab", {}, None, {400}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests_are_refused_and_change_nothing(server: Server, name: str) -> None:
    method, path, headers, body, expected = HOSTILE[name]
    before = jobs(server)
    content = None if body is None else body.encode("utf-8", "surrogateescape")
    answer = server.http.request(method, path, headers=headers, content=content)
    assert answer.status_code in expected, answer.text
    assert "access-control-allow-origin" not in answer.headers
    assert jobs(server) == before


@pytest.mark.parametrize(
    "config",
    [
        {"command": ["id"]},
        {"command": "id", "files": {"a.sh": "true"}},
        {"files": {"a.sh": "true"}, "environment": {"LD_PRELOAD": "/tmp/x.so"}},
        {"files": {"a.sh": "true"}, "options": {"prologue": "id"}},
        {"files": {"a.sh": "true"}, "options": {"partition": "main\n#SBATCH --wrap=id"}},
        {"files": {"../../a.sh": "true"}},
        {"files": {"/etc/cron.d/a": "true"}},
        {"files": {"a.sh\n": "true"}},
        {"files": {"a.sh": "true"}, "paths": {"shadow": "/etc/shadow"}},
        {"files": {"a.sh": "true"}, "paths": {"shadow": "../../etc/shadow"}},
        {"files": {"a.sh": "true"}, "outputs": ["../../*"]},
        {"files": {"a.sh": "true"}, "user": "a\nb"},
        {"files": {"a.sh": "true"}, "group": "\x1b[2J"},
        {"files": {"a.sh": "true"}, "jobid": "../x"},
        {"files": {"a.sh": "true"}, "site": "../x"},
        {"files": {"a.sh": "true"}, "executable": "/bin/sh"},
        {"project_path": "/etc/passwd", "ansys_edt_path": "/bin/sh"},
    ],
    ids=str,
)
def test_a_client_chooses_no_program_no_file_of_others_and_no_line_of_a_script(
    server: Server, config: dict[str, Any]
) -> None:
    before = jobs(server)
    answer = server.http.post("/jobs/submit", json={"config": config})
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert "shadow:" not in answer.text
    assert jobs(server) == before


def test_an_input_file_runs_with_what_the_sites_owner_set(server: Server) -> None:
    job_id = server.shell("echo fine")
    server.wait(job_id)
    assert server.http.get(f"/jobs/{job_id}/log").text == "fine\n"


def test_a_page_of_our_own_may_do_all(server: Server) -> None:
    port = port_of(server)
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        answer = server.http.get("/jobs", headers={"host": host, "origin": f"http://{host}"})
        assert answer.status_code == 200


def test_answers_tell_browsers_to_be_strict(server: Server) -> None:
    for path in ("/jobs", "/docs", "/nothing"):
        headers = server.http.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
        assert "server" not in headers


@pytest.mark.parametrize(
    "first",
    [
        b"POST /jobs/submit HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{",
        b"POST /jobs/submit HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
    ids=["length", "chunked"],
)
def test_a_body_that_comes_too_slowly_is_not_waited_for(server: Server, first: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port_of(server)), 20) as connection:
        connection.sendall(first)
        started = time.monotonic()
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - started < 15
        while connection.recv(1000):  # it is closed, too
            pass


def test_a_body_without_a_length_is_measured_while_it_comes(server: Server) -> None:
    answer = server.http.post("/jobs/submit", content=iter([b"x" * 15000, b"x" * 15000]), headers=JSON)
    assert answer.status_code == 413


def test_who_sends_too_much_reads_why_before_the_connection_ends(server: Server) -> None:
    head = b"POST /jobs/submit HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port_of(server)), 20) as connection:
            connection.sendall(head + b"content-length: 1000000\r\n\r\n" + b"x" * 1_000_000)
            answer = b""
            while part := connection.recv(1000):
                answer += part
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"larger than 20000 bytes" in answer


@pytest.mark.parametrize(
    "headers",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"content-length: 5\r\ncontent-length: 50\r\n",
        b"content-length: -5\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding : chunked\r\n",
    ],
    ids=lambda headers: headers.decode().replace("\r\n", " "),
)
def test_a_request_with_two_lengths_smuggles_no_second_one_in(server: Server, headers: bytes) -> None:
    before = jobs(server)
    second = (
        b"POST /jobs/submit HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY.encode())
    )
    first = b"POST /jobs/submit HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n" + headers
    with socket.create_connection(("127.0.0.1", port_of(server)), 20) as connection:
        connection.sendall(first + b"\r\n0\r\n\r\n" + second)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(1000):
                answer += part
    assert not any(line.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5")) for line in answer.splitlines())
    assert jobs(server) == before


def test_headers_that_come_too_slowly_end_the_connection(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", port_of(server)), 40) as connection:
        connection.sendall(b"GET /jobs HTTP/1.1\r\nhost: loc")
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1000) == b""


def test_line_ends_between_requests_keep_no_connection_open(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", port_of(server)), 40) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert connection.recv(10000).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1000) == b""


@pytest.mark.parametrize("end", [b"\r\n\r\n", b""], ids=["whole", "without end"])
def test_headers_that_are_too_large_are_refused(server: Server, end: bytes) -> None:
    head = b"GET /jobs HTTP/1.1\r\nhost: localhost\r\n"
    with socket.create_connection(("127.0.0.1", port_of(server)), 20) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head + b"x: " + b"a" * 66_000 + end)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert server.http.get("/health").status_code == 200


def test_who_asks_too_often_is_told_so_and_others_are_not_kept_waiting() -> None:
    now = [0.0]
    pace = Pace(2.0, 4.0, lambda: now[0])
    assert [pace.allows("fast") for _ in range(5)] == [True] * 4 + [False]
    assert pace.allows("other")
    now[0] += 0.5
    assert [pace.allows("fast") for _ in range(2)] == [True, False]


def test_a_request_is_written_to_the_log_as_one_line_without_commands_for_terminals(server: Server) -> None:
    server.http.get("/a%0aINFO%20all%20is%20well%1b[2J", headers={"host": "evil.example"})
    text = server.log.read_text()
    assert "all is well" in text
    assert "\x1b" not in text
    assert not any(line.startswith("INFO all is well") for line in text.splitlines())
    assert escaped("a\x1b[0m\x9bb\u2028c\td") == "a\\x1b[0m\\x9bb\\x2028c\td"


# Tokens


def as_(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {TOKENS[name]}"}


def test_without_a_known_token_nothing_is_told(guarded: Server) -> None:
    wrong = ("", "Bearer", "Bearer nonsense-0123456789abc", f"Basic {ROOT}", f"Bearer {ROOT}x", "Bearer \xff")
    for header in wrong:
        answer = guarded.http.get("/jobs", headers={"authorization": header.encode("latin-1")})
        assert answer.status_code == 401
        assert answer.json()["success"] is False
    for path in ("/jobs", "/queue", "/metrics", "/events", "/api/me", "/jobs/x/log", "/nothing"):
        assert guarded.http.get(path, headers={"authorization": ""}).status_code == 401, path
    assert guarded.http.get("/health", headers={"authorization": ""}).status_code == 200
    assert TOKENS["ann"] not in guarded.log.read_text()


def test_guessing_tokens_is_slowed_down(guarded: Server) -> None:
    headers = {"authorization": "Bearer guess-guess-guess-guess"}
    statuses = {guarded.http.get("/jobs", headers=headers).status_code for _ in range(200)}
    assert statuses == {401, 429}
    assert guarded.http.get("/jobs").status_code == 200


def test_each_role_may_do_what_it_is_for(guarded: Server) -> None:
    body = {"config": {"files": {"a.sh": "true"}, "held": True, "user": "eve"}}
    submitted = guarded.http.post("/jobs/submit", json=body, headers=as_("ann"))
    job_id = submitted.json()["job_id"]
    assert guarded.job(job_id)["user"] == "ann", "a token's user is nobody else"
    for name, status in (("vic", 403), ("eve", 403), ("ann", 200)):
        for deed in ("hold", "release" if name != "ann" else "hold", "cancel" if name != "ann" else "hold"):
            assert guarded.http.post(f"/jobs/{job_id}/{deed}", headers=as_(name)).status_code == status
    assert guarded.http.get(f"/jobs/{job_id}", headers=as_("vic")).status_code == 200
    assert guarded.http.post("/jobs/submit", json=body, headers=as_("vic")).status_code == 403
    assert guarded.http.put("/pool/limits", json={"max_concurrent_jobs": 9}, headers=as_("ann")).status_code == 403
    assert guarded.http.delete(f"/jobs/{job_id}", headers=as_("eve")).status_code == 403
    assert guarded.http.post(f"/jobs/{job_id}/cancel").status_code == 200
    spoken_for = guarded.http.post("/jobs/submit", json=body).json()["job_id"]
    assert guarded.job(spoken_for)["user"] == "eve"
    assert guarded.http.post(f"/jobs/{spoken_for}/cancel", headers=as_("eve")).status_code == 200


# Settings


def test_any_address_but_this_hosts_own_needs_a_token(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):  # noqa: S104
        with pytest.raises(ConfigError, match="token"):
            check({"host": host})
    for host in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
        assert is_loopback(check({"host": host}).host)
    done = subprocess.run(
        [sys.executable, "-m", "simcampaign", "serve", "--host", "0.0.0.0", "--port", "0"],  # noqa: S104
        env={"SIMCAMPAIGN_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "--token-file" in done.stderr


def test_a_token_file_that_others_can_read_or_that_holds_a_short_token_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("short")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="20 characters"):
        Access(check({"token_file": str(path)}))
    path.write_text(ROOT)
    path.chmod(0o644)
    with pytest.raises(LocationError, match="read by others"):
        Access(check({"token_file": str(path)}))
    with pytest.raises(LocationError, match="cannot be read"):
        Access(check({"token_file": str(tmp_path / "none")}))


def test_every_mistake_in_the_settings_is_told_at_once(tmp_path: Path) -> None:
    data = {
        "host": "0.0.0.0",  # noqa: S104
        "roots": [str(tmp_path / "none")],
        "applications": {
            "a b": {"executable": "/bin/true"},
            "app": {"executable": "/bin/true", "arguments": ["{nothing}"], "cores_field": "n"},
        },
    }
    with pytest.raises(ConfigError) as caught:
        check(data)
    paths = {problem.path for problem in caught.value.problems}
    assert {"service.host", "service.roots", "service.applications", "service.applications.app.arguments"} <= paths
