"""Microsoft HPC Pack: ``job submit``, ``job listtasks``, ``job cancel``. From its documentation alone; never tried.

The head node is reached by ssh; it and the compute nodes need a POSIX shell, as Git for Windows has one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from xml.sax.saxutils import escape, quoteattr

from simcampaign.errors import SiteError, shorten
from simcampaign.fields import Text
from simcampaign.jobs import Cause, JobState
from simcampaign.sites.base import Queue
from simcampaign.sites.cluster.adapter import Adapter, Jobs, Limits, Meaning, Request, Seen
from simcampaign.sites.cluster.options import ClusterOptions
from simcampaign.sites.cluster.script import render
from simcampaign.sites.hosts.base import Done

_SUBMITTED = re.compile(r"\bID: (\d+)\.?")
_FIELD = re.compile(r"\s*([A-Za-z ]+?)\s*:\s(.*)")
_TASK = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_JOB_ID = re.compile(r"\d+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNKNOWN_ID = re.compile(r"(?:job|task) .*(?:not found|does not exist)|invalid job id", re.IGNORECASE)
_BUSY = re.compile(
    r"could not connect|connection .*(?:refused|timed out|failed)|scheduler .*not (?:running|available)", re.IGNORECASE
)
_MOST_INSTANCES = 100_000
"""Jobs that a parametric sweep may have: "ISchedulerTask::IsParametric property"."""

_LIST = """
code=0
for id; do job listtasks "$id" /expand /state:all /format:list || code=$?; done
exit $code
"""

_COMMAND = '-c "simcampaign_index=$CCP_TASKINSTANCEID; simcampaign_id=$CCP_JOBID; . ./task.sh"'
"""Double quotes, as Windows knows no others; the task is started in the array's directory."""

_QUEUED, _RUNNING = Meaning(JobState.QUEUED), Meaning(JobState.RUNNING)


@dataclass(kw_only=True)
class WindowsHpcOptions(ClusterOptions):
    """A Microsoft HPC Pack cluster. This backend was written from documentation and has never been tried."""

    template: Text | None = None
    """Job template."""

    node_group: Text | None = None
    """Node groups, with commas between."""


