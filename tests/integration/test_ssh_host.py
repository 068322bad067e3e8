"""A host that is reached by SSH keeps the contract of hosts, and what only it has to promise; on a real server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simcampaign.errors import NetworkError, SiteError
from simcampaign.sites.hosts import Host, open_host
from simcampaign.sites.hosts import link as links
from tests.integration.services.sshd import NoSshd, SshServers, ssh_servers
from tests.simcampaign.sites.hosts.contract import HostContract, lives, wait_until

Reach = Callable[..., Host]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServers]:
    try:
        with ssh_servers(tmp_path_factory.mktemp("sshd") / "s", count=2) as servers:
            yield servers
    except NoSshd as error:
        pytest.skip(str(error))


@pytest.fixture(name="reach")
def reach_fixture(servers: SshServers) -> Iterator[Reach]:
    """Opens a host with other options than those that work; it is closed at the end."""
    with ExitStack() as stack:

        def reach(alias: str = "node0", **changes: Any) -> Host:
            host = open_host(replace(servers.options(alias), **changes))
            stack.callback(host.close)
            return host

        yield reach


@pytest.fixture(name="host")
def host_fixture(reach: Reach) -> Host:
    return reach()


@pytest.fixture(name="place")
def place_fixture(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    return place


class TestSshHost(HostContract):
    @pytest.fixture
    def host(self, reach: Reach) -> Host:
        return reach()

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        place = tmp_path / "place"
        place.mkdir()
        return place


def test_it_shares_no_paths_and_is_called_as_the_person_calls_it(reach: Reach) -> None:
    host = reach()
    assert not host.shared
    assert host.name == "node0"
    assert reach(user="ada").name == "ada@node0"


def test_it_works_in_a_running_event_loop(host: Host) -> None:
    async def notebook() -> str:
        return host.run(["echo", "x"]).text

    assert asyncio.run(notebook()) == "x\n"


def test_a_host_behind_another_is_reached_through_it(servers: SshServers, reach: Reach) -> None:
    host = reach("node1-by-jump")
    assert host.expand("~") == str(servers.hosts[1].home)
    servers.hosts[0].cut(stop=True)
    try:
        with pytest.raises(NetworkError, match="node1-by-jump"):
            host.run(["true"])
    finally:
        servers.hosts[0].start()
    assert host.run(["echo", "again"]).text == "again\n"


def test_a_jump_host_whose_key_is_unknown_is_refused_by_name(servers: SshServers, reach: Reach, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"{servers.hosts[1].place} {servers.hosts[1].public_key}\n")
    with pytest.raises(SiteError, match="is not known") as caught:
        reach("node1-by-jump", known_hosts=str(known)).run(["true"])
    assert servers.hosts[0].place in str(caught.value)


def test_an_unknown_host_key_is_refused_with_its_fingerprint_and_the_command(
    servers: SshServers, reach: Reach, tmp_path: Path
) -> None:
    known = tmp_path / "known hosts"
    known.write_text("")
    with pytest.raises(SiteError, match="is not known") as caught:
        reach(known_hosts=str(known)).run(["true"])
    key = servers.folder / "node0.key.pub"
    fingerprint = subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True).stdout.split()
    assert fingerprint[1] in str(caught.value)
    command = caught.value.hint.partition("the same: ")[2]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)  # what the hint says helps
    trusting = reach(known_hosts=str(known))
    assert trusting.run(["echo", "in"]).text == "in\n"


def test_a_changed_host_key_is_refused_and_not_called_unknown(
    servers: SshServers, reach: Reach, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"{servers.hosts[0].place} {servers.hosts[1].public_key}\n")
    with pytest.raises(SiteError, match="another key than the known one") as caught:
        reach(known_hosts=str(known)).run(["true"])
    assert "ssh-keygen -R" in caught.value.hint


def test_a_configuration_that_trusts_everybody_is_not_followed(
    servers: SshServers, reach: Reach, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    text = servers.config.read_text()
    config.write_text(text.replace(f"UserKnownHostsFile {servers.known_hosts}", "UserKnownHostsFile none"))
    with pytest.raises(SiteError, match="is not known"):
        reach(config_file=str(config)).run(["true"])


def test_a_key_that_is_not_taken_is_told_with_what_was_tried(
    reach: Reach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    with pytest.raises(SiteError, match="does not let us in") as caught:
        reach(identity_file=str(tmp_path / "other")).run(["true"])
    assert "publickey" in str(caught.value)
    assert "1 key file (ssh-ed25519)" in str(caught.value)
    assert "ssh-add" in caught.value.hint


def test_a_key_with_a_passphrase_asks_for_the_agent(reach: Reach, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", tmp_path / "locked"], check=True)
    with pytest.raises(SiteError, match="passphrase") as caught:
        reach(identity_file=str(tmp_path / "locked")).run(["true"])
    assert "ssh-add" in caught.value.hint


def test_a_key_with_a_passphrase_that_the_agent_has_lets_us_in(
    servers: SshServers, reach: Reach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, plain, socket = tmp_path / "locked", tmp_path / "plain", tmp_path / "agent"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", locked], check=True)
    with (servers.folder / "authorized_keys").open("a") as file:
        file.write((tmp_path / "locked.pub").read_text())
    plain.write_bytes(locked.read_bytes())
    plain.chmod(0o600)
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "secret", "-N", "", "-f", plain], check=True, stdout=subprocess.DEVNULL
    )
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as agent:
        try:
            wait_until(socket.exists)
            with pytest.raises(SiteError, match="passphrase"):
                reach(identity_file=str(locked)).run(["true"])
            subprocess.run(["ssh-add", "-q", plain], check=True)
            assert reach(identity_file=str(locked)).run(["echo", "in"]).out == b"in\n"
        finally:
            agent.terminate()


@pytest.mark.parametrize("field", ["identity_file", "known_hosts", "config_file"])
def test_a_file_that_is_not_there_is_named(reach: Reach, field: str) -> None:
    with pytest.raises(SiteError, match="/no/such/file"):
        reach(**{field: "/no/such/file"}).run(["true"])


def test_a_host_that_is_not_there_is_the_networks_fault(servers: SshServers, host: Host) -> None:
    server = servers.hosts[0]
    host.run(["true"])
    server.cut(stop=True)
    try:
        with pytest.raises(NetworkError, match="cannot be reached"):
            host.run(["true"])
    finally:
        server.start()
    assert host.run(["echo", "back"]).text == "back\n"


def test_a_dead_connection_is_made_again_by_itself(servers: SshServers, host: Host) -> None:
    for work in (lambda: host.run(["true"]).code, lambda: host.list("~/nothing"), lambda: host.put([(b"", "~/x")])):
        host.run(["true"])
        assert servers.hosts[0].cut()
        assert not work()


def test_a_command_that_was_cut_is_not_run_again(servers: SshServers, host: Host, place: Path) -> None:
    def cut() -> None:
        wait_until((place / "runs").exists)
        servers.hosts[0].cut()

    threading.Thread(target=cut).start()
    with pytest.raises(NetworkError, match="may have run"):
        host.run(["sh", "-c", 'echo once >> "$1/runs"; sleep 5', "sh", str(place)])
    assert host.run(["cat", f"{place}/runs"]).text == "once\n"


def test_a_call_that_is_under_way_while_the_host_is_closed_is_cut_there_too(host: Host, place: Path) -> None:
    def close() -> None:
        wait_until((place / "pid").exists)
        host.close()

    threading.Thread(target=close).start()
    with pytest.raises(NetworkError, match="closed meanwhile"):
        host.run(["sh", "-c", 'echo $$ > "$1/new"; mv "$1/new" "$1/pid"; sleep 300', "sh", str(place)])
    wait_until(lambda: not lives(int((place / "pid").read_text())))


def test_after_a_rest_a_silent_connection_is_not_trusted(
    servers: SshServers, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that slept holds a connection whose other end is gone without a word."""
    monkeypatch.setattr(links, "PROBE_SECONDS", 0.5)
    host.run(["true"])
    servers.hosts[0].freeze()
    now = time.time
    monkeypatch.setattr(links.time, "time", lambda: now() + 3600)
    assert host.run(["echo", "awake"], timeout_seconds=30).text == "awake\n"


