"""The ssh site: jobs run on another host under a detached runner that is copied there; nothing stays connected."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import ConfigDict

from simcampaign.errors import ABSENT, ConfigError, NetworkError, Problem, SiteError, shorten
from simcampaign.fields import STRICT, Count, Price, Text
from simcampaign.jobs import ArrayReport
from simcampaign.sites import desk
from simcampaign.sites.base import Finding
from simcampaign.sites.detached import DetachedSite
from simcampaign.sites.hosts import HostOptions, open_host
from simcampaign.sites.hosts.base import Done, Host
from simcampaign.sites.local import GRACE_SECONDS, Grace

OLDEST_PYTHON = (3, 9)
ANSWER_SECONDS = 120.0
"""How long a host may take to answer, beside the time that a request takes to get there."""
SLOWEST_BYTES_PER_SECOND = 20_000.0
SHORTEST_INTERVAL, LONGEST_INTERVAL = 1.0, 30.0
"""Seconds between two looks for news."""
INTERVAL_SHARE = 0.1
"""The interval between looks as a share of the time since the last news."""

_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
_MISSING = (b"can't open file", b"ModuleNotFoundError")
"""What Python says where files of ours are not there (any more)."""


@dataclass(kw_only=True)
class SshOptions(HostOptions):
    """What a person writes about a site on a host that is reached by SSH."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    root: Text = "~/.simcampaign"
    """Directory there for the site's own files and those of jobs; absolute, or below `~`."""

    python: Text = "python3"
    """Python 3.9 or newer there; it needs nothing but its standard library."""

    slots: Count | None = None
    """Cores that jobs may take, over all arrays; a job takes one for each of its cores. By default all of the host."""

    grace_seconds: Grace = GRACE_SECONDS
    """Seconds between asking a job to end (TERM) and killing it."""

    price_per_core_hour: Price = 0.0
    """What a core costs for an hour, in your currency."""


class DeskThere:
    """The desk on another host: each request is one command there."""

    def __init__(self, host: Host, root: str, python: str) -> None:
        """Work on the directory ``root`` of ``host``; nothing is asked or copied before the first request."""
        self.host, self.root, self.python = host, root, python

    def ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry out one request; the desk's programs are copied to the host if they are not there."""
        listed = {**request, "jobs": list(request["jobs"])} if "jobs" in request else request
        data = json.dumps(listed).encode()
        root = self.host.expand(self.root)
        done = self._run(root, data)
        if done.code and any(sign in done.err for sign in _MISSING):
            self._install(root)
            done = self._run(root, data)
        return self._read(done)

    def _run(self, root: str, data: bytes) -> Done:
        command = [self.python, *desk.ALONE, f"{_folder(root)}/{desk.FILES[0]}", root]
        seconds = ANSWER_SECONDS + len(data) / SLOWEST_BYTES_PER_SECOND
        return self.host.run(command, stdin=data, timeout_seconds=seconds)

    def _read(self, done: Done) -> Mapping[str, Any]:
        """Return what was answered; raises ``SiteError`` if that is a refusal, or no answer."""
        try:
            answer = json.loads(done.out)
            found: Mapping[str, Any] | None = answer.get("ok")
            if found is None:
                raise SiteError(f"host {self.host.name}: {answer['error']}", answer["hint"])
        except (ValueError, KeyError, AttributeError) as error:
            self._check_python()
            raise SiteError(
                f"host {self.host.name} answers what cannot be understood: {shorten(done.complaint)}",
                "look whether its disk is full; remove ROOT/bin there to have the programs copied again",
            ) from error
        return found

    def _install(self, root: str) -> None:
        """Copy the programs, the one that is started last: once it is there, all are."""
        self._check_python()
        first, *others = desk.FILES
        for name in (*others, first):
            self.host.put([(_sources()[name], f"{_folder(root)}/{name}")])

    def _check_python(self) -> None:
        done = self.host.run([self.python, "-c", _VERSION])
        hint = "give the full path of Python 3.9 or newer there as `python` of the site"
        if done.code:
            raise SiteError(f"{self.python} cannot be run on host {self.host.name}: {shorten(done.complaint)}", hint)
        version = done.text.strip()
        if tuple(map(int, version.rpartition("\n")[2].split("."))) < OLDEST_PYTHON:
            raise SiteError(f"{self.python} on host {self.host.name} is Python {version}, which is too old", hint)


