"""Grid Engine: ``qsub``, ``qstat``, ``qacct``, ``qdel``, ``qhost``, ``qconf``. Tried with Son of Grid Engine 8.1.9."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree

from simcampaign.errors import SiteError
from simcampaign.fields import Text, split_command
from simcampaign.jobs import Cause, JobState
from simcampaign.sites.base import Queue
from simcampaign.sites.cluster.adapter import Adapter, Jobs, Limits, Meaning, Request, Seen
from simcampaign.sites.cluster.options import ClusterOptions
from simcampaign.sites.cluster.quantities import duration, moment, size_in_bytes, size_in_mb
from simcampaign.sites.cluster.ranges import from_text, to_text
from simcampaign.sites.cluster.sge_words import BUSY, FAILURES, GONE_AGAIN, LETTERS, REASONS, STATES
from simcampaign.sites.hosts.base import Done

_ID = re.compile(r"(\d+)(?:\.\d+-\d+:\d+)?")
_NOT_FOUND = re.compile(r"job (?:id|name) \S+ not found|no jobs running since startup|/accounting: No such file")
_OVER = re.compile(
    r"does not exist|comprises no tasks|has (?:deleted|registered) |is already in deletion|no match|^\s*$",
    re.IGNORECASE,
)
_WHEN = re.compile(r"^\S+ \S+ \[\d+:\d+\]: (?:error: )?")
_XML = "<?xml"

_QSUB = """
{ errors=$(qsub "$@" 2>&1 >&3); code=$?; } 3>&1
[ -z "$errors" ] || printf '%s\\n' "$errors" | grep -vx 'Exiting\\.' | tr '\\n' ' ' >&2
exit $code
"""
"""Its reasons in one line; the last is always ``Exiting.``."""

_STATUS = """
export TZ=UTC
answer=$(qstat -xml -u "$(id -un)"); code=$?
printf '%s\\n' "$answer"
[ $code -eq 0 ] || exit $code
case $answer in *'<state>E'*) exec qstat -xml -j "$1";; esac
"""
"""All jobs of the user; where some could not be started, also why."""

_ACCOUNTING = """
export TZ=UTC LC_ALL=C
code=0
for id; do qacct -j "$id" || code=$?; done
exit $code
"""

_FIND = """
qstat -xml -u "$(id -un)" || exit
exec qacct -o "$(id -un)" -j "$1"
"""

_QUEUES = """
qhost -q -xml || exit
exec qconf -sq '*'
"""


@dataclass(kw_only=True)
class SgeOptions(ClusterOptions):
    """A Grid Engine cluster: Son of Grid Engine, Open Grid Scheduler, Altair Grid Engine."""

    queue: Text | None = None
    """Queue, or queues with commas between, that jobs are sent to; by default Grid Engine chooses."""

    project: Text | None = None
    """Project, `qsub -P`. (`account` is the accounting string, `qsub -A`.)"""

    parallel_environment: Text | None = None
    """Parallel environment of jobs with more than one core, e.g. `smp`; `qconf -spl` lists them."""

    mpi_environment: Text | None = None
    """Parallel environment of jobs with more than one rank; by default the same."""

    memory_resource: Text = "h_vmem"
    """Resource that memory is asked for with."""

    memory_per_slot: bool = True
    """True if `memory_resource` counts for each core, as it does by default."""

    time_resource: Text = "h_rt"
    """Resource that the time limit is asked for with."""

    gpu_resource: Text = "gpu"
    """Resource that GPUs are asked for with."""

    exclusive_resource: Text = "exclusive"
    """Resource that a node of one's own is asked for with."""