class WindowsHpc(Adapter):
    """HPC Pack's commands and answers."""

    name = "windows_hpc"
    title = "Windows HPC"
    tried = False
    longest_name = 128
    STATES: ClassVar[Mapping[str, Meaning]] = {
        "Configuring": _QUEUED,
        "Submitted": _QUEUED,
        "Validating": _QUEUED,
        "Queued": _QUEUED,
        "Dispatching": _RUNNING,
        "Running": _RUNNING,
        "Finishing": _RUNNING,
        "Canceling": Meaning(JobState.RUNNING, None, "it is being cancelled"),
        "Finished": Meaning(JobState.FINISHED),
        "Failed": Meaning(JobState.FAILED, Cause.APPLICATION, "the command failed"),
        "Canceled": Meaning(JobState.CANCELLED, None, "cancelled"),
    }
    REASONS: ClassVar[Mapping[str, str]] = {}

    def script(self, request: Request) -> str:
        """Return the job file, which is XML."""
        options, seconds = request.options, request.resources.timeout_seconds
        if request.resources.gpus or options.directives:
            raise SiteError("Windows HPC takes neither GPUs nor directives", "leave them out of the site's options")
        variables = {
            "request": request,
            "text": lambda value: quoteattr(_plain(value)),
            "content": lambda value: escape(_plain(value)),
            "command": f"{options.shell} {_COMMAND}",
            "most": request.cores * min(request.size, options.max_running or request.size),
            "seconds": None if seconds is None else math.ceil(seconds),
        }
        return render("windows_hpc.xml.j2", variables)

    def submit_command(self, script_path: str) -> Sequence[str]:
        """Return ``job submit`` of the job file."""
        return ["job", "submit", f"/jobfile:{script_path}"]

    def parse_submitted(self, text: str) -> str:
        """Read ``Job has been submitted. ID: 25.``."""
        match = _SUBMITTED.search(text)
        if match is None:
            raise self.nonsense(text)
        return match[1]

    def status_command(self, ids: Sequence[str]) -> Sequence[str]:
        """Return ``job listtasks`` of each array."""
        return ["/bin/sh", "-c", _LIST, "sh", *ids]

    def parse_status(self, done: Done) -> Jobs:
        """Read blocks of ``NAME : VALUE`` lines, one for each task."""
        self._refuse_unless_unknown(done)
        jobs: dict[str, dict[int, Seen]] = {}
        for block in _blocks(done.text):
            match, state = _TASK.fullmatch(block.get("task id", "")), block.get("state", "")
            if match is None or not state:
                raise self.nonsense(repr(block))
            if match[3] is None:
                continue  # the sweep as a whole
            code = block.get("exit code", "")
            exit_code = int(code) if code.lstrip("-").isdecimal() else None
            jobs.setdefault(match[1], {})[int(match[3])] = self.seen(state, block.get("error message", ""), exit_code)
        return jobs

    def find_command(self, name: str) -> Sequence[str]:
        """Return ``job list`` of the user's jobs with this name."""
        return ["job", "list", f"/jobname:{name}", "/state:all", "/format:list"]

    def parse_found(self, done: Done, name: str) -> Sequence[str]:
        """Read the ids of jobs called ``name``."""
        self._refuse_unless_unknown(done)
        found = [block.get("job id", "") for block in _blocks(done.text) if block.get("job name", name) == name]
        if not all(_JOB_ID.fullmatch(each) for each in found):
            raise self.nonsense(done.text)
        return found

    def cancel_command(self, array_id: str, indices: Sequence[int] | None) -> Sequence[str]:
        """Return ``job cancel``, or ``task cancel`` of each task."""
        if indices is None:
            return ["job", "cancel", array_id]
        cancel = 'id=$1; shift; code=0; for index; do task cancel "$id.1.$index" || code=$?; done; exit $code'
        return ["/bin/sh", "-c", cancel, "sh", array_id, *map(str, indices)]

    def version_command(self) -> Sequence[str]:
        """Return ``cluscfg view``, which begins with what the cluster is."""
        return ["cluscfg", "view"]

    def queues_command(self) -> Sequence[str]:
        """Return ``jobtemplate list``: templates are what users choose from."""
        return ["jobtemplate", "list", "/format:list"]

    def parse_queues(self, done: Done) -> Sequence[Queue]:
        """Read the templates' names; nothing tells what they have."""
        self.refuse(done)
        names = [block[field] for block in _blocks(done.text) for field in ("name", "template name") if field in block]
        return [Queue(name, "up", default=name == "Default") for name in names]

    def parse_limits(self, done: Done) -> Limits:
        """Return what the documentation says."""
        del done
        return Limits(_MOST_INSTANCES)

    def limits_command(self) -> Sequence[str]:
        """Return a command that does nothing: the limit is fixed."""
        return ["/bin/sh", "-c", ":"]

    def is_busy(self, done: Done) -> bool:
        """Tell whether the scheduler did not answer."""
        return done.code != 0 and bool(_BUSY.search((done.err + done.out).decode(errors="replace")))

    def _refuse_unless_unknown(self, done: Done) -> None:
        if not (done.code and _UNKNOWN_ID.search((done.err + done.out).decode(errors="replace"))):
            self.refuse(done)


def _plain(value: Any) -> str:
    """Return a value as text. Raises ``SiteError`` if it is empty, or has control characters in it."""
    text = str(value)
    if not text or _CONTROL.search(text):
        raise SiteError(f"{shorten(repr(text))} cannot stand in a job file: it is empty, or has a control character")
    return text


def _blocks(text: str) -> list[dict[str, str]]:
    """Return the groups of ``NAME : VALUE`` lines, each group ended by an empty line or by its first name again."""
    blocks: list[dict[str, str]] = [{}]
    for line in text.splitlines():
        match = _FIELD.fullmatch(line)
        if match is None:
            blocks.append({})
            continue
        if match[1].lower() in blocks[-1]:
            blocks.append({})
        blocks[-1][match[1].lower()] = match[2].strip()
    return [block for block in blocks if block]
