"""Where the daemon is looked for."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from simcampaign.sites.docker.address import find_address


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's folder of a person, without any context."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.json").write_text("{}")
    return tmp_path / "config"


@pytest.fixture
def podman_socket(tmp_path: Path) -> Iterator[Path]:
    """The socket of a person's podman, if docker's own is not there."""
    if Path("/var/run/docker.sock").exists():
        pytest.skip("this machine's docker comes first")
    path = tmp_path / "podman" / "podman.sock"
    path.parent.mkdir()
    with ExitStack() as stack:
        stack.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))
        yield path


def test_what_is_given_wins_over_everything(config: Path) -> None:
    assert find_address("unix:///a", {"DOCKER_HOST": "unix:///b"}) == "unix:///a"
    assert find_address(None, {"DOCKER_HOST": "unix:///b"}) == "unix:///b"


def test_the_context_that_docker_uses_is_used(config: Path) -> None:
    (config / "config.json").write_text(json.dumps({"currentContext": "lab"}))
    for name in ("lab", "other"):
        folder = config / "contexts" / "meta" / sha256(name.encode()).hexdigest()
        folder.mkdir(parents=True)
        endpoint = {"Host": f"unix:///run/{name}.sock", "SkipTLSVerify": False}
        told = {"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}
        (folder / "meta.json").write_text(json.dumps(told))
    assert find_address(None, {}) == "unix:///run/lab.sock"
    assert find_address(None, {"DOCKER_CONTEXT": "other"}) == "unix:///run/other.sock"


def test_podmans_socket_is_found_where_docker_has_none(config: Path, tmp_path: Path, podman_socket: Path) -> None:
    assert find_address(None, {"XDG_RUNTIME_DIR": str(tmp_path)}) == f"unix://{podman_socket}"


def test_without_any_daemon_dockers_own_address_is_named(config: Path, tmp_path: Path) -> None:
    if any(Path(path).exists() for path in ("/var/run/docker.sock", "/run/podman/podman.sock")):
        pytest.skip("this machine has a daemon")
    assert find_address(None, {"XDG_RUNTIME_DIR": str(tmp_path)}) == "unix:///var/run/docker.sock"