class Sge(Adapter):
    """Grid Engine's commands and answers."""

    name = "sge"
    title = "Grid Engine"
    index_base = 1
    accounting_seconds = 20.0  # ``flush_time`` of ``reporting_params`` is 15 s where nobody has changed it
    STATES = STATES
    REASONS = REASONS

    def variables(self, request: Request) -> Mapping[str, Any]:
        """Return the shell, the parallel environment, the resources and the events of mail."""
        options = request.options
        if not isinstance(options, SgeOptions):
            raise TypeError("options of another scheduler")
        return {
            "shell": split_command(options.shell)[0],
            "environment": _environment(request, options),
            "resources": list(_resources(request, options)),
            "events": "".join({"begin": "b", "end": "e", "fail": "a"}[event] for event in options.mail_events) or "n",
        }

    def submit_command(self, script_path: str) -> Sequence[str]:
        """Return ``qsub``."""
        return ["/bin/sh", "-c", _QSUB, "sh", "-terse", script_path]

    def parse_submitted(self, text: str) -> str:
        """Read ``7.1-100:1``."""
        lines = text.strip().splitlines()
        match = _ID.fullmatch(lines[-1].strip()) if lines else None
        if match is None:
            raise self.nonsense(text)
        return match[1]

    def test_command(self, script_path: str) -> Sequence[str]:
        """Return ``qsub -w v``, which only checks whether the jobs could ever run."""
        return ["/bin/sh", "-c", _QSUB, "sh", "-w", "v", script_path]

    def status_command(self, ids: Sequence[str]) -> Sequence[str]:
        """Return ``qstat`` of all jobs of the user; Grid Engine tells of ended jobs only in its accounting."""
        return ["/bin/sh", "-c", _STATUS, "sh", ",".join(ids)]

    def parse_status(self, done: Done) -> Jobs:
        """Read the XML of ``qstat``: a job for each that runs, a range of indices for those that wait."""
        self.refuse(done)
        documents = self._documents(done.text)
        if not documents:
            raise self.nonsense(done.text)
        jobs: dict[str, dict[int, Seen]] = {}
        for entry in documents[0].iter("job_list"):
            number, letters = entry.findtext("JB_job_number", ""), entry.findtext("state", "")
            if not number.isdecimal():
                raise self.nonsense(ElementTree.tostring(entry, "unicode"))
            seen = self.seen(self._letter(letters), started=moment(entry.findtext("JAT_start_time", "")))
            seen = replace(seen, code=letters)
            tasks = jobs.setdefault(number, {})
            tasks.update(dict.fromkeys(self._indices(entry.findtext("tasks") or "1"), seen))
        for document in documents[1:]:
            _explain(jobs, document)
        return jobs

    def accounting_command(self, ids: Sequence[str]) -> Sequence[str]:
        """Return ``qacct`` of each array; records come a second or two after a job's end."""
        return ["/bin/sh", "-c", _ACCOUNTING, "sh", *ids]

    def parse_accounting(self, done: Done) -> Jobs:
        """Read one record for each job; of a job that was started more than once the last counts."""
        self._refuse_accounting(done)
        jobs: dict[str, dict[int, Seen]] = {}
        for record in _records(done.text):
            number, task = record.get("jobnumber", ""), record.get("taskid", "")
            if not number.isdecimal():
                raise self.nonsense(repr(record))
            code = record.get("failed", "").split(" ", 1)[0]
            if code in GONE_AGAIN:
                continue
            index = int(task) - 1 if task.isdecimal() else 0
            jobs.setdefault(number, {})[index] = self._accounted(code, record)
        return jobs

    def _accounted(self, code: str, record: Mapping[str, str]) -> Seen:
        status = record.get("exit_status", "").split(" ", 1)[0]
        if not (code.isdecimal() and status.isdecimal()):
            raise self.nonsense(repr(dict(record)))
        meaning = _ending(code, int(status), record)
        return Seen(
            meaning.state,
            meaning.cause,
            int(status) if code in {"0", "100"} else None,
            f"failed {record['failed']}" if code != "0" else "",
            meaning.sentence,
            started=moment(record.get("start_time", "")),
            ended=moment(record.get("end_time", "")),
            peak_memory_bytes=size_in_bytes(record.get("maxvmem", "").rstrip("s")) or None,
            cpu_seconds=duration(record.get("cpu", "")),
        )

    def find_command(self, name: str) -> Sequence[str]:
        """Return ``qstat`` of the user's jobs, and ``qacct`` by name."""
        return ["/bin/sh", "-c", _FIND, "sh", name]

    def parse_found(self, done: Done, name: str) -> Sequence[str]:
        """Read the arrays' ids out of both."""
        self._refuse_accounting(done)
        documents = self._documents(done.text)
        if not documents:
            raise self.nonsense(done.text)
        queued = [
            entry.findtext("JB_job_number", "")
            for entry in documents[0].iter("job_list")
            if entry.findtext("JB_name") == name
        ]
        ended = [record.get("jobnumber", "") for record in _records(done.text) if record.get("jobname") == name]
        found = dict.fromkeys([*queued, *ended])
        if not all(number.isdecimal() for number in found):
            raise self.nonsense(repr(list(found)))
        return list(found)

    def cancel_command(self, array_id: str, indices: Sequence[int] | None) -> Sequence[str]:
        """Return ``qdel 7``, or ``qdel 7.1-4 7.9``."""
        if indices is None:
            return ["qdel", array_id]
        tasks = to_text(index + self.index_base for index in indices)
        return ["qdel", *(f"{array_id}.{task}" for task in tasks.split(","))]

    def is_over(self, done: Done) -> bool:
        """Tell whether ``qdel`` only says that some jobs have ended."""
        lines = (done.out + b"\n" + done.err).decode(errors="replace").splitlines()
        return done.code == 0 or (any(map(str.strip, lines)) and all(_OVER.search(line) for line in lines))

    def version_command(self) -> Sequence[str]:
        """Return ``qstat -help``, whose first line is the version."""
        return ["qstat", "-help"]

    def queues_command(self) -> Sequence[str]:
        """Return ``qhost`` with the queues of each host, and ``qconf`` with their limits."""
        return ["/bin/sh", "-c", _QUEUES]

    def parse_queues(self, done: Done) -> Sequence[Queue]:
        """Add up the hosts of each queue."""
        self.refuse(done)
        documents = self._documents(done.text)
        if not documents:
            raise self.nonsense(done.text)
        queues = {
            queue["qname"]: Queue(queue["qname"], "no hosts", 0, 0, 0, 0, 0, 0, duration(queue.get("h_rt", "")))
            for queue in _blocks(done.text.rpartition("</qhost>")[2], "qname")
        }
        for host in documents[0].iter("host"):
            values = {each.get("name", ""): each.text or "" for each in host.findall("hostvalue")}
            for instance in host.findall("queue"):
                name = instance.get("name", "")
                queues[name] = _with_host(queues.get(name) or Queue(name, "", 0, 0, 0, 0, 0, 0), instance, values)
        return list(queues.values())

    def limits_command(self) -> Sequence[str]:
        """Return ``qconf -sconf``."""
        return ["qconf", "-sconf"]

    def parse_limits(self, done: Done) -> Limits:
        """Read ``max_aj_tasks``, where 0 stands for no limit."""
        self.refuse(done)
        config = dict(line.split(None, 1) for line in done.text.splitlines() if len(line.split(None, 1)) == 2)
        size = config.get("max_aj_tasks", "").strip()
        if not size.isdecimal():
            raise SiteError("Grid Engine does not tell its max_aj_tasks", "set max_array_size in the site's options")
        return Limits(int(size) or None, "accounting=true" in config.get("reporting_params", ""))

    def is_busy(self, done: Done) -> bool:
        """Tell whether the master did not answer."""
        return done.code != 0 and bool(BUSY.search((done.err + done.out).decode(errors="replace")))

    def _letter(self, letters: str) -> str:
        if not letters or set(letters) - set(LETTERS):
            return letters
        return next((each for each in LETTERS if each in letters and each in STATES), letters)

    def _indices(self, text: str) -> Iterator[int]:
        try:
            return iter([number - self.index_base for number in from_text(text)])
        except ValueError as error:
            raise self.nonsense(text) from error

    def _documents(self, text: str) -> list[ElementTree.Element]:
        """Return the XML documents that stand one after another in ``text``; what follows the last is left out."""
        documents = []
        for part in text.split(_XML)[1:]:
            end = part.rfind("</")
            whole = part[: part.find(">", end) + 1]
            try:
                documents.append(ElementTree.fromstring(_XML + whole))  # noqa: S314 - the scheduler's own answer
            except ElementTree.ParseError as error:
                raise self.nonsense(part) from error
        return documents

    def _refuse_accounting(self, done: Done) -> None:
        """Raise ``SiteError`` unless the only complaint is that there is no record (yet)."""
        lines = [line for line in done.err.decode(errors="replace").splitlines() if line.strip()]
        if done.code and not (lines and all(_NOT_FOUND.search(line) for line in lines)):
            self.refuse(done)


