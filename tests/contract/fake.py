"""A site in memory that can be told what goes wrong; without faults it keeps the whole contract."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import TypeAdapter, ValidationError

from simcampaign.errors import ConfigError, NetworkError, SiteError
from simcampaign.fields import STRICT, Count, Price
from simcampaign.jobs import ACTIVE, ArrayReport, ArraySpec, JobReport, JobState, Resources
from simcampaign.logfilter import filter_log, line_filter
from simcampaign.mistakes import explain
from simcampaign.sites.base import Capabilities, Finding, Queue
from simcampaign.sites.hosts.base import Host
from tests.contract.cloud import Array, Cloud, Performance

LATENCY = 0.01
"""Seconds of the cloud's clock that a call takes."""

DELAY = 3.0
"""Seconds of the cloud's clock that it takes to list what was accepted; what is cut off may arrive later still."""

YEARS = 1e8


class Fault(StrEnum):
    """What can go wrong with one call; the value says which calls it is for."""

    CUT = "any: the connection is cut before anything arrives"
    REFUSED = "any: the site refuses"
    LOST_REPLY = "submit: the array arrives, the reply does not"
    LATE = "submit: the connection is cut, and the array arrives later"
    TWICE = "submit: the request arrives twice"
    HIDDEN = "submit: the array arrives, the reply does not, and at first the site does not list it"
    NONSENSE = "status: an answer that cannot be understood"
    STRANGERS = "status: it tells of arrays and jobs that nobody asked for or that never were"
    SILENT = "status: it leaves arrays out"
    REPEATED = "status: it tells everything again"
    BACKWARDS = "status: it tells ended jobs as running, and running ones as queued"
    CLOCK = "status: its clock is years off, and jobs end before they start"
    LOST_JOB = "status: a job has vanished"
    LOST_ARRAY = "status: an array has vanished"
    IGNORED = "cancel: it is accepted, and nothing happens"

    @property
    def call(self) -> str:
        return self.value.partition(":")[0]


FAULTS = {
    call: [fault for fault in Fault if fault.call in {"any", call}]
    for call in ("submit", "find", "status", "cancel", "logs", "clean")
}


@dataclass
class FakeOptions:
    """What can be set of a fake site."""

    __pydantic_config__ = STRICT

    slots: Count = 2
    """Jobs at once."""

    price: Price = 0.0
    """Price of a core for an hour."""


_CLOUDS: dict[str, Cloud] = {}
"""A cloud is where it is: a site that is carried elsewhere finds it again by this number."""


