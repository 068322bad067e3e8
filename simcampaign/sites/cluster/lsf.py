"""LSF: ``bsub``, ``bjobs``, ``bkill``, ``bqueues``, ``bhosts``, ``bparams``. Written for IBM Spectrum LSF 10.1."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from simcampaign.fields import Text
from simcampaign.sites.base import Queue
from simcampaign.sites.cluster.adapter import Adapter, Jobs, Limits, Request, Seen
from simcampaign.sites.cluster.lsf_words import BUSY, ENDS, REASONS, STATES
from simcampaign.sites.cluster.options import ClusterOptions
from simcampaign.sites.cluster.quantities import duration, size_in_bytes
from simcampaign.sites.cluster.ranges import to_text
from simcampaign.sites.hosts.base import Done

_SUBMITTED = re.compile(r"^Job <(\d+)> is submitted", re.MULTILINE)
_JOB = re.compile(r"(\d+)(?:\[(\d+)\])?")
_ROW = re.compile(r"(\d+)\s+\S+\s+(\S+)\s+.*\S*\[(\d+)\]\s+\S+\s+\S+\s+\S+\s*")
_UNKNOWN_ID = re.compile(r"is not found|no (?:matching|unfinished|finished)? ?jobs? found", re.IGNORECASE)
_OVER = re.compile(
    r"no matching job|is not found|already (?:finished|in)|has already|is being terminated|operation will be retried",
    re.IGNORECASE,
)
_SIZE = re.compile(r"MAX_JOB_ARRAY_SIZE\s*=\s*(\d+)")
_DEFAULT_ARRAY_SIZE = 1000
"""``MAX_JOB_ARRAY_SIZE`` where it is not set."""

_BY_BKILL = frozenset({130, 143})
"""Exit codes of a job that was sent the signals of ``bkill``, from an LSF that gives no reason."""

_FIELDS = "jobid jobindex stat exit_code exit_reason pend_reason max_mem cpu_used"

_STATUS = f"""
{{ errors=$(bjobs -a -o '{_FIELDS}' -json "$@" 2>&1 >&3); code=$?; }} 3>&1
case $errors in *llegal\\ option* | *nvalid\\ option* | *nrecognized\\ option*) exec bjobs -a -w "$@" ;; esac
[ -z "$errors" ] || printf '%s\\n' "$errors" >&2
exit $code
"""
"""LSF before 10.1 knows no JSON, and says so; its table tells states, and exit codes are left by the jobs."""

_QUEUES = """
bqueues -o 'queue_name status max hosts run' -json || exit
exec bhosts -o 'host_name status max run' -json
"""


@dataclass(kw_only=True)
class LsfOptions(ClusterOptions):
    """An IBM Spectrum LSF cluster."""

    queue: Text | None = None
    """Queue that jobs are sent to; by default the cluster's own default."""

    memory_unit: Literal["KB", "MB", "GB"] = "MB"
    """Unit that memory is asked for in."""

    memory_per_slot: bool = False
    """True if the cluster counts memory for each core (`RESOURCE_RESERVE_PER_TASK`)."""