def _environment(request: Request, options: SgeOptions) -> str | None:
    if request.cores == 1:
        return None
    several = request.resources.ranks > 1
    chosen = (options.mpi_environment if several else None) or options.parallel_environment
    if chosen is None:
        raise SiteError(
            f"a job of {request.cores} cores needs a parallel environment of Grid Engine, and the site names none",
            "`qconf -spl` lists them; set parallel_environment in the site's options",
        )
    return chosen


def _resources(request: Request, options: SgeOptions) -> Iterator[str]:
    resources = request.resources
    if resources.memory_mb:
        share = request.cores if options.memory_per_slot else 1
        yield f"{options.memory_resource}={math.ceil(resources.memory_mb / share)}M"
    if resources.timeout_seconds:
        yield f"{options.time_resource}={math.ceil(resources.timeout_seconds)}"
    if resources.gpus:
        yield f"{options.gpu_resource}={resources.gpus}"
    if options.exclusive:
        yield f"{options.exclusive_resource}=true"


def _explain(jobs: dict[str, dict[int, Seen]], document: ElementTree.Element) -> None:
    """Put Grid Engine's own words why jobs could not be started into what was seen of them."""
    for element in document.iterfind("djob_info/element"):
        tasks = jobs.get(element.findtext("JB_job_number", ""), {})
        for task in element.iterfind("JB_ja_tasks/*"):
            number, message = task.findtext("JAT_task_number", ""), task.findtext(".//QIM_message", "")
            seen = tasks.get(int(number) - 1) if number.isdecimal() else None
            if seen and message and seen.state is JobState.FAILED:
                reason = _WHEN.sub("", message.strip())
                tasks[int(number) - 1] = replace(seen, message=f"{seen.message}: {reason}")


