"""A cluster: a scheduler's own arrays, on this host's scheduler or on one that is reached by SSH."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from simcampaign.errors import NetworkError, SiteError, shorten
from simcampaign.jobs import ArrayReport, ArraySpec, JobReport, Resources
from simcampaign.logfilter import filter_log, line_filter
from simcampaign.sites.base import Capabilities, Depot, Finding, Queue
from simcampaign.sites.cluster.adapter import OTHERS, Adapter, Limits, Seen
from simcampaign.sites.cluster.files import shell_file
from simcampaign.sites.cluster.handing import Hand, cancel_requests
from simcampaign.sites.cluster.health import Health, ask_limits
from simcampaign.sites.cluster.options import ClusterOptions, with_array_options
from simcampaign.sites.cluster.ranges import to_text
from simcampaign.sites.cluster.watching import Watch, busy, said_of, split_id
from simcampaign.sites.hosts import Host, open_host

_PORTION = 500
"""Logs that are fetched together."""

OptionsType = TypeVar("OptionsType", bound=ClusterOptions)


class ClusterSite(Generic[OptionsType]):
    """Runs arrays on a cluster. May be used from several threads.

    An array lives in ``SCRATCH/arrays/NAME``; its remote id is ``NAME:SCHEDULER'S ID``.
    """

    adapter: ClassVar[Adapter]
    options: ClassVar[type[Any]]
    depot: Depot | None = None

    def __init__(self, name: str, options: OptionsType, host: Host | None = None) -> None:
        """Describe the site; nobody is asked yet. ``host`` is by default the one that the options describe."""
        self.name = name
        self.settings = options
        self.scratch = options.scratch.rstrip("/") or "/"
        self.host: Host = host or open_host(options)
        self._hand = Hand(self.host, self.adapter, self._place)
        self._watch = Watch(self.host, self.adapter, self._place, options.poll_seconds)
        self._asking = threading.Lock()

    @classmethod
    def configure(cls, name: str, options: Any) -> Self:
        """Make a site of what a person wrote."""
        return cls(name, options)

    def __reduce__(self) -> tuple[type[Self], tuple[str, OptionsType]]:
        """Pickle what a person wrote; connections and what was seen so far stay behind."""
        return type(self), (self.name, self.settings)

    def _place(self) -> str:
        """Return the scratch directory as an absolute path; the host may have to be asked once."""
        return self._expanded

    @cached_property
    def _expanded(self) -> str:
        return self.host.expand(self.scratch)

    @cached_property
    def _limits(self) -> Limits:
        return ask_limits(self.host, self.adapter)

    def _known_limits(self) -> Limits:
        with self._asking:
            return self._limits

    @property
    def capabilities(self) -> Capabilities:
        """What the scheduler offers. It is asked once how large an array may be, if the options do not say."""
        size = self.settings.max_array_size
        return Capabilities(
            max_array_size=size if size is not None else self._known_limits().max_array_size,
            adopts=True,
            cost=self.settings.price_per_core_hour > 0,
            queues=True,
            tried=self.adapter.tried,
        )

    # Submitting

    def check(self, array: ArraySpec) -> None:
        """Raise ``SiteError`` if the scheduler would not take such an array, or the command is not there."""
        options = self._options_of(array)
        self._hand.check_program(array, options)
        if refusal := self._hand.test(array, options):
            raise SiteError(
                f"{self.adapter.title} on {self.host.name} would refuse the jobs: {refusal}",
                f"correct the resources, or the options of site {self.name}",
            )

    def _options_of(self, array: ArraySpec) -> OptionsType:
        return with_array_options(self.settings, dict(array.options), self.name)

    def submit(self, array: ArraySpec) -> str:
        """Hand an array over; one of the same name that is there already is adopted."""
        remote_id = self._hand.submit(array, self._options_of(array))
        self._watch.pace.arrived()
        return remote_id

    def find(self, name: str) -> str | None:
        """Look for an array: in the files, in the queue, in accounting; what is nowhere is fenced off for good."""
        return self._hand.find(name)

    # Looking

    def status(self, cursors: Mapping[str, str]) -> Mapping[str, ArrayReport]:
        """Return what changed: by exit codes at once, by the scheduler's word at most each ``poll_seconds``."""
        return self._watch.status(cursors)

    def wait(self, remote_ids: Sequence[str], timeout_seconds: float) -> None:
        """Return when a job of these arrays began or ended, or the cluster may be asked again."""
        self._watch.wait(remote_ids, timeout_seconds)

    def logs(self, remote_id: str, indices: Sequence[int], pattern: str = "") -> Iterator[tuple[int, bytes]]:
        """Yield what jobs printed so far; a job without any output is left out."""
        keep = line_filter(pattern)
        if not indices:
            return
        directory = f"{self._directory(remote_id)}/out"
        there = {entry.path for entry in self.host.list(directory) if entry.size}
        wanted = [index for index in indices if f"{index}.log" in there]
        for index, data in self._logs_here(directory, wanted) if self.host.shared else self._fetched(directory, wanted):
            yield index, filter_log(data, keep) if pattern else data

    def _logs_here(self, directory: str, indices: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        for index in indices:
            yield index, self.host.read(f"{directory}/{index}.log")

    def _fetched(self, directory: str, indices: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        for first in range(0, len(indices), _PORTION):
            portion = indices[first : first + _PORTION]
            with tempfile.TemporaryDirectory(prefix="simcampaign-") as folder:
                self.host.get((f"{directory}/{index}.log", Path(folder) / str(index)) for index in portion)
                for index in portion:
                    yield index, (Path(folder) / str(index)).read_bytes()

    def running(self, remote_id: str, most: int) -> Sequence[int]:
        """Return indices of jobs that have a start marker and no exit code; over SSH, as they were at the last look."""
        told = None if self.host.shared else self._watch.running(remote_id)
        if told is not None:
            return sorted(told)[:most]
        directory = self._directory(remote_id)
        markers = {each.path for each in self.host.list(f"{directory}/start")}
        started = {int(path) for path in markers if path.isdecimal() and f"{path}.sealed" not in markers}
        ended = {int(each.path) for each in self.host.list(f"{directory}/ec") if each.path.isdecimal()}
        return sorted(started - ended)[:most]

    def details(self, remote_id: str) -> Sequence[JobReport]:
        """Return what accounting says of an array's jobs: times, memory, CPU time; nothing if there is none."""
        _, array_id = split_id(remote_id)
        try:
            jobs = self._watch.ask_accounting([array_id]).get(array_id, {})
        except (NetworkError, SiteError):
            return ()
        return [
            JobReport(
                index,
                seen.state,
                seen.cause,
                seen.exit_code,
                seen.started,
                seen.ended,
                seen.peak_memory_bytes,
                seen.cpu_seconds,
                seen.message,
            )
            for index in self._indices(remote_id, jobs)
            if (seen := said_of(jobs, index)) is not None and not seen.state.active
        ]

    def _indices(self, remote_id: str, jobs: Mapping[int, Seen]) -> Iterable[int]:
        about = self._watch.about(remote_id) if OTHERS in jobs else None
        return range(about.size) if about is not None else [index for index in jobs if index != OTHERS]

    def price_per_hour(self, resources: Resources) -> float:
        """Return the price of the job's cores."""
        return self.settings.price_per_core_hour * resources.cores

    # Acting

    def cancel(self, remote_id: str, indices: Sequence[int] | None = None) -> None:
        """Ask the scheduler to end jobs; those that have ended are no error."""
        _, array_id = split_id(remote_id)
        for portion in cancel_requests(indices):
            request = "all" if portion is None else to_text(portion)
            command = self.adapter.cancel_command(array_id, portion)
            call = [
                "/bin/sh",
                "-c",
                shell_file("cancel.sh"),
                "cancel.sh",
                self._directory(remote_id),
                request,
                *command,
            ]
            done = self.host.run(call)
            if self.adapter.is_busy(done):
                raise busy(self.adapter, done)
            if not self.adapter.is_over(done):
                raise SiteError(f"{self.adapter.title} did not cancel {remote_id}: {shorten(done.complaint, 300)}")
        self._watch.pace.news()

    def clean(self, remote_id: str) -> None:
        """Remove the array's directory on the cluster. Raises ``SiteError`` if it is still active."""
        name, array_id = split_id(remote_id)
        about = self._watch.about(remote_id)
        if about is None:
            return
        directory = self._directory(remote_id)
        ended = sum(each.path.isdecimal() for each in self.host.list(f"{directory}/ec"))
        if ended < about.size and self._is_active(array_id):
            raise SiteError(f"array {name} is still active, so its files are kept", "wait for its end, or cancel it")
        self.host.remove(directory)
        self._watch.forget(remote_id)

    def _is_active(self, array_id: str) -> bool:
        done = self.host.run(self.adapter.status_command([array_id]))
        if self.adapter.is_busy(done):
            raise busy(self.adapter, done)
        return any(seen.state.active for seen in self.adapter.parse_status(done).get(array_id, {}).values())

    def _directory(self, remote_id: str) -> str:
        return f"{self._place()}/arrays/{split_id(remote_id)[0]}"

    # The cluster itself

    def queues(self) -> Sequence[Queue]:
        """Return the partitions or queues with what they have and use, the default one first."""
        done = self.host.run(self.adapter.queues_command())
        if self.adapter.is_busy(done):
            raise busy(self.adapter, done)
        return sorted(self.adapter.parse_queues(done), key=lambda queue: (not queue.default, queue.name))

    def doctor(self) -> Iterator[Finding]:
        """Look at host, clock, scratch, scheduler, submission, arrays and accounting."""
        return Health(self.host, self.adapter, self.settings, self._place, self._known_limits).findings()