@cache
def _sources() -> Mapping[str, bytes]:
    folder = Path(desk.__file__).parent
    return {name: (folder / name).read_bytes() for name in desk.FILES}


@cache
def _digest() -> str:
    """Return what tells these programs from those of other versions of simcampaign."""
    return hashlib.sha256(b"\0".join(_sources().values())).hexdigest()[:16]


def _folder(root: str) -> str:
    return f"{root}/bin/{_digest()}"


class SshSite(DetachedSite):
    """Runs jobs on a host that is reached by SSH, no more at once than take ``slots`` cores."""

    options: ClassVar[type[Any]] = SshOptions

    def __init__(
        self,
        host: Host,
        *,
        name: str = "ssh",
        root: str = "~/.simcampaign",
        python: str = "python3",
        slots: int | None = None,
        grace_seconds: float = GRACE_SECONDS,
        price_per_core_hour: float = 0.0,
    ) -> None:
        """Describe the site, as in ``SshOptions``; the host is not asked yet. Raises ``ConfigError``."""
        if not (root.startswith(("/", "~/")) and root.strip("/~")):
            raise ConfigError([Problem("root", root, "is no directory of the site's own", "e.g. ~/.simcampaign")])
        self.host = self._there = host
        self.scratch = f"{root.rstrip('/')}/scratch"
        super().__init__(
            DeskThere(host, root.rstrip("/"), python),
            name=name,
            slots=slots,
            grace_seconds=grace_seconds,
            price_per_core_hour=price_per_core_hour,
        )
        self._looked = self._news = 0.0

    @classmethod
    def configure(cls, name: str, options: SshOptions) -> Self:
        """Make a site of what a person wrote; the host is not reached yet."""
        if options.host is None:
            raise ConfigError([Problem("host", ABSENT, "an ssh site is on another host", "give its name or address")])
        return cls(
            open_host(options),
            name=name,
            root=options.root,
            python=options.python,
            slots=options.slots,
            grace_seconds=options.grace_seconds,
            price_per_core_hour=options.price_per_core_hour,
        )

    def status(self, cursors: Mapping[str, str]) -> Mapping[str, ArrayReport]:
        """Return what changed since the cursors, of all arrays in one command, and revive runners that died."""
        reports = super().status(cursors)
        self._looked = time.monotonic()
        if any(report.changes for report in reports.values()):
            self._news = self._looked
        return reports

    def wait(self, remote_ids: Sequence[str], timeout_seconds: float) -> None:
        """Sleep; the host is asked for news after a second, then ever less often, and what it answers ends the sleep.

        A host that cannot be asked has no news: the next ``status`` will say what is wrong.
        """
        deadline = time.monotonic() + timeout_seconds
        while (now := time.monotonic()) < deadline:
            interval = max(SHORTEST_INTERVAL, min(LONGEST_INTERVAL, (now - self._news) * INTERVAL_SHARE))
            due = max(now, self._looked + interval) if remote_ids else deadline
            time.sleep(min(due, deadline) - now)
            if due < deadline:
                self._looked = due
                try:
                    if self.has_news(remote_ids):
                        self._news = time.monotonic()
                        return
                except (SiteError, NetworkError):
                    pass

    def doctor(self) -> Iterator[Finding]:
        """Look whether the host can be reached, and then whether jobs can run there."""
        began = time.monotonic()
        try:
            self._there.run(["true"])
        except (SiteError, NetworkError) as error:
            yield Finding("host", False, str(error))
            return
        yield Finding("host", True, f"{self._there.name} answered after {time.monotonic() - began:.2f} s")
        yield from super().doctor()
