"""PBS: ``qsub``, ``qstat``, ``qselect``, ``qdel``, ``pbsnodes``. Written for OpenPBS and PBS Professional."""

from __future__ import annotations

import json
import math
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simcampaign.fields import Text
from simcampaign.jobs import Cause, JobState
from simcampaign.sites.base import Queue
from simcampaign.sites.cluster.adapter import Adapter, Jobs, Limits, Meaning, Request, Seen
from simcampaign.sites.cluster.options import ClusterOptions
from simcampaign.sites.cluster.pbs_words import BUSY, ENDS, EXCEEDED, REASONS, STATES
from simcampaign.sites.cluster.quantities import duration, moment, size_in_bytes, size_in_mb
from simcampaign.sites.cluster.ranges import to_text
from simcampaign.sites.hosts.base import Done

_ID = re.compile(r"\d+(?:\[\])?(?:\.\S+)?")
_JOB = re.compile(r"(?P<number>\d+)(?:\[(?P<index>\d*)\])?(?P<server>\.\S+)?")
_UNKNOWN_ID = re.compile(r"unknown job id|job has finished", re.IGNORECASE)
_OVER = re.compile(r"unknown job id|job has finished|invalid for state of job", re.IGNORECASE)
_EXCEEDED = re.compile(r"exceeded (?:resource )?(\w+)")
_STRAY = re.compile(r'\\(?!["\\/bfnrtu])')
_SIGNAL_BASE, _KILLED = 256, 128
_TERMINATED = 91
"""``substate`` of a job that was deleted."""

_WITH_HISTORY = """
export TZ=UTC LC_ALL=C
program=$1
shift
{ errors=$("$program" -x "$@" 2>&1 >&3); code=$?; } 3>&1
case $errors in
    *"job history"* | *job_history*) exec "$program" "$@" ;;
esac
[ -z "$errors" ] || printf '%s\\n' "$errors" >&2
exit $code
"""
"""Asks for ended jobs too; a server that keeps none of them says so, and is asked for the others."""

_QUEUES = """
qstat -Q -f -F json || exit
qstat -B -f -F json || exit
pbsnodes -a -F json || :
"""


@dataclass(kw_only=True)
class PbsOptions(ClusterOptions):
    """An OpenPBS or PBS Professional cluster."""

    queue: Text | None = None
    """Queue that jobs are sent to; by default the server's own default."""

    project: Text | None = None
    """Project, `qsub -P`. (`account` is `qsub -A`.)"""


