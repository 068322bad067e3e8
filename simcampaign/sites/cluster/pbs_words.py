"""What the states and exit codes of PBS mean: qstat(1B), and "Job Exit Status Codes" in the administrator's guide."""

from __future__ import annotations

import re
from collections.abc import Mapping

from simcampaign.jobs import Cause, JobState
from simcampaign.sites.cluster.adapter import Meaning


def _failed(cause: Cause, sentence: str) -> Meaning:
    return Meaning(JobState.FAILED, cause, sentence)


_MEMORY = "it used more memory than it had asked for"

STATES: Mapping[str, Meaning] = {
    "Q": Meaning(JobState.QUEUED),
    "H": Meaning(JobState.QUEUED, None, "it is held back; `qrls` lets it go"),
    "W": Meaning(JobState.QUEUED, None, "it may not start yet"),
    "T": Meaning(JobState.QUEUED, None, "it is on its way to another place"),
    "M": Meaning(JobState.QUEUED, None, "it was moved to another server"),
    "B": Meaning(JobState.RUNNING),
    "R": Meaning(JobState.RUNNING),
    "E": Meaning(JobState.RUNNING, None, "it is ending"),
    "S": Meaning(JobState.RUNNING, None, "it is suspended"),
    "U": Meaning(JobState.RUNNING, None, "it is suspended as somebody works at its host"),
    "X": Meaning(JobState.FINISHED),
    "F": Meaning(JobState.FINISHED),
}
"""By ``job_state``; of a job that is over, ``Exit_status`` tells how it ended."""

ENDS: Mapping[int, Meaning] = {
    -1: _failed(Cause.INFRASTRUCTURE, "it could not be started on its node"),
    -2: _failed(Cause.INFRASTRUCTURE, "it could not be started on its node"),
    -3: _failed(Cause.INFRASTRUCTURE, "it could not be started on its node"),
    -4: _failed(Cause.INFRASTRUCTURE, "its node was restarted"),
    -5: _failed(Cause.INFRASTRUCTURE, "its node was restarted"),
    -6: _failed(Cause.INFRASTRUCTURE, "its node was restarted"),
    -10: _failed(Cause.INFRASTRUCTURE, "its user is not known on its node"),
    -11: _failed(Cause.INFRASTRUCTURE, "it was taken back into the queue"),
    -12: _failed(Cause.INFRASTRUCTURE, "its checkpoint could not be read"),
    -13: _failed(Cause.INFRASTRUCTURE, "its user's password was refused"),
    -24: _failed(Cause.TIMEOUT, "it used more cores than it had asked for"),
    -25: _failed(Cause.TIMEOUT, "it used more cores than it had asked for"),
    -26: _failed(Cause.OUT_OF_MEMORY, _MEMORY),
    -27: _failed(Cause.OUT_OF_MEMORY, _MEMORY),
    -28: _failed(Cause.TIMEOUT, "it used more processor time than it had asked for"),
    -29: _failed(Cause.TIMEOUT, "it ran into its time limit"),
    256 + 15: Meaning(JobState.CANCELLED, None, "it was deleted, as by `qdel`"),
    256 + 9: Meaning(JobState.CANCELLED, None, "it was killed, as by `qdel`"),
}
"""By ``Exit_status``. Below 0: PBS ended the job, or could not run it; above 256: a signal did."""

EXCEEDED: Mapping[str, Meaning] = {
    **dict.fromkeys(("mem", "vmem", "pmem", "pvmem"), _failed(Cause.OUT_OF_MEMORY, _MEMORY)),
    **dict.fromkeys(("walltime", "cput", "pcput"), ENDS[-29]),
}
"""By the resource that a job's comment says it exceeded."""

REASONS: Mapping[str, str] = {
    "Insufficient amount of resource": "there is not enough of what it asks for now",
    "would exceed": "a limit on what its owner may use at a time holds it back",
    "Job would conflict with reservation": "a reservation is before it",
    "Not enough free nodes": "there are not enough free nodes now",
    "Insufficient amount of server resource": "there is not enough of what it asks for now",
    "No matching chunks": "no node has what it asks for: see resources, and option queue",
    "Can Never Run": "no node will ever have what it asks for: see resources, and option queue",
    "Queue not started": "its queue starts no jobs now",
    "queue is not started": "its queue starts no jobs now",
    "max array running subjobs limit": "as many jobs of the array run as may run at a time: see option max_running",
}
"""Sentences for what stands in the comment of a job that waits."""

BUSY = re.compile(
    r"cannot connect to server|connection (?:refused|reset|timed out)|communication failure|end of file|timed out|"
    r"server (?:is )?(?:shutting down|busy|not responding)|premature end of message",
    re.IGNORECASE,
)
"""What commands say while the server is down, starting or overloaded."""