class Lsf(Adapter):
    """LSF's commands and answers."""

    name = "lsf"
    title = "LSF"
    index_base = 1
    STATES = STATES
    REASONS = REASONS

    def variables(self, request: Request) -> Mapping[str, Any]:
        """Return how cores are spread over hosts, and the memory in the site's unit."""
        options = request.options
        if not isinstance(options, LsfOptions):
            raise TypeError("options of another scheduler")
        several = request.resources.ranks > 1
        memory = request.resources.memory_mb
        if memory:
            share = memory / (request.cores if options.memory_per_slot else 1)
            memory = max(1, math.ceil(share * {"KB": 1024, "MB": 1, "GB": 1 / 1024}[options.memory_unit]))
        return {"span": f"block={request.cpus}" if several else "hosts=1", "memory": memory}

    def submit_command(self, script_path: str) -> Sequence[str]:
        """Return ``bsub``, which reads the script's directives only from its standard input."""
        return ["/bin/sh", "-c", 'exec bsub <"$1"', "sh", script_path]

    def parse_submitted(self, text: str) -> str:
        """Read ``Job <121> is submitted to default queue <normal>.``."""
        found = _SUBMITTED.findall(text)
        if len(found) != 1:
            raise self.nonsense(text)
        return str(found[0])

    def status_command(self, ids: Sequence[str]) -> Sequence[str]:
        """Return ``bjobs`` of all jobs of these arrays; LSF remembers ended ones for an hour or so."""
        return ["/bin/sh", "-c", _STATUS, "sh", *ids]

    def parse_status(self, done: Done) -> Jobs:
        """Read the JSON of ``bjobs``, or the table of an older one; an id that is not known is an error in it."""
        text = self._answer(done)
        if text.startswith("{"):
            return self._records(text)
        jobs: dict[str, dict[int, Seen]] = {}
        for line in text.splitlines()[1:]:
            match = _ROW.fullmatch(line)
            if match is None:
                raise self.nonsense(line)
            jobs.setdefault(match[1], {})[int(match[3]) - self.index_base] = self.seen(match[2])
        return jobs

    def _answer(self, done: Done) -> str:
        """Return what ``bjobs`` told, without what it printed while it waited; empty if there are no such jobs."""
        complaints = [line for line in done.err.decode(errors="replace").splitlines() if line.strip()]
        known = re.search(r"^(?:\{|JOBID\s)", done.text, re.MULTILINE)
        if known is not None:
            return done.text[known.start() :]
        if not done.text.strip() and complaints and all(_UNKNOWN_ID.search(line) for line in complaints):
            return ""
        self.refuse(done)
        raise self.nonsense(done.text or "\n".join(complaints))

    def _records(self, text: str) -> Jobs:
        jobs: dict[str, dict[int, Seen]] = {}
        for document in self._documents(text):
            for record in document:
                match = _JOB.fullmatch(str(record.get("JOBID", "")))
                if match is None:
                    raise self.nonsense(repr(record))
                if "ERROR" in record and _UNKNOWN_ID.search(str(record["ERROR"])):
                    continue
                index = str(record.get("JOBINDEX") or match[2] or "0")
                if not index.isdecimal():
                    raise self.nonsense(repr(record))
                jobs.setdefault(match[1], {})[max(0, int(index) - self.index_base)] = self._job(record)
        return jobs

    def _job(self, record: Mapping[str, Any]) -> Seen:
        code = str(record.get("STAT", ""))
        pending = str(record.get("PEND_REASON") or "").strip().rstrip(";").strip()
        status, why = str(record.get("EXIT_CODE") or ""), str(record.get("EXIT_REASON") or "")
        used: dict[str, Any] = {
            "peak_memory_bytes": size_in_bytes(str(record.get("MAX_MEM") or "")) or None,
            "cpu_seconds": duration(str(record.get("CPU_USED") or "")),
        }
        exit_code = int(status) if status.isdecimal() else None
        if self.STATES.get(code) is not STATES["EXIT"]:
            reason = pending if code == "PEND" else ""
            return self.seen(code, reason, 0 if code == "DONE" else None, **used)
        meaning = ENDS.get(re.split(r"[:\s]", why, maxsplit=1)[0])
        if meaning is None and exit_code in _BY_BKILL and not why:
            meaning = ENDS["TERM_OWNER"]
        if meaning is None:
            return self.seen(code, why, exit_code, **used)
        return Seen(meaning.state, meaning.cause, exit_code, f"{code} {why}".strip(), meaning.sentence, **used)

    def find_command(self, name: str) -> Sequence[str]:
        """Return ``bjobs`` by name, of ended jobs too."""
        return ["bjobs", "-a", "-w", "-J", name]

    def parse_found(self, done: Done, name: str) -> Sequence[str]:
        """Read the ids out of the table; ``Job <NAME> is not found`` if there is none."""
        found: dict[str, None] = {}
        for line in self._answer(done).splitlines()[1:]:
            match = _ROW.fullmatch(line)
            if match is None:
                raise self.nonsense(line)
            if f" {name}[" in line:
                found[match[1]] = None
        return list(found)

    def cancel_command(self, array_id: str, indices: Sequence[int] | None) -> Sequence[str]:
        """Return ``bkill 121``, or ``bkill 121[1-4,7]``."""
        if indices is None:
            return ["bkill", array_id]
        return ["bkill", f"{array_id}[{to_text(index + self.index_base for index in indices)}]"]

    def is_over(self, done: Done) -> bool:
        """Tell whether ``bkill`` only says that jobs have ended."""
        lines = [line for line in done.err.decode(errors="replace").splitlines() if line.strip()]
        return done.code == 0 or (bool(lines) and all(_OVER.search(line) for line in lines))

    def version_command(self) -> Sequence[str]:
        """Return ``lsid``, whose first line is the version."""
        return ["lsid"]

    def queues_command(self) -> Sequence[str]:
        """Return ``bqueues`` and ``bhosts``."""
        return ["/bin/sh", "-c", _QUEUES]

    def parse_queues(self, done: Done) -> Sequence[Queue]:
        """Put each queue together with its hosts; of a queue of host groups LSF tells no sums."""
        self.refuse(done)
        documents = list(self._documents(done.text))
        if len(documents) != 2:
            raise self.nonsense(done.text)
        hosts = {str(host.get("HOST_NAME", "")): host for host in documents[1]}
        return [_queue(record, hosts) for record in documents[0]]

    def limits_command(self) -> Sequence[str]:
        """Return ``bparams``."""
        return ["bparams", "-a"]

    def parse_limits(self, done: Done) -> Limits:
        """Read ``MAX_JOB_ARRAY_SIZE``, which bounds the index."""
        self.refuse(done)
        match = _SIZE.search(done.text)
        return Limits(int(match[1]) if match else _DEFAULT_ARRAY_SIZE, False)

    def is_busy(self, done: Done) -> bool:
        """Tell whether LSF did not answer."""
        return done.code != 0 and bool(BUSY.search((done.err + done.out).decode(errors="replace")))

    def _documents(self, text: str) -> Iterator[list[dict[str, Any]]]:
        """Yield the records of each JSON document in ``text``."""
        decoder, rest = json.JSONDecoder(strict=False), text[max(text.find("{"), 0) :].strip()
        while rest:
            try:
                document, end = decoder.raw_decode(rest)
            except ValueError as error:
                raise self.nonsense(rest) from error
            records = document.get("RECORDS") if isinstance(document, dict) else None
            if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
                raise self.nonsense(rest)
            yield records
            rest = rest[end:].lstrip()


def _queue(record: Mapping[str, Any], hosts: Mapping[str, Mapping[str, Any]]) -> Queue:
    names = str(record.get("HOSTS") or "").replace("/", " ").split()
    chosen = list(hosts.values()) if names in (["all"], ["default"], []) else [hosts[n] for n in names if n in hosts]
    known = bool(chosen) and (names in (["all"], ["default"], []) or len(chosen) == len(names))
    state = str(record.get("STATUS", ""))
    slots, running = [_count(host.get("MAX")) for host in chosen], [_count(host.get("RUN")) for host in chosen]
    return Queue(
        str(record.get("QUEUE_NAME", "")),
        "up" if state.startswith("Open:Active") else f"down ({state})",
        len(chosen) if known else None,
        sum(each > 0 for each in running) if known else None,
        sum(slots) if known else None,
        sum(running) if known else _count(record.get("RUN")),
    )


def _count(value: object) -> int:
    text = str(value)
    return int(text) if text.isdecimal() else 0
