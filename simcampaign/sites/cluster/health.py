"""A look at the health of a cluster's site: one finding after the other, whatever is wrong."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator

from simcampaign.errors import SimcampaignError
from simcampaign.jobs import ArraySpec
from simcampaign.sites.base import Finding
from simcampaign.sites.cluster.adapter import Adapter, Limits
from simcampaign.sites.cluster.handing import Hand
from simcampaign.sites.cluster.options import ClusterOptions
from simcampaign.sites.cluster.watching import busy
from simcampaign.sites.hosts.base import Host

_CLOCK_SECONDS = 5.0
"""Clocks that differ by more make times of jobs hard to compare."""


class Health:
    """Looks whether jobs can run at a site."""

    def __init__(
        self,
        host: Host,
        adapter: Adapter,
        options: ClusterOptions,
        scratch: Callable[[], str],
        limits: Callable[[], Limits],
    ) -> None:
        """Describe what is looked at."""
        self._host, self._adapter, self._options = host, adapter, options
        self._scratch, self._limits = scratch, limits

    def findings(self) -> Iterator[Finding]:
        """Yield each finding as it is made; only an unreachable host ends the look early."""
        reached = self._made("host", self._reach)
        yield reached
        if not reached.fine:
            return
        yield self._made("clock", self._clock)
        yield self._made("scratch", self._write)
        yield self._made("scheduler", self._version)
        yield self._made("submission", self._submission)
        yield self._made("arrays", self._arrays)
        yield self._made("accounting", self._accounting)
        if not self._adapter.tried:
            yield Finding("backend", None, f"{self._adapter.title} was written from its documentation, never tried")

    def _made(self, subject: str, look: Callable[[], tuple[bool | None, str]]) -> Finding:
        try:
            return Finding(subject, *look())
        except SimcampaignError as error:
            return Finding(subject, False, str(error))

    def _reach(self) -> tuple[bool, str]:
        began = time.monotonic()
        done = self._host.run(["/bin/sh", "-c", "uname -n"])
        if done.code:
            return False, f"{self._host.name} runs no commands: {done.complaint}"
        return True, f"{done.text.strip()} answers in {1000 * (time.monotonic() - began):.0f} ms"

    def _clock(self) -> tuple[bool | None, str]:
        before = time.time()
        done = self._host.run(["date", "+%s"])
        after = time.time()
        if done.code or not done.text.strip().isdecimal():
            return None, f"does not tell the time: {done.complaint}"
        apart = int(done.text) + 0.5 - (before + after) / 2
        if abs(apart) > _CLOCK_SECONDS:
            return None, f"differs from this host's by {apart:+.0f} s: times of jobs are told by the cluster's"
        return True, "agrees with this host's"

    def _write(self) -> tuple[bool, str]:
        scratch = self._scratch()
        directory = f"{scratch}/test-{secrets.token_hex(8)}"
        self._host.put([(b"simcampaign\n", f"{directory}/file")])
        self._host.remove(directory)
        return True, f"{scratch} can be written; compute nodes must see it, too"

    def _version(self) -> tuple[bool, str]:
        done = self._host.run(self._adapter.version_command())
        if self._adapter.is_busy(done):
            raise busy(self._adapter, done)
        return True, self._adapter.parse_version(done) or self._adapter.title

    def _submission(self) -> tuple[bool | None, str]:
        array = ArraySpec("simcampaign-test", "", "", "", ("true",), ())
        if self._adapter.test_command("") is None:
            return None, f"{self._adapter.title} has no command that tells whether a job would be taken"
        refusal = Hand(self._host, self._adapter, self._scratch).test(array, self._options)
        return (False, refusal) if refusal else (True, "a job would be taken")

    def _arrays(self) -> tuple[bool | None, str]:
        limit = self._options.max_array_size or self._limits().max_array_size
        if limit is None:
            return None, f"{self._adapter.title} does not tell how large an array may be: see option max_array_size"
        return True, f"up to {limit} jobs in one array; larger ones are split"

    def _accounting(self) -> tuple[bool | None, str]:
        known = self._limits().accounting
        if known is None:
            return None, f"{self._adapter.title} does not tell whether it keeps accounts"
        if known:
            return True, "ended jobs can be asked for"
        return None, "there is none: causes of failures are known only while the scheduler remembers a job"


def ask_limits(host: Host, adapter: Adapter) -> Limits:
    """Return the scheduler's limits. Raises ``NetworkError`` if it is busy or down, ``SiteError`` if it refuses."""
    command = adapter.limits_command()
    if command is None:
        return Limits()
    done = host.run(command)
    if adapter.is_busy(done):
        raise busy(adapter, done)
    return adapter.parse_limits(done)
