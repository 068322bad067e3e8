"""One job's container: its name, what it is made of, and how it ended. Pure functions of data."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from simcampaign.sites.orders import PLACEHOLDER

MOUNT = "/mnt"
"""Where a job finds the dated location."""

SITE_LABEL = "simcampaign.site"
ARRAY_LABEL = "simcampaign.array"
INDEX_LABEL = "simcampaign.index"
SLOTS_LABEL = "simcampaign.slots"
TOKEN_LABEL = "simcampaign.token"  # noqa: S105 - no secret: it tells arrays of the same name apart

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_NAME = 100
_TOKEN_DIGITS = 8
_SIGKILL = 9
_FROM_OUTSIDE = (_SIGKILL, 15)
"""Signals that hardly any program sends to itself."""
_SIGNAL_EXIT = 128
_NEVER = "0001-"
"""How the year of a time that never was begins."""
_MICROSECONDS = re.compile(r"(\.\d{6})\d*")


def name_of(array: str, token: str, index: int) -> str:
    """Return the name of a job's container: (array)-(index)-(first digits of the token).

    A daemon takes a name once only, so that no job has a second container. The token keeps arrays of the same name
    apart that two people, or two ledgers, have at one daemon.
    """
    fit = _UNFIT.sub("_", array)[:_LONGEST_NAME].lstrip("_.-") or "array"
    return f"{fit}-{index}-{token[:_TOKEN_DIGITS]}"


def site_label(root: Path) -> str:
    """Return the label's value of all containers that share the slots of the site with this directory."""
    return hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]


def labels_of(array: str, token: str, index: int, site: str, slots: int) -> dict[str, str]:
    """Return what containers are found by, and how many of the site's slots each takes."""
    return {
        SITE_LABEL: site,
        ARRAY_LABEL: array,
        TOKEN_LABEL: token,
        INDEX_LABEL: str(index),
        SLOTS_LABEL: str(slots),
    }


def slots_of_others(living: Iterable[Mapping[str, Any]], token: str) -> int:
    """Return how many slots of a site living containers of other arrays take."""
    labels = [each.get("Labels") or {} for each in living]
    return sum(int(each.get(SLOTS_LABEL, 1)) for each in labels if each.get(TOKEN_LABEL) != token)


def body_of(array: Mapping[str, Any], line: Sequence[Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """Return what the daemon is told about a job's container.

    ``array`` is what ``array.json`` says, ``line`` the job's line of ``jobs.jsonl``.
    """
    index, job_id, input_path, seeds = line
    values = {**array["values"], "index": str(index), "job_id": job_id, "input": input_path, "seeds": seeds}

    def fill(text: str) -> str:
        return PLACEHOLDER.sub(lambda found: values[found[0][1:-1]], text)

    told = {**array["told"], **{name: values[key] for name, key in array["told_each"].items()}}
    body = {
        **array["docker"]["container"],
        "Labels": dict(labels),
        "Env": [f"{name}={value}" for name, value in told.items()],
    }
    if array["command"]:
        body["Cmd"] = [fill(word) for word in array["command"]]
    if array["directory"]:
        body["WorkingDir"] = fill(array["directory"])
    return body


def was_started(state: Mapping[str, Any]) -> bool:
    """Tell whether a container ever ran."""
    return not str(state.get("StartedAt") or _NEVER).startswith(_NEVER)


def is_over(state: Mapping[str, Any]) -> bool:
    """Tell whether a container ran and has ended."""
    return was_started(state) and state.get("Status") in {"exited", "dead"}


def seconds(text: str) -> float | None:
    """Return a daemon's time in seconds since the epoch; None for a time that never was."""
    if not text or text.startswith(_NEVER):
        return None
    try:
        return datetime.fromisoformat(_MICROSECONDS.sub(r"\1", text)).timestamp()
    except ValueError:
        return None


def times(state: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return when a container was started and when it ended; a daemon's clocks may put a short one's end first."""
    started, ended = seconds(str(state.get("StartedAt", ""))), seconds(str(state.get("FinishedAt", "")))
    if started is not None and ended is not None:
        ended = max(started, ended)
    return started, ended


def outcome(state: Mapping[str, Any], *, podman: bool, memory_mb: int | None, booted: float) -> dict[str, Any]:
    """Return how a container ended, as the journal says it: its exit code, and a reason if the code is not enough.

    ``booted`` is when this host was started, in seconds since the epoch: what ended by that is no fault of the job.
    """
    code = int(state.get("ExitCode") or 0)
    told: dict[str, Any] = {"code": code}
    limit = f"its limit is {memory_mb} MiB" if memory_mb else "it had no limit of its own"
    started, ended = times(state)
    if code and started is not None and started < booted <= (ended or booted):
        return {**told, "reason": "not_started", "message": "the host was restarted while it ran"}
    if code and state.get("OOMKilled"):
        return {**told, "reason": "out_of_memory", "message": f"the kernel killed it for its memory; {limit}"}
    if code == _SIGNAL_EXIT + _SIGKILL and podman and memory_mb:
        message = f"killed by signal 9; {limit}, and podman does not tell whether that was the reason"
        return {**told, "reason": "out_of_memory", "message": message}
    number = code - _SIGNAL_EXIT
    if number in _FROM_OUTSIDE:
        why = "somebody stopped it, or its daemon was stopped, or this host was in need"
        return {**told, "reason": "not_started", "message": f"ended by signal {number}, for no limit of its own: {why}"}
    return told