def test_a_big_fetch_goes_on_where_it_was_cut(servers: SshServers, host: Host, place: Path, tmp_path: Path) -> None:
    size = 150_000_000
    block = os.urandom(1_000_000)
    with (place / "big").open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
    parts = tmp_path / "got"

    def part_size() -> int:
        return sum(each.stat().st_size for each in parts.glob(".simcampaign-part-*"))

    def cut() -> None:
        wait_until(lambda: part_size() > 0)
        servers.hosts[0].cut(stop=True)

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        with pytest.raises(NetworkError):
            host.get([(f"{place}/big", parts / "big")])
    finally:
        cutter.join()
        servers.hosts[0].start()
    had = part_size()
    assert 0 < had < size
    assert not (parts / "big").exists()
    assert host.get([(f"{place}/big", parts / "big")]) == size - had
    assert (parts / "big").read_bytes() == (place / "big").read_bytes()
    assert [each.name for each in parts.iterdir()] == ["big"]


def test_a_part_of_an_older_version_is_not_continued(host: Host, place: Path, tmp_path: Path) -> None:
    (place / "big").write_bytes(b"a" * 3_000_000)
    host.get([(f"{place}/big", tmp_path / "big")])
    (tmp_path / "big").rename(next(iter([tmp_path / "kept"])))
    (place / "big").write_bytes(b"b" * 3_000_000)
    os.utime(place / "big", (1, 1))
    host.get([(f"{place}/big", tmp_path / "big")])
    assert (tmp_path / "big").read_bytes() == b"b" * 3_000_000