class FakeSite:
    """Runs jobs in a cloud in memory."""

    capabilities = Capabilities(adopts=True, cost=True, queues=True)
    options: ClassVar[type[Any]] = FakeOptions

    def __init__(
        self,
        cloud: Cloud,
        name: str = "fake",
        *,
        price: float = 0.0,
        fault: Callable[[str], Fault | None] = lambda call: None,
        between: Callable[[str], None] = lambda call: None,
    ) -> None:
        """Stand before ``cloud``; ``fault`` says what goes wrong with a call, ``between`` is called before each."""
        self.name = name
        self.host: Host | None = None
        self.depot = None
        self.scratch = ""
        self.cloud_id = uuid.uuid4().hex
        _CLOUDS[self.cloud_id] = cloud
        self.price = price
        self.fault = fault
        self.between = between

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in {"fault", "between"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, fault=lambda call: None, between=lambda call: None)

    @property
    def cloud(self) -> Cloud:
        return _CLOUDS[self.cloud_id]

    @classmethod
    def configure(cls, name: str, options: Any) -> Self:
        """Make a site with a cloud of its own, in which every job does nothing."""
        try:
            checked: FakeOptions = TypeAdapter(FakeOptions).validate_python(options)
        except ValidationError as error:
            raise ConfigError(explain(error, name, FakeOptions, options)) from error
        return cls(Cloud(lambda array, job: Performance(), slots=checked.slots), name, price=checked.price)

    def check(self, array: ArraySpec) -> None:
        if array.command[:1] == ("no-such-program",):
            raise SiteError("command 'no-such-program': is not here", "check its spelling")

    def submit(self, array: ArraySpec) -> str:
        with self._call("submit") as fault:
            self.check(array)
            if fault is Fault.LATE:
                self.cloud.receive_later(array, 2 * DELAY)
                raise NetworkError("the connection was cut")
            remote_id = self.cloud.receive(array)
            if fault is Fault.HIDDEN:
                self.cloud.hide(array.name, DELAY)
            if fault is Fault.TWICE:
                self.cloud.receive(array)
            if fault in {Fault.LOST_REPLY, Fault.HIDDEN}:
                raise NetworkError("the reply was lost")
            return remote_id

    def find(self, name: str) -> str | None:
        with self._call("find"):
            found = self.cloud.listed(name)
            if found is None:
                self.cloud.advance(DELAY)  # as long as it may take to list what was accepted
                found = self.cloud.listed(name)
            if found is None:
                self.cloud.fence(name)
            return found

    def status(self, cursors: Mapping[str, str]) -> Mapping[str, ArrayReport]:
        with self._call("status") as fault:
            if fault is Fault.NONSENSE:
                raise SiteError("an answer cannot be understood")
            if fault in {Fault.LOST_ARRAY, Fault.LOST_JOB}:
                self._lose(fault, [self.cloud.arrays[each] for each in cursors if each in self.cloud.arrays])
            reports = {remote_id: self._report(remote_id, cursor) for remote_id, cursor in cursors.items()}
            return self._distorted(reports, cursors, fault)

    def _report(self, remote_id: str, cursor: str) -> ArrayReport:
        array = self.cloud.arrays.get(remote_id)
        offset = self._offset(remote_id, cursor)
        if array is None:
            return ArrayReport(cursor, known=False)
        latest = {report.index: report for report in array.journal[offset:]}
        return ArrayReport(f"{remote_id}@{len(array.journal)}", tuple(latest.values()))

    @staticmethod
    def _offset(remote_id: str, cursor: str) -> int:
        owner, _, offset = cursor.rpartition("@")
        if not cursor:
            return 0
        if owner != remote_id or not offset.isdecimal():
            raise SiteError(f"{cursor!r} is not a cursor of {remote_id}")
        return int(offset)

    def _lose(self, fault: Fault, arrays: Sequence[Array]) -> None:
        for array in [each for each in arrays if not each.over][:1]:
            if fault is Fault.LOST_ARRAY:
                self.cloud.forget(array.remote_id)
            else:
                self.cloud.lose(array, next(index for index, state in array.states.items() if state.active))

    def _distorted(
        self, reports: dict[str, ArrayReport], cursors: Mapping[str, str], fault: Fault | None
    ) -> dict[str, ArrayReport]:
        known = {each: report for each, report in reports.items() if report.known}
        if fault is Fault.STRANGERS:
            odd = JobReport(10**6, JobState.FINISHED, exit_code=0)
            others = {each: replace(report, changes=[*report.changes, odd]) for each, report in known.items()}
            return reports | others | {"fake:stranger:0": ArrayReport("", [odd])}
        if fault is Fault.SILENT:
            return dict(list(reports.items())[1:])
        if fault is Fault.REPEATED:
            return reports | {each: replace(self._report(each, ""), cursor=known[each].cursor) for each in known}
        if fault is Fault.BACKWARDS:
            return reports | {each: self._backwards(each, cursors[each]) for each in known}
        if fault is Fault.CLOCK:
            return reports | {each: replace(r, changes=[_off(c) for c in r.changes]) for each, r in known.items()}
        return reports

    def _backwards(self, remote_id: str, cursor: str) -> ArrayReport:
        """Tell of each job what it was before, and keep the truth for the next look."""
        last = {each.index: each.state for each in self.cloud.arrays[remote_id].journal}
        changes = [
            JobReport(index, JobState.QUEUED if state in ACTIVE else JobState.RUNNING) for index, state in last.items()
        ]
        return ArrayReport(cursor, changes)

    def wait(self, remote_ids: Sequence[str], timeout_seconds: float) -> None:
        with self.cloud.lock:
            self.cloud.advance(timeout_seconds, remote_ids)

    def logs(self, remote_id: str, indices: Sequence[int], pattern: str = "") -> Iterator[tuple[int, bytes]]:
        with self._call("logs"):
            array = self.cloud.arrays.get(remote_id)
            said = dict(array.output) if array else {}
        keep = line_filter(pattern)
        for index in indices:
            if said.get(index):
                yield index, filter_log(said[index], keep) if pattern else said[index]

    def running(self, remote_id: str, most: int) -> Sequence[int]:
        with self._call("running"):
            array = self.cloud.arrays.get(remote_id)
            return list(array.running)[:most] if array else []

    def details(self, remote_id: str) -> Sequence[JobReport]:
        del remote_id
        return ()

    def price_per_hour(self, resources: Resources) -> float:
        return self.price * resources.cores

    def cancel(self, remote_id: str, indices: Sequence[int] | None = None) -> None:
        with self._call("cancel") as fault:
            array = self.cloud.arrays.get(remote_id)
            if array is not None and fault is not Fault.IGNORED:
                self.cloud.cancel(array, indices)

    def clean(self, remote_id: str) -> None:
        with self._call("clean"):
            array = self.cloud.arrays.get(remote_id)
            if array is not None and not array.over:
                raise SiteError(f"array {array.spec.name} is still active", "wait for its end")
            self.cloud.forget(remote_id)

    def queues(self) -> Sequence[Queue]:
        return [Queue("main", "up", nodes=1, default=True)]

    def doctor(self) -> Iterator[Finding]:
        try:
            with self._call("doctor"):
                yield Finding("cloud", True, f"{len(self.cloud.arrays)} arrays")
        except (SiteError, NetworkError) as error:
            yield Finding("cloud", False, str(error))

    @contextmanager
    def _call(self, name: str) -> Iterator[Fault | None]:
        """Make one call: it takes time, and something may go wrong."""
        self.between(name)
        with self.cloud.lock:
            self.cloud.advance(LATENCY)
            fault = self.fault(name)
            if fault is Fault.CUT:
                raise NetworkError(f"{name}: the connection was cut")
            if fault is Fault.REFUSED:
                raise SiteError(f"{name}: refused")
            yield fault


def _off(report: JobReport) -> JobReport:
    """The same report by a clock that is years off and ran backwards meanwhile."""
    started = None if report.started is None else report.started + YEARS
    return replace(report, started=started, ended=None if report.ended is None else report.ended - YEARS)
