"""The wire: what clients are sent, in the words of PyEDB's job manager and some more."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from simcampaign.errors import ConfigError, Problem, SimcampaignError
from simcampaign.ledger.queuerows import ArrayRow, Event, QueueRow, QueueState
from simcampaign.service.core.dispatcher import Standing
from simcampaign.service.core.telemetry import Sample

TIMES = ("start_time", "end_time")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def escaped(text: str) -> str:
    """Return text with its control characters, but for ends of lines and tabs, as escapes."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def printable(text: str) -> str:
    """Return a text that commands no terminal, with ends of lines as they are here."""
    return escaped(text.replace("\r\n", "\n"))


def moment(seconds: float | None) -> str | None:
    """Return seconds since the epoch as ISO 8601 in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def job_text(row: QueueRow, *, brief: bool = False, **more: Any) -> str:
    """Return a job as JSON, with more values; its config is text already, not taken apart; brief leaves it out."""
    head = {"id": row.id, "user": row.user}
    rest = {
        "status": str(row.state),
        "start_time": moment(row.started),
        "end_time": moment(row.ended),
        "return_code": row.return_code,
        "scheduler_job_id": row.place or None,
        "created": moment(row.created),
        "site": row.site,
        "group": row.group,
        "application": row.application,
        "series": row.series,
        "array": row.array,
        "held": row.held,
        "cancelling": row.cancelling and not row.state.over,
        "cores": row.cores,
        "memory_mb": row.memory_mb,
        "after": row.after,
        "after_ok": row.after_ok,
        "cause": row.cause,
        "message": row.message,
        "cpu_seconds": row.cpu_seconds,
        "peak_memory_bytes": row.peak_memory_bytes,
        "priority": row.priority,
        **more,
    }
    config = "" if brief else f'"config":{row.config},'
    return f"{_open(head)},{config}{_open(rest)[1:]}}}"


def _open(values: Mapping[str, Any]) -> str:
    return json.dumps(values, separators=(",", ":"))[:-1]


def jobs_text(rows: Iterable[QueueRow], *, brief: bool = False) -> str:
    """Return jobs as a JSON array."""
    return f"[{','.join(job_text(row, brief=brief) for row in rows)}]"


def array(row: ArrayRow, counts: Mapping[QueueState, int]) -> dict[str, Any]:
    """Return an array with its jobs per state."""
    return {
        "id": row.id,
        "user": row.user,
        "size": row.size,
        "created": moment(row.created),
        "counts": {str(state): counts.get(state, 0) for state in QueueState},
    }


def queue(standing: Standing, most: int) -> dict[str, Any]:
    """Return what the queue looks like."""
    priorities = Counter(job.priority for job in standing.waiting)
    ordinary = sum(count for priority, count in priorities.items() if priority <= 0)
    return {
        "total_queued": len(standing.waiting),
        "regular_queue_size": ordinary,
        "priority_queues": {str(each): priorities[each] for each in sorted(priorities, reverse=True) if each > 0},
        "running_jobs": len(standing.active),
        "max_concurrent": most,
        "held": sum(job.held for job in standing.waiting),
        "held_back": standing.held_back,
    }


def resources(sample: Sample) -> dict[str, Any]:
    """Return a look at the host."""
    values = {name: getattr(sample, name) for name in Sample.__dataclass_fields__ if name != "time"}
    taken = datetime.fromtimestamp(sample.time, UTC).astimezone().replace(tzinfo=None)
    return {**values, "timestamp": taken.isoformat()}


def told(event: Event, sample: Sample | None = None) -> dict[str, Any]:
    """Return what clients are told of an event."""
    payload = {name: moment(value) if name in TIMES else value for name, value in event.payload.items()}
    if event.kind == "job_started" and sample is not None:
        payload["resources"] = resources(sample)
    return {**payload, "seq": event.seq}


def error(problem: SimcampaignError) -> dict[str, Any]:
    """Return the body of an answer that says what is wrong."""
    if isinstance(problem, ConfigError):
        text = "; ".join(_sentence(each) for each in problem.problems)
        problems = [{"path": each.path, "reason": each.reason, "remedy": each.remedy} for each in problem.problems]
        return {"success": False, "error": text, "problems": problems, "hint": problem.hint}
    return {"success": False, "error": str(problem.args[0]), "hint": problem.hint}


def _sentence(problem: Problem) -> str:
    """Return a mistake as a sentence; reasons in PyEDB's words are whole sentences already, and clients know them."""
    return str(problem) if problem.reason[:1].islower() else problem.reason


def uptime(started: float) -> float:
    """Return how long a service has been up, in seconds."""
    return round(time.time() - started, 3)


def partitions(found: Sequence[tuple[str, str, Any]]) -> list[dict[str, Any]]:
    """Return the partitions of clusters: name of the site, its backend, and the queue."""
    listed = []
    for site, backend, each in found:
        total, used = _gib(each.memory_mb), _gib(each.memory_used_mb)
        one = {
            "name": each.name,
            "nodes_total": each.nodes,
            "nodes_used": each.nodes_used,
            "cores_total": each.cores,
            "cores_used": each.cores_used,
            "memory_total_gb": total,
            "memory_used_gb": used,
            "site": site,
            "state": each.state,
        }
        if backend == "lsf":  # PyEDB's names differ there
            one |= {"mem_total_gb": total, "mem_used_gb": used}
        listed.append(one)
    return listed


def _gib(mebibytes: int | None) -> float | None:
    return None if mebibytes is None else round(mebibytes / 1024, 3)
