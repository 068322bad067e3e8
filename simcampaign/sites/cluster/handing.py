"""Handing arrays over to a scheduler: never twice, never forgotten, whoever is killed in between.

The array's directory appears on the host under its name at once and whole. The command that submits it is run by a
small script there, which writes the scheduler's answer beside it even if nobody waits any more. An array whose answer
is missing is looked for in the queue by its name; if it is not there, it is fenced: its directory is moved away, so
that not even a submission that is still under way can start a job.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from simcampaign.errors import NetworkError, SiteError, shorten
from simcampaign.jobs import ArraySpec
from simcampaign.sites.cluster.adapter import Adapter, Request
from simcampaign.sites.cluster.files import array_files, shell_file
from simcampaign.sites.cluster.options import ClusterOptions
from simcampaign.sites.cluster.watching import busy
from simcampaign.sites.hosts.base import Done, Host

_SUBMIT_SECONDS = 300.0
"""A busy controller keeps its clients waiting for minutes."""

_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")

_UNDER_WAY_SECONDS = 15.0
"""How long another submission of the same array is given before it is taken for dead."""

_SHORTEST_NAP, _LONGEST_NAP = 0.0625, 1.0

_ATTEMPTS = 3
"""How often an array is written anew because another submission of it came to nothing meanwhile."""


class Hand:
    """Submits and finds the arrays of one site."""

    def __init__(self, host: Host, adapter: Adapter, scratch: Callable[[], str]) -> None:
        """Describe where arrays are handed over; nothing is done yet."""
        self._host, self._adapter, self._scratch = host, adapter, scratch

    def submit(self, array: ArraySpec, options: ClusterOptions) -> str:
        """Hand an array over and return its remote id; one of this name that is there already is adopted."""
        check_name(array.name)
        for _ in range(_ATTEMPTS):
            state, fence = self._prepare(array, options)
            remote_id = self._adopt(array.name) if state == "known" else self._place(array, options, fence)
            if remote_id is not None:
                return remote_id
        raise NetworkError(
            f"array {array.name} cannot be handed over: others submit and fence it at the same time", "run again"
        )

    def _adopt(self, name: str) -> str | None:
        """Return the remote id of an array that is there; another submission of it may be under way and is awaited."""
        deadline, nap = time.monotonic() + _UNDER_WAY_SECONDS, _SHORTEST_NAP
        while self._there(name) and time.monotonic() < deadline:
            known = self._submitted(name) or (self._queued(name) if nap == _LONGEST_NAP else None)
            if known is not None:
                return known
            time.sleep(nap)
            nap = min(2 * nap, _LONGEST_NAP)
        return self.find(name)

    def find(self, name: str) -> str | None:
        """Return the remote id of the array with this name; after None none of its jobs can start any more."""
        check_name(name)
        if (known := self._submitted(name)) is not None:
            return known
        if self._there(name) and (known := self._queued(name)) is not None:
            return known
        state = self._script("fence.sh", self._scratch(), name, secrets.token_hex(8)).text.strip()
        if state == "fenced":
            return None
        if state != "known":
            raise SiteError(f"array {name} on {self._host.name}: {shorten(repr(state))} cannot be understood")
        return self._submitted(name) or self._started(name)

    def test(self, array: ArraySpec, options: ClusterOptions) -> str:
        """Return why the scheduler would not take such an array; empty if it would, or does not say."""
        path = f"{self._scratch()}/test-{secrets.token_hex(8)}.sh"
        command = self._adapter.test_command(path)
        if command is None:
            return ""
        request = Request("simcampaign-test", max(1, len(array.jobs)), self._scratch(), array.resources, options)
        script = self._adapter.script(request).encode()
        done = self._script("test.sh", path, *command, stdin=script)
        if self._adapter.is_busy(done):
            raise busy(self._adapter, done)
        return shorten(done.complaint, 300) if done.code else ""

    def _script(self, name: str, *arguments: str, stdin: bytes = b"") -> Done:
        command = ["/bin/sh", "-c", shell_file(name), name, *arguments]
        done = self._host.run(command, stdin=stdin, timeout_seconds=_SUBMIT_SECONDS)
        if done.code and name != "test.sh":
            raise SiteError(
                f"scratch {self._scratch()} on {self._host.name} cannot be used: {shorten(done.complaint)}",
                "give a directory that you may write to as `scratch` of the site",
            )
        return done

    def check_program(self, array: ArraySpec, options: ClusterOptions) -> None:
        """Raise ``SiteError`` if there is no command, or its program is not there."""
        self._prepare(array, options)

    def _missing(self, array: ArraySpec) -> SiteError:
        return SiteError(
            f"command {shorten(repr(array.command[0]))} is not in the PATH of {self._host.name}; nothing was submitted",
            "check its spelling, or load its module: see option modules; if compute nodes alone have it, give its full "
            "path",
        )

    def _prepare(self, array: ArraySpec, options: ClusterOptions) -> tuple[str, str]:
        """Return whether an array of this name is there, and the fence against it."""
        done = self._script("prepare.sh", self._scratch(), array.name, *_program(array, options))
        state, _, fence = done.text.strip().partition(" ")
        if state == "missing":
            raise self._missing(array)
        return state, fence

    def _place(self, array: ArraySpec, options: ClusterOptions, fence: str) -> str | None:
        """Write the array down, let it appear and submit it; None if another submission or a fence came first."""
        directory = f"{self._scratch()}/arrays/{array.name}"
        name = self._adapter.job_name(array.name)
        script = self._adapter.script(Request(name, len(array.jobs), directory, array.resources, options))
        where = str(Path.cwd()) if self._host.shared else self._host.expand("~")
        draft = f".new-{secrets.token_hex(8)}"
        files = array_files(array, options, script, where)
        self._host.put((content, f"{self._scratch()}/arrays/{draft}/{path}") for path, content in files)
        command = self._adapter.submit_command(f"{directory}/job.sh")
        done = self._script("place.sh", self._scratch(), array.name, draft, fence, *command)
        state, _, text = done.text.partition("\n")
        if state == "submitted":
            return f"{array.name}:{self._adapter.parse_submitted(text)}"
        if state.startswith("refused "):
            self._refused(array.name, Done(int(state.removeprefix("refused ")), b"", text.encode()))
        return None

    def _refused(self, name: str, done: Done) -> None:
        """Raise what the scheduler's refusal means; an array that it certainly did not take is removed."""
        if self._adapter.is_busy(done):
            raise busy(self._adapter, done)
        self._script("fence.sh", self._scratch(), name, secrets.token_hex(8))
        raise SiteError(
            f"{self._adapter.title} on {self._host.name} refused array {name}: {shorten(done.complaint, 300)}",
            "correct the site's options or the resources, and run again",
        )

    def _there(self, name: str) -> bool:
        try:
            self._host.read(f"{self._scratch()}/arrays/{name}/about.json")
        except FileNotFoundError:
            return False
        return True

    def _submitted(self, name: str) -> str | None:
        """Return the remote id that the submission wrote down."""
        try:
            text = self._host.read(f"{self._scratch()}/arrays/{name}/submitted").decode(errors="replace")
        except FileNotFoundError:
            return None
        return f"{name}:{self._adapter.parse_submitted(text)}"

    def _queued(self, name: str) -> str | None:
        """Return the remote id by which the scheduler knows an array of this name."""
        wanted = self._adapter.job_name(name)
        done = self._host.run(self._adapter.find_command(wanted), timeout_seconds=_SUBMIT_SECONDS)
        if self._adapter.is_busy(done):
            raise busy(self._adapter, done)
        ids = self._adapter.parse_found(done, wanted)
        return f"{name}:{ids[0]}" if ids else None

    def _started(self, name: str) -> str:
        """Return the remote id that a job of the array wrote into its start marker."""
        directory = f"{self._scratch()}/arrays/{name}/start"
        for entry in self._host.list(directory):
            words = self._host.read(f"{directory}/{entry.path}").split()
            if len(words) == 2:
                return f"{name}:{words[1].decode(errors='replace')}"
        raise NetworkError(f"array {name} has just begun on {self._host.name}", "look again in a moment")


def _program(array: ArraySpec, options: ClusterOptions) -> tuple[str, ...]:
    """Return the program that should be in the PATH of the host, and the PATH if the array sets one.

    Nothing where a module or the prologue may bring it, or compute nodes may have it elsewhere.
    """
    if not array.command:
        raise SiteError("there is no command", "give the program to run, e.g. command: [lmp, -in, {input}]")
    program = array.command[0]
    if options.modules or options.prologue or "/" in program or _PLACEHOLDER.search(program):
        return ()
    return program, array.environment.get("PATH", "")


def check_name(name: str) -> None:
    """Raise ``SiteError`` if an array's name cannot name a directory."""
    if not name or name.startswith((".", "-")) or set(name) & set("/:\0\n\r\t "):
        raise SiteError(f"array name {shorten(repr(name))} cannot name a directory on a cluster")


def cancel_requests(indices: Sequence[int] | None, most: int = 500) -> list[Sequence[int] | None]:
    """Return the indices in portions that fit into a command; None, for all, as it is."""
    if indices is None:
        return [None]
    ordered = sorted(set(indices))
    return [ordered[first : first + most] for first in range(0, len(ordered), most)]
