"""What LSF's states and termination reasons mean: bjobs(1), and "Termination reasons" in the administrator's guide."""

from __future__ import annotations

import re
from collections.abc import Mapping

from simcampaign.jobs import Cause, JobState
from simcampaign.sites.cluster.adapter import Meaning


def _failed(cause: Cause, sentence: str) -> Meaning:
    return Meaning(JobState.FAILED, cause, sentence)


_DELETED = Meaning(JobState.CANCELLED, None, "it was killed, as by `bkill`")
_BY_ADMIN = Meaning(JobState.CANCELLED, None, "an administrator killed it")
_REQUEUED = _failed(Cause.PREEMPTED, "it was killed to be queued again")
_PREEMPTED = _failed(Cause.PREEMPTED, "it had to make room for a job of higher priority")
_NO_ROOM = _failed(Cause.PREEMPTED, "its host became too busy")

STATES: Mapping[str, Meaning] = {
    "PEND": Meaning(JobState.QUEUED),
    "WAIT": Meaning(JobState.QUEUED, None, "it waits in a chunk of jobs"),
    "PROV": Meaning(JobState.QUEUED, None, "its host is being made ready"),
    "FWD_PEND": Meaning(JobState.QUEUED, None, "it waits in another cluster"),
    "PSUSP": Meaning(JobState.QUEUED, None, "it is held back; `bresume` lets it go"),
    "RUN": Meaning(JobState.RUNNING),
    "USUSP": Meaning(JobState.RUNNING, None, "its owner suspended it; `bresume` lets it go on"),
    "SSUSP": Meaning(JobState.RUNNING, None, "LSF suspended it"),
    "UNKWN": Meaning(JobState.RUNNING, None, "its host does not answer"),
    "ZOMBI": Meaning(JobState.RUNNING, None, "it was killed while its host does not answer"),
    "DONE": Meaning(JobState.FINISHED),
    "EXIT": _failed(Cause.APPLICATION, "the command failed"),
}

ENDS: Mapping[str, Meaning] = {
    "TERM_ADMIN": _BY_ADMIN,
    "TERM_BUCKET_KILL": _DELETED,
    "TERM_CHKPNT": _failed(Cause.INFRASTRUCTURE, "it was ended after a checkpoint"),
    "TERM_CPULIMIT": _failed(Cause.TIMEOUT, "it used more processor time than it may"),
    "TERM_CSM_ALLOC": _failed(Cause.INFRASTRUCTURE, "its nodes could not be allocated"),
    "TERM_CWD_NOTEXIST": _failed(Cause.INFRASTRUCTURE, "its working directory is not there on the node"),
    "TERM_DATA": _failed(Cause.STAGING, "LSF could not stage its data"),
    "TERM_DEADLINE": _failed(Cause.TIMEOUT, "it could not have ended before its deadline"),
    "TERM_EXTERNAL_SIGNAL": _failed(Cause.INFRASTRUCTURE, "a signal from outside LSF killed it"),
    "TERM_FORCE_ADMIN": _BY_ADMIN,
    "TERM_FORCE_OWNER": _DELETED,
    "TERM_KUBE": _failed(Cause.INFRASTRUCTURE, "Kubernetes ended it"),
    "TERM_LOAD": _NO_ROOM,
    "TERM_MC_RECALL": _failed(Cause.PREEMPTED, "another cluster took its host back"),
    "TERM_MEMLIMIT": _failed(Cause.OUT_OF_MEMORY, "it used more memory than it had asked for"),
    "TERM_OTHER": _REQUEUED,
    "TERM_OWNER": _DELETED,
    "TERM_PREEMPT": _PREEMPTED,
    "TERM_PRE_EXEC_FAIL": _failed(Cause.INFRASTRUCTURE, "the queue's pre-execution command failed"),
    "TERM_PROCESSLIMIT": _failed(Cause.APPLICATION, "it had more processes than it may"),
    "TERM_RC": _failed(Cause.PREEMPTED, "its host in the cloud was taken back"),
    "TERM_REMOVE_HUNG_JOB": _failed(Cause.INFRASTRUCTURE, "it hung and was removed"),
    "TERM_REQUEUE_ADMIN": _REQUEUED,
    "TERM_REQUEUE_OWNER": _REQUEUED,
    "TERM_REQUEUE_RC": _failed(Cause.PREEMPTED, "its host in the cloud was taken back"),
    "TERM_RMS": _failed(Cause.INFRASTRUCTURE, "the resource management system failed"),
    "TERM_RUNLIMIT": _failed(Cause.TIMEOUT, "it ran into its time limit"),
    "TERM_SLURM": _failed(Cause.INFRASTRUCTURE, "its node failed"),
    "TERM_SWAP": _failed(Cause.OUT_OF_MEMORY, "it used more memory and swap than it may"),
    "TERM_THREADLIMIT": _failed(Cause.APPLICATION, "it had more threads than it may"),
    "TERM_WINDOW": _failed(Cause.PREEMPTED, "its queue closed"),
    "TERM_ZOMBIE": _failed(Cause.INFRASTRUCTURE, "its host did not answer"),
}
"""Why a job was ended, by the word at the beginning of ``EXIT_REASON``."""

REASONS: Mapping[str, str] = {
    "New job is waiting for scheduling": "",
    "Job array has reached its running element limit": (
        "as many jobs of the array run as may run at a time: see option max_running"
    ),
    "Job dependency condition not satisfied": "it waits for another job",
    "The job was suspended by the user while pending": "its owner holds it back; `bresume` lets it go",
    "The queue is inactivated by the administrator": "its queue starts no jobs now",
    "The queue has not reached its run window": "its queue starts no jobs now",
}
"""Sentences for ``PEND_REASON``; LSF's own are sentences too and shown as they are."""

BUSY = re.compile(
    r"cannot connect to LSF|LSF is down|batch daemon (?:not responding|is down)|(?:mbatchd|LIM|master) is "
    r"(?:down|busy)|please wait|still trying|try(?: again)? later|communication time ?out|failed in (?:an LSF|sending)|"
    r"connection (?:refused|reset|timed out)|too many (?:bjobs|processes|connections)",
    re.IGNORECASE,
)
"""What commands say while LSF is down, starting or overloaded."""