class Pbs(Adapter):
    """PBS's commands and answers."""

    name = "pbs"
    title = "PBS"
    STATES = STATES
    REASONS = REASONS

    def variables(self, request: Request) -> Mapping[str, Any]:
        """Return what is asked for, and the events of mail."""
        seconds, events = request.resources.timeout_seconds, request.options.mail_events
        return {
            "select": _select(request),
            "seconds": None if seconds is None else math.ceil(seconds),
            "events": "".join({"begin": "b", "end": "e", "fail": "a"}[event] for event in events) or "n",
        }

    def submit_command(self, script_path: str) -> Sequence[str]:
        """Return ``qsub``."""
        return ["qsub", script_path]

    def parse_submitted(self, text: str) -> str:
        """Read ``20[].server``, or ``20.server`` of a single job."""
        lines = text.strip().splitlines()
        if not lines or _ID.fullmatch(lines[-1].strip()) is None:
            raise self.nonsense(text)
        return lines[-1].strip()

    def status_command(self, ids: Sequence[str]) -> Sequence[str]:
        """Return ``qstat`` of all jobs of these arrays, of ended ones too if the server keeps a history."""
        return ["/bin/sh", "-c", _WITH_HISTORY, "sh", "qstat", "-t", "-f", "-F", "json", *ids]

    def parse_status(self, done: Done) -> Jobs:
        """Read the JSON of ``qstat``; ids that the server does not know any more are only named in its errors."""
        self._refuse_status(done)
        jobs: dict[str, dict[int, Seen]] = {}
        documents = list(self._documents(done.text))
        if not done.code and not any("Jobs" in document for document in documents):
            raise self.nonsense(done.text)  # for an id that is not known there is a complaint, not silence
        for document in documents:
            for key, values in self._entries(document, "Jobs"):
                match = _JOB.fullmatch(key)
                if match is None:
                    raise self.nonsense(key)
                server = match["server"] or ""
                if match["index"] is None:
                    jobs.setdefault(f"{match['number']}{server}", {})[0] = self._job(values)
                elif match["index"]:
                    array = jobs.setdefault(f"{match['number']}[]{server}", {})
                    array[int(match["index"])] = self._job(values)
        return jobs

    def _job(self, values: Mapping[str, Any]) -> Seen:
        code, comment, used = str(values.get("job_state", "")), str(values.get("comment", "")), _used(values)
        seen = self.seen(code, _waits_for(comment))
        if seen.state is not JobState.FINISHED:
            message = seen.message if seen.state is JobState.QUEUED else self.STATES[code].sentence
            return Seen(seen.state, None, None, code, message, **used)
        status = values.get("Exit_status")
        if status is not None and not isinstance(status, int):
            raise self.nonsense(repr(status))
        meaning = _ending(status, comment, values.get("substate") == _TERMINATED)
        ended = moment(str(values.get("obittime", ""))) or _number(values.get("history_timestamp"))
        return Seen(
            meaning.state, meaning.cause, _exit_code(status), f"{code} {status}", meaning.sentence, ended=ended, **used
        )

    def find_command(self, name: str) -> Sequence[str]:
        """Return ``qselect`` by name and owner, of ended jobs too if the server keeps a history."""
        script = f'set -- "$@" -u "$(id -un)"{_WITH_HISTORY}'
        return ["/bin/sh", "-c", script, "sh", "qselect", "-N", name]

    def parse_found(self, done: Done, name: str) -> Sequence[str]:
        """Read the ids, one a line."""
        del name
        self.refuse(done)
        lines = [line.strip() for line in done.text.splitlines() if line.strip()]
        if not all(_ID.fullmatch(line) for line in lines):
            raise self.nonsense(done.text)
        return lines

    def cancel_command(self, array_id: str, indices: Sequence[int] | None) -> Sequence[str]:
        """Return ``qdel 20[].server``, or ``qdel 20[0-3].server 20[7].server``."""
        number, array, server = array_id.partition("[]")
        if indices is None or not array:
            return ["qdel", array_id]
        return ["qdel", *(f"{number}[{part}]{server}" for part in to_text(indices).split(","))]

    def is_over(self, done: Done) -> bool:
        """Tell whether ``qdel`` only says that jobs have ended."""
        lines = [line for line in done.err.decode(errors="replace").splitlines() if line.strip()]
        return done.code == 0 or (bool(lines) and all(_OVER.search(line) for line in lines))

    def version_command(self) -> Sequence[str]:
        """Return ``qstat --version``."""
        return ["qstat", "--version"]

    def queues_command(self) -> Sequence[str]:
        """Return ``qstat`` of queues and server, and ``pbsnodes``."""
        return ["/bin/sh", "-c", _QUEUES]

    def parse_queues(self, done: Done) -> Sequence[Queue]:
        """Put each queue together with the nodes that serve it."""
        self.refuse(done)
        told: dict[str, dict[str, Any]] = {"Queue": {}, "nodes": {}, "Server": {}}
        for document in self._documents(done.text):
            for kind, entries in told.items():
                entries.update(self._entries(document, kind))
        default = {values.get("default_queue") for values in told["Server"].values()}
        return [_queue(name, values, told["nodes"], name in default) for name, values in told["Queue"].items()]

    def limits_command(self) -> Sequence[str]:
        """Return ``qstat`` of the server."""
        return ["qstat", "-B", "-f", "-F", "json"]

    def parse_limits(self, done: Done) -> Limits:
        """Read ``max_array_size``, and whether the server keeps a history of jobs."""
        self.refuse(done)
        for document in self._documents(done.text):
            for _, values in self._entries(document, "Server"):
                size = _number(values.get("max_array_size"))
                history = str(values.get("job_history_enable", "False")) == "True"
                return Limits(None if size is None else int(size), history)
        raise self.nonsense(done.text)

    def is_busy(self, done: Done) -> bool:
        """Tell whether the server did not answer."""
        return done.code != 0 and bool(BUSY.search(done.err.decode(errors="replace")))

    def _refuse_status(self, done: Done) -> None:
        """Raise ``SiteError`` unless the only complaint is that some jobs are not known, or not any more."""
        lines = [line for line in done.err.decode(errors="replace").splitlines() if line.strip()]
        if done.code and not (lines and all(_UNKNOWN_ID.search(line) for line in lines)):
            self.refuse(done)

    def _documents(self, text: str) -> Iterator[Mapping[str, Any]]:
        """Yield the JSON documents that stand one after another in ``text``."""
        decoder, rest = json.JSONDecoder(strict=False), text.strip()
        if "\\" in rest:
            rest = _STRAY.sub(r"\\\\", rest)  # PBS does not escape backslashes of variables
        while rest:
            try:
                document, end = decoder.raw_decode(rest)
            except ValueError as error:
                raise self.nonsense(rest) from error
            if not isinstance(document, dict):
                raise self.nonsense(rest)
            yield document
            rest = rest[end:].lstrip()

    def _entries(self, document: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        entries = document.get(kind, {})
        if not isinstance(entries, dict) or not all(isinstance(each, dict) for each in entries.values()):
            raise self.nonsense(repr(entries))
        yield from entries.items()


def _select(request: Request) -> str:
    """Return one chunk for each rank, so that ranks may be on several nodes, or a single one if GPUs don't divide."""
    ranks, memory, gpus = request.resources.ranks, request.resources.memory_mb, request.resources.gpus
    chunks = 1 if gpus % ranks else ranks
    parts = [f"{chunks}:ncpus={request.cores // chunks}:mpiprocs={ranks // chunks}"]
    if memory:
        parts.append(f"mem={math.ceil(memory / chunks)}mb")
    if gpus:
        parts.append(f"ngpus={gpus // chunks}")
    return ":".join(parts)


def _waits_for(comment: str) -> str:
    """Return the code in ``REASONS`` that a comment holds, or the comment as it is."""
    return next((code for code in REASONS if code.lower() in comment.lower()), comment)


def _used(values: Mapping[str, Any]) -> dict[str, Any]:
    used = values.get("resources_used")
    used = used if isinstance(used, dict) else {}
    return {
        "started": moment(str(values.get("stime", ""))),
        "peak_memory_bytes": size_in_bytes(str(used.get("mem", ""))) or None,
        "cpu_seconds": duration(str(used.get("cput", ""))),
    }


def _ending(status: int | None, comment: str, terminated: bool) -> Meaning:
    """Return what a job's exit status stands for; a job without one never ran."""
    if status is None:
        return Meaning(JobState.CANCELLED, None, "it was deleted before it started")
    if status == 0:
        return Meaning(JobState.FINISHED)
    exceeded = _EXCEEDED.search(comment)
    if exceeded and (meaning := EXCEEDED.get(exceeded[1])):
        return meaning
    if terminated:
        return ENDS[_SIGNAL_BASE + signal.SIGTERM]
    if status < 0:
        return ENDS.get(status) or Meaning(JobState.FAILED, Cause.INFRASTRUCTURE, f"PBS ended it, code {status}")
    what = "the command failed" if status <= _KILLED else f"killed by signal {status % _KILLED}"
    return ENDS.get(status) or Meaning(JobState.FAILED, Cause.APPLICATION, what)


def _exit_code(status: int | None) -> int | None:
    """Return an exit status as a shell gives it; None where it is a code of PBS."""
    if status is None or status < 0:
        return None
    return status - _SIGNAL_BASE + _KILLED if status >= _SIGNAL_BASE else status


def _number(value: object) -> float | None:
    text = str(value)
    return float(text) if text.isdecimal() else None


def _queue(name: str, values: Mapping[str, Any], nodes: Mapping[str, Any], default: bool) -> Queue:
    serving = [node for node in nodes.values() if _serves(node, name)]
    have = [_amounts(node.get("resources_available")) for node in serving]
    used = [_amounts(node.get("resources_assigned")) for node in serving]
    known = bool(nodes)
    up = all(str(values.get(field, "False")) == "True" for field in ("enabled", "started"))
    longest = values.get("resources_max")
    return Queue(
        name,
        "up" if up else "down",
        len(serving) if known else None,
        sum(cores > 0 for cores, _ in used) if known else None,
        sum(cores for cores, _ in have) if known else None,
        sum(cores for cores, _ in used) if known else None,
        sum(memory for _, memory in have) if known else None,
        sum(memory for _, memory in used) if known else None,
        duration(str(longest.get("walltime", ""))) if isinstance(longest, dict) else None,
        default,
    )


def _serves(node: Mapping[str, Any], queue: str) -> bool:
    """Tell whether a node serves a queue: every one that is not given to others."""
    available = node.get("resources_available")
    lists = (node.get("queue"), available.get("Qlist") if isinstance(available, dict) else None)
    owners = {each.strip() for text in lists if text for each in str(text).split(",")}
    return not owners or queue in owners


def _amounts(resources: object) -> tuple[int, int]:
    """Return cores and MiB out of what a node has, or has given away."""
    values = resources if isinstance(resources, dict) else {}
    return int(_number(values.get("ncpus")) or 0), size_in_mb(str(values.get("mem", ""))) or 0
