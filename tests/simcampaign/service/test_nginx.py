"""The example of a reverse proxy: nginx with TLS before a real service."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import socketio

from tests.simcampaign.service.server import Server
from tests.support import until

ROOT = Path(__file__).parents[3]
TOKEN = "token-of-root-0123456789"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
NAME = "jobs.example.org"

pytestmark = pytest.mark.skipif(
    NGINX is None or shutil.which("openssl") is None,
    reason="needs nginx and openssl: apt-get install nginx-light openssl",
)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def write_config(folder: Path, backend: int, plain: int, secure: int) -> Path:
    """Write the example with the ports and files of this test, in a whole configuration of nginx."""
    text = (ROOT / "deployments" / "nginx" / "simcampaign.conf").read_text()
    for old, new in (
        ("127.0.0.1:8080", f"127.0.0.1:{backend}"),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{secure} ssl default_server;"),
        ("https://$host$request_uri", f"https://$host:{secure}$request_uri"),
        ("/etc/nginx/jobs.example.org.crt", f"{folder}/cert.pem"),
        ("/etc/nginx/jobs.example.org.key", f"{folder}/key.pem"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    (folder / "site.conf").write_text(text)
    places = "\n".join(
        f"    {name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = folder / "nginx.conf"
    whole.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\n    access_log off;\n{places}\n    include {folder}/site.conf;\n}}\n"
    )
    return whole


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """Return the URLs by HTTPS and by HTTP, and the certificate."""
    folder = tmp_path_factory.mktemp("nginx")
    alternatives = f"subjectAltName=DNS:{NAME},DNS:localhost,IP:127.0.0.1"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*request, "-addext", alternatives, *files], check=True, capture_output=True)
    home = folder / "home"
    home.mkdir()
    (home / "token").write_text(TOKEN)
    (home / "token").chmod(0o600)
    server = Server(home, f'token_file = "{home}/token"\nallowed_hosts = ["{NAME}"]\nallow_commands = true')
    server.start()
    backend = server.http.base_url.port
    assert backend is not None
    plain, secure = free_ports(2)
    config = write_config(folder, backend, plain, secure)
    assert NGINX is not None
    nginx = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(config)], stderr=(folder / "stderr").open("w"))
    try:
        until(lambda: answers(secure) or nginx.poll() is not None)
        assert nginx.poll() is None, (folder / "stderr").read_text()
        yield f"https://127.0.0.1:{secure}", f"http://127.0.0.1:{plain}", folder / "cert.pem"
    finally:
        nginx.terminate()
        nginx.wait(30)
        server.end()


def answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def client(proxy: tuple[str, str, Path]) -> Iterator[httpx.Client]:
    url, _, certificate = proxy
    context = ssl.create_default_context(cafile=str(certificate))
    headers = {"authorization": f"Bearer {TOKEN}", "host": NAME}
    with httpx.Client(base_url=url, verify=context, headers=headers, timeout=30) as client:
        yield client


def submit(client: httpx.Client, script: str = "true") -> str:
    answer = client.post("/jobs/submit", json={"config": {"command": ["sh", "-c", script]}})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["job_id"])


def test_a_job_is_submitted_and_finishes_through_the_proxy(client: httpx.Client) -> None:
    job_id = submit(client, "echo hello")
    until(lambda: client.get(f"/jobs/{job_id}").json()["status"] == "completed")
    answer = client.get(f"/jobs/{job_id}/log")
    assert answer.text == "hello\n"
    assert "max-age" in answer.headers["strict-transport-security"]
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_the_token_and_the_name_are_asked_for_behind_the_proxy_too(client: httpx.Client) -> None:
    assert client.get("/jobs", headers={"authorization": "Bearer nonsense-0123456789abc"}).status_code == 401
    assert client.get("/jobs", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/jobs", headers={"origin": "https://evil.example"}).status_code == 403
    assert client.get("/jobs", headers={"origin": f"https://{NAME}"}).status_code == 200


def test_plain_http_leads_to_https(proxy: tuple[str, str, Path]) -> None:
    answer = httpx.get(f"{proxy[1]}/jobs?limit=1", headers={"host": NAME})
    assert answer.status_code == 308
    assert answer.headers["location"] == f"https://{NAME}:{proxy[0].rpartition(':')[2]}/jobs?limit=1"


def test_a_body_that_is_too_large_is_refused_by_the_proxy(client: httpx.Client) -> None:
    assert client.post("/jobs/submit", content=b"x" * (5 * 2**20)).status_code == 413


def test_events_pass_one_by_one_while_the_stream_is_open(client: httpx.Client) -> None:
    with client.stream("GET", "/events", params={"since": 0}) as answer:
        lines = answer.iter_lines()
        next(lines)  # the stream is open, and the job not yet submitted
        job_id = submit(client)
        for line in lines:
            if line.startswith("data: ") and job_id in line and '"completed"' in line:
                break


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_socket_io_passes(
    proxy: tuple[str, str, Path], client: httpx.Client, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("REQUESTS", "WEBSOCKET_CLIENT"):
        monkeypatch.setenv(f"{library}_CA_BUNDLE", str(proxy[2]))
    with socketio.SimpleClient() as listener:
        listener.connect(proxy[0], auth={"token": TOKEN}, transports=[transport], wait_timeout=30)
        assert listener.transport == transport
        job_id = submit(client)
        while True:
            kind, payload = listener.receive(timeout=60)
            if kind == "job_completed" and payload["job_id"] == job_id:
                break
