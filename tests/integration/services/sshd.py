"""SSH servers of our own on loopback, each with its own home for the sessions: "hosts" to reach."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from simcampaign.sites.hosts import HostOptions
from tests.integration.services.processes import PATIENCE, answers, free_port


class NoSshd(Exception):  # noqa: N818 - not being there is no error of ours
    """No SSH server can be run here."""


def why_no_sshd() -> str:
    """Return why no SSH server can be run here; empty if one can."""
    for program in ("sshd", "ssh-keygen"):
        if not _program(program):
            return f"{program} is not installed (Debian: apt-get install openssh-server openssh-client)"
    return ""


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass
class Sshd:
    """One "host": an SSH server that can be stopped, started, and cut off."""

    alias: str
    """Its name in the client's configuration."""

    port: int
    home: Path
    """Home directory of all sessions."""

    folder: Path
    public_key: str
    """Type and key of the host, as in files of known hosts."""

    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        program = _program("sshd")
        assert program
        log = self.folder / f"{self.alias}.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [program, "-D", "-e", "-f", str(self.folder / f"{self.alias}.conf")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        for _ in range(int(PATIENCE / 0.05)):
            if answers(self.port):
                return
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
                break
        raise NoSshd(f"sshd does not come up:\n{log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End the server; connections that exist go on."""
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def cut(self, stop: bool = False) -> int:
        """Cut all connections off as a network would; programs that sessions began go on. Returns how many there were.

        The server's process of a session is killed, so that nobody says good-bye. With ``stop`` the server is stopped
        before, so that no new connection can be made until it is started.
        """
        assert self.process
        sessions = [each for each in psutil.Process(self.process.pid).children(recursive=True) if _is_sshd(each)]
        if stop:
            self.stop()
        for each in sessions:
            with suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)
        psutil.wait_procs(sessions, 10)
        return len(sessions)

    def freeze(self) -> list[int]:
        """Let all connections fall silent, as if the network were gone; returns the processes to be thawed."""
        assert self.process
        pids = [each.pid for each in psutil.Process(self.process.pid).children(recursive=True) if _is_sshd(each)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        return pids

    @property
    def place(self) -> str:
        """How a file of known hosts calls it."""
        return f"[127.0.0.1]:{self.port}"


def _is_sshd(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.name().startswith("sshd")
    return False


@dataclass
class SshServers:
    """Hosts, and the configuration with which clients reach them."""

    folder: Path
    hosts: list[Sshd]

    @property
    def config(self) -> Path:
        """The client's configuration: an alias for each host, ``NAME-by-jump`` through the first one."""
        return self.folder / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def identity(self) -> Path:
        return self.folder / "id"

    def options(self, alias: str = "node0") -> HostOptions:
        """Return the options of a host, by its alias."""
        return HostOptions(host=alias, config_file=str(self.config), connect_timeout=20)


@contextmanager
def ssh_servers(
    folder: Path, count: int = 1, max_sessions: int = 10, environment: Mapping[str, str] | None = None
) -> Iterator[SshServers]:
    """Run ``count`` hosts ``node0``, ``node1`` …, which end with the context; sessions get ``environment``.

    Raises ``NoSshd`` with the reason.
    """
    reason = why_no_sshd()
    if reason:
        raise NoSshd(reason)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _make_key(folder / "id")
    shutil.copy(folder / "id.pub", folder / "authorized_keys")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it gives up its privileges
    servers = SshServers(
        folder, [_host(folder, f"node{number}", max_sessions, environment or {}) for number in range(count)]
    )
    servers.known_hosts.write_text("".join(f"{each.place} {each.public_key}\n" for each in servers.hosts))
    servers.config.write_text("".join(_client(servers, each) for each in servers.hosts))
    try:
        for each in servers.hosts:
            each.start()
        yield servers
    finally:
        for each in servers.hosts:
            if each.process:
                each.cut()
            each.stop()


def _make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)


def _host(folder: Path, alias: str, max_sessions: int, environment: Mapping[str, str]) -> Sshd:
    key, home, port = folder / f"{alias}.key", folder / f"home-{alias}", free_port()
    _make_key(key)
    home.mkdir()
    told = " ".join(f'"{name}={value}"' for name, value in {"HOME": str(home), **environment}.items())
    (folder / f"{alias}.conf").write_text(f"""\
Port {port}
ListenAddress 127.0.0.1
HostKey {key}
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxSessions {max_sessions}
MaxStartups 100
Subsystem sftp internal-sftp -d {home}
SetEnv {told}
PermitUserRC no
""")
    public = " ".join((folder / f"{alias}.key.pub").read_text().split()[:2])
    return Sshd(alias, port, home, folder, public)


def _client(servers: SshServers, host: Sshd) -> str:
    def entry(alias: str, more: str = "") -> str:
        return f"""\
Host {alias}
  HostName 127.0.0.1
  Port {host.port}
  User {getpass.getuser()}
  IdentityFile {servers.identity}
  IdentitiesOnly yes
  UserKnownHostsFile {servers.known_hosts}
{more}
"""

    jump = "" if host is servers.hosts[0] else entry(f"{host.alias}-by-jump", "  ProxyJump node0\n")
    return entry(host.alias) + jump