def test_a_cut_in_the_middle_of_many_files_is_not_noticed(servers: SshServers, host: Host, place: Path) -> None:
    def cut() -> None:
        wait_until(lambda: any(place.glob("*/*")))
        servers.hosts[0].cut()

    cutter = threading.Thread(target=cut)
    cutter.start()
    host.put((b"x" * 20_000, f"{place}/{number % 20}/{number}") for number in range(2_000))
    cutter.join()
    files = [each for each in host.list(str(place)) if each.size == 20_000]
    assert len(files) == 2_000


def test_more_calls_than_the_server_has_channels_wait_for_each_other(tmp_path: Path) -> None:
    try:
        with ssh_servers(tmp_path / "s", max_sessions=2) as few:
            host = open_host(few.options())
            host.list("~")
            threads = [threading.Thread(target=host.run, args=(["sleep", "0.05"],)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert host.run(["echo", "x"]).text == "x\n"
            host.close()
    except NoSshd as error:
        pytest.skip(str(error))


def test_what_start_up_files_print_is_no_output_of_the_program(servers: SshServers, host: Host) -> None:
    noisy = servers.hosts[0].home / ".bashrc"
    noisy.write_text("echo Welcome; printf 'no line end'\n")
    try:
        assert host.run(["printf", "out"]).out == b"out"
        assert host.list("~/nothing") == []
    finally:
        noisy.unlink()


def test_without_gnu_find_directories_are_listed_all_the_same(servers: SshServers, host: Host, place: Path) -> None:
    other = servers.hosts[0].home / "bin"
    other.mkdir()
    (other / "find").write_text("#!/bin/sh\necho 'find: unrecognized: -printf' >&2\nexit 1\n")
    (other / "find").chmod(0o755)
    (place / "a\nb").mkdir()
    (place / "a\nb/file").write_bytes(b"123")
    (place / "link").symlink_to("a\nb/file")
    (place / "loop").symlink_to(".")
    rc = servers.hosts[0].home / ".bashrc"
    rc.write_text('PATH="$HOME/bin:$PATH"\n')
    try:
        entries = host.list(str(place))
    finally:
        rc.unlink()
        (other / "find").unlink()
        other.rmdir()
    assert [(each.path, each.size) for each in entries] == [("a\nb/file", 3), ("link", 3)]
