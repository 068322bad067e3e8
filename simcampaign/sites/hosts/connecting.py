"""Connecting to a host by SSH: its address, the way there, its key, ours, and what is said if one of them is wrong."""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import asyncssh
except ImportError as error:
    from simcampaign.errors import SiteError

    raise SiteError(
        "hosts are reached by SSH with the library asyncssh, which is not installed", "pip install 'simcampaign[ssh]'"
    ) from error

from simcampaign.errors import NetworkError, SiteError, shorten
from simcampaign.sites.hosts.options import HostOptions

KEEPALIVE_SECONDS = 15.0
"""A connection over which nothing came for three times as long is given up."""

WINDOW = 16 << 20
"""Bytes that a host may send before we say that they came; at 50 ms a fetch is 2.6 times as fast as with 2 MiB."""

_SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
_DEFAULT_PORT = 22

# Commands are no secret of ours alone: at level INFO the library writes each into the log.
if logging.getLogger("asyncssh").level == logging.NOTSET:
    asyncssh.set_log_level(logging.WARNING)


@dataclass(frozen=True)
class _Hop:
    """A host on the way, as it was called: by options, or by ``ProxyJump``."""

    host: str
    user: str | None = None
    port: int | None = None
    identity_file: str | None = None

    @classmethod
    def parse(cls, text: str) -> _Hop:
        """Read ``[user@]host[:port]``."""
        user, at, rest = text.strip().removeprefix("ssh://").rpartition("@")
        host, colon, port = rest.rpartition(":")
        numbered = bool(colon) and port.isdecimal()
        return cls(host if numbered else rest, user if at else None, int(port) if numbered else None)