def _ending(code: str, status: int, record: Mapping[str, str]) -> Meaning:
    """Return what ``failed`` and ``exit_status`` of a record stand for."""
    if code == "0" and status == 0:
        return Meaning(JobState.FINISHED)
    if code in {"37", "100"}:
        return _limit(record) or FAILURES[code]
    if code == "0":
        return Meaning(JobState.FAILED, Cause.APPLICATION, "the command failed")
    text = REASONS.get(code) or record["failed"].partition(":")[2].strip() or f"code {code}"
    return FAILURES.get(code) or Meaning(JobState.FAILED, Cause.INFRASTRUCTURE, text)


def _limit(record: Mapping[str, str]) -> Meaning | None:
    """Return which of its limits a killed job had reached, as told by what it asked for; None if none."""
    asked = dict(re.findall(r"(h_vmem|h_rt)=([^\s,]+)", record.get("category", "")))
    memory, most = size_in_bytes(record.get("maxvmem", "")), size_in_bytes(asked.get("h_vmem", ""))
    if memory and most and memory >= 0.95 * most:
        return Meaning(JobState.FAILED, Cause.OUT_OF_MEMORY, "it used more memory than it had asked for")
    time, longest = duration(record.get("ru_wallclock", "")), duration(asked.get("h_rt", ""))
    if time and longest and time >= longest:
        return FAILURES["37"]
    return None


def _blocks(text: str, first: str) -> Iterator[dict[str, str]]:
    """Yield groups of ``name value`` lines, each beginning with the name ``first``."""
    block: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == first and block:
            yield block
            block = {}
        if name:
            block[name] = value.strip()
    if block:
        yield block


def _records(text: str) -> Iterator[dict[str, str]]:
    """Yield the records that ``qacct`` printed, each below a line of equals signs."""
    for part in re.split(r"^={20,}\s*$", text, flags=re.MULTILINE)[1:]:
        yield from _blocks(part, "qname")


def _with_host(queue: Queue, instance: ElementTree.Element, host: Mapping[str, str]) -> Queue:
    """Return the queue with one more of its hosts added."""
    values = {each.get("name", ""): each.text or "" for each in instance.findall("queuevalue")}
    used, slots = (int(values.get(name, "0") or 0) for name in ("slots_used", "slots"))
    letters = values.get("state_string", "")
    state = "up" if not set(letters) & set("dDuEsSCoc") else f"down ({letters})"
    return replace(
        queue,
        state="up" if "up" in {state, queue.state} else state,
        nodes=(queue.nodes or 0) + 1,
        nodes_used=(queue.nodes_used or 0) + (used > 0),
        cores=(queue.cores or 0) + slots,
        cores_used=(queue.cores_used or 0) + used,
        memory_mb=(queue.memory_mb or 0) + (size_in_mb(host.get("mem_total", "")) or 0),
        memory_used_mb=(queue.memory_used_mb or 0) + (size_in_mb(host.get("mem_used", "")) or 0),
    )