class _Greeter(asyncssh.SSHClient):
    """Remembers the key of a host that is not trusted; nothing is ever trusted here."""

    key: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Refuse a key that is in no file of known hosts."""
        del host, addr, port
        self.key = key
        return False


class Way:
    """How a host is reached."""

    def __init__(self, options: HostOptions, name: str) -> None:
        """Read the options; nothing is connected."""
        self._options = options
        self._name = name

    async def connect(self) -> list[asyncssh.SSHClientConnection]:
        """Connect, and return the connections to the hosts on the way, that to the host itself last.

        Raises ``SiteError`` if a host's key is not known, or it refuses ours; ``NetworkError`` if it is not reached.
        """
        options = self._options
        target = _Hop(str(options.host), options.user, options.port, options.identity_file)
        chain: list[asyncssh.SSHClientConnection] = []
        try:
            await self._extend(chain, target, None)
        except BaseException:
            await close_all(chain)
            raise
        return chain

    async def _extend(
        self, chain: list[asyncssh.SSHClientConnection], hop: _Hop, tunnel: asyncssh.SSHClientConnection | None
    ) -> None:
        """Connect to a host, and to those before it that ``ProxyJump`` names."""
        arguments = self._arguments(hop)
        settings = await self._settings(hop, arguments)
        if tunnel is None and isinstance(settings.tunnel, str) and settings.tunnel.lower() != "none":
            for jump in settings.tunnel.split(","):
                await self._extend(chain, _Hop.parse(jump), tunnel)
                tunnel = chain[-1]
        arguments["tunnel"] = tunnel
        greeters: list[_Greeter] = []

        def greet() -> _Greeter:
            greeters.append(_Greeter())
            return greeters[-1]

        files = _known_hosts_files(self._options.known_hosts, settings)
        arguments["known_hosts"] = await self._known_hosts(files)
        label = f"{settings.username}@{settings.host}:{settings.port}"
        with self._told(label):
            try:
                async with asyncio.timeout(self._options.connect_timeout):
                    chain.append(await asyncssh.connect(hop.host, client_factory=greet, **arguments))
            except asyncssh.HostKeyNotVerifiable as error:
                key = greeters[-1].key if greeters else None
                raise self._distrust(settings, files, key) from error
            except asyncssh.PermissionDenied as error:
                raise await self._refused(hop, label, settings, arguments) from error

    def _arguments(self, hop: _Hop) -> dict[str, Any]:
        options = self._options
        config = Path(options.config_file).expanduser()
        if not config.is_file() and options.config_file != HostOptions.config_file:
            raise SiteError(f"config_file {options.config_file!r} of host {self._name} is not there")
        arguments: dict[str, Any] = {
            "config": [str(config)] if config.is_file() else [],
            "login_timeout": options.connect_timeout,
            "keepalive_interval": KEEPALIVE_SECONDS,
            "window": WINDOW,
            "agent_forwarding": False,
            "x11_forwarding": False,
            "request_pty": False,
        }
        if hop.user is not None:
            arguments["username"] = hop.user
        if hop.port is not None:
            arguments["port"] = hop.port
        if hop.identity_file is not None:
            arguments["client_keys"] = [str(Path(hop.identity_file).expanduser())]
        return arguments

    async def _settings(self, hop: _Hop, arguments: dict[str, Any]) -> asyncssh.SSHClientConnectionOptions:
        """Return what comes of our options and the configuration file."""
        with self._told(hop.host):
            options: asyncssh.SSHClientConnectionOptions = await asyncssh.SSHClientConnectionOptions.construct(
                host=hop.host, **arguments
            )
            return options

    async def _known_hosts(self, files: Sequence[str]) -> Any:
        """Return the keys that are trusted: an empty list is not "any", as it would be for the library."""
        with self._told("known_hosts"):
            return asyncssh.read_known_hosts(list(files))

    def _distrust(
        self, settings: asyncssh.SSHClientConnectionOptions, files: Sequence[str], key: asyncssh.SSHKey | None
    ) -> SiteError:
        """Return what is said of a host whose key is not the known one."""
        host, port = settings.host_key_alias or settings.host, settings.port
        said = f"its key is {key.get_algorithm()} {key.get_fingerprint()}" if key else "its key cannot be read"
        known = asyncssh.read_known_hosts(list(files)).match(host, "", None if port == _DEFAULT_PORT else port)[0]
        place = f"[{host}]:{port}" if port != _DEFAULT_PORT else host
        shown = ", ".join(files) or "no file of known hosts"
        if known:
            return SiteError(
                f"host {self._name} ({place}) has another key than the known one, as if somebody else answered: {said}",
                "ask who runs the host whether it was installed anew; only then forget the old key with: "
                f"ssh-keygen -R {shlex.quote(place)}",
            )
        target = shlex.quote(files[0] if files else str(Path("~/.ssh/known_hosts").expanduser()))
        scan = f"ssh-keyscan -p {port} {shlex.quote(settings.host)} >> {target}"
        return SiteError(
            f"host {self._name} ({place}) is not known: {said}, which is not in {shown}",
            f"compare the fingerprint with what the host's people say; if it is the same: {scan}",
        )

    async def _refused(
        self, hop: _Hop, label: str, settings: asyncssh.SSHClientConnectionOptions, arguments: dict[str, Any]
    ) -> SiteError:
        """Return what is said of a host that did not let us in: what it takes, and what was tried."""
        taken = "what it takes is not known"
        with suppress(asyncssh.Error, OSError, TimeoutError, TypeError, ValueError):
            ways = {name: arguments[name] for name in ("port", "username", "tunnel", "config") if arguments.get(name)}
            async with asyncio.timeout(self._options.connect_timeout):
                taken = f"it takes {', '.join(await asyncssh.get_server_auth_methods(hop.host, **ways))}"
        named: Any = [hop.identity_file] if hop.identity_file else settings.config.get("IdentityFile", ()) or ()
        locked = _locked(named)
        if locked:
            return SiteError(
                f"{label} does not let us in: {taken}; {shorten(', '.join(locked))} has a passphrase, for which nobody "
                "is asked here",
                f"type: ssh-add {shlex.quote(locked[0])}",
            )
        keys = [pair.get_algorithm() for pair in settings.client_keys or ()]
        agent = "the agent's keys" if settings.agent_path else "no agent (SSH_AUTH_SOCK is not set)"
        tried = f"{len(keys)} key file{'s' if len(keys) != 1 else ''} ({', '.join(keys)})" if keys else "no key file"
        return SiteError(
            f"{label} does not let us in: {taken}; tried publickey with {tried} and {agent}",
            f"give identity_file, or load the key: ssh-add; see what works with: ssh -v {shlex.quote(hop.host)}",
        )

    @contextmanager
    def _told(self, label: str) -> Iterator[None]:
        """Say of what goes wrong on the way whether the person or the network must change."""
        via = "" if label.rpartition("@")[2].startswith(str(self._options.host)) else f" ({label})"
        try:
            yield
        except (asyncssh.KeyImportError, asyncssh.ConfigParseError) as error:
            raise SiteError(f"host {self._name}: {error}", "check identity_file and config_file") from error
        except (asyncssh.KeyExchangeFailed, asyncssh.ProtocolNotSupported, asyncssh.ServiceNotAvailable) as error:
            raise SiteError(f"host {self._name}{via} and we have no cipher or key in common: {error}") from error
        except TimeoutError as error:
            raise NetworkError(
                f"host {self._name}{via} did not answer within {self._options.connect_timeout:g} s",
                "check the network, or give a longer connect_timeout",
            ) from error
        except (asyncssh.Error, OSError) as error:
            if isinstance(error, FileNotFoundError | PermissionError):
                raise SiteError(f"host {self._name}: {error}", "check identity_file and known_hosts") from error
            raise NetworkError(
                f"host {self._name}{via} cannot be reached: {error}", f"try: ssh {shlex.quote(str(self._options.host))}"
            ) from error
        except ValueError as error:
            raise SiteError(f"host {self._name}: {error}", "check known_hosts and config_file") from error


def _known_hosts_files(given: str | None, settings: asyncssh.SSHClientConnectionOptions) -> list[str]:
    """Return the files with keys of hosts; ``none`` in the configuration is not followed: keys are always checked."""
    if given is not None:
        return [str(Path(given).expanduser())]
    named = settings.known_hosts if isinstance(settings.known_hosts, list) else []
    files = [*named, str(_SYSTEM_KNOWN_HOSTS)] if named else ["~/.ssh/known_hosts", str(_SYSTEM_KNOWN_HOSTS)]
    return [str(path) for path in (Path(name).expanduser() for name in files) if path.is_file()]


def _locked(named: Sequence[str]) -> list[str]:
    """Return the files of keys that were left aside because they have a passphrase."""
    locked = []
    for path in (Path(name).expanduser() for name in named):
        try:
            asyncssh.read_private_key(path)
        except (asyncssh.KeyImportError, OSError) as error:
            if "assphrase" in str(error):
                locked.append(str(path))
    return locked


def login(options: HostOptions) -> str:
    """Return ``user@host`` as far as it is known without a configuration file."""
    return f"{options.user}@{options.host}" if options.user else str(options.host)


async def close_all(chain: Sequence[asyncssh.SSHClientConnection]) -> None:
    """Close connections, the farthest host's first."""
    for connection in reversed(chain):
        connection.abort()
    for connection in reversed(chain):
        with suppress(asyncssh.Error, OSError):
            await connection.wait_closed()
