"""What Grid Engine's states and codes mean: qstat(1), section JOB STATES, and sge_status(5)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from simcampaign.jobs import Cause, JobState
from simcampaign.sites.cluster.adapter import Meaning


def _failed(cause: Cause, sentence: str) -> Meaning:
    return Meaning(JobState.FAILED, cause, sentence)


LETTERS = "EdsSTNtrRhqwcp"
"""All letters of which a state is made; the first of these that is in it tells most."""

STATES: Mapping[str, Meaning] = {
    "E": _failed(Cause.INFRASTRUCTURE, "it could not be started"),
    "d": Meaning(JobState.RUNNING, None, "it is being deleted"),
    "s": Meaning(JobState.RUNNING, None, "it is suspended"),
    "S": Meaning(JobState.RUNNING, None, "its queue is suspended"),
    "T": Meaning(JobState.RUNNING, None, "it is suspended as its host is too busy"),
    "N": Meaning(JobState.RUNNING, None, "it is suspended for a job of higher priority"),
    "t": Meaning(JobState.RUNNING),
    "r": Meaning(JobState.RUNNING),
    "R": Meaning(JobState.QUEUED, None, "it is started once more"),
    "h": Meaning(JobState.QUEUED, None, "it is held back; `qrls` lets it go"),
    "q": Meaning(JobState.QUEUED),
    "w": Meaning(JobState.QUEUED),
}
"""By the letter of a state that tells most, see ``LETTERS``."""

GONE_AGAIN = frozenset({"24", "25"})
"""Codes of an attempt that was taken back into the queue: its record says nothing of the job's end."""

FAILURES: Mapping[str, Meaning] = {
    "37": _failed(Cause.TIMEOUT, "it ran into its time limit"),
    "100": Meaning(JobState.CANCELLED, None, "it was killed, as `qdel` does"),
    "30": _failed(Cause.APPLICATION, "the command asked not to be started again"),
}
"""By ``failed`` of a job's accounting record; all others mean that Grid Engine could not run it."""

REASONS: Mapping[str, str] = {
    "1": "Grid Engine failed before the job started",
    "7": "its node failed before the prolog",
    "8": "the queue's prolog failed",
    "10": "the parallel environment could not be started",
    "13": "the parallel environment could not be stopped",
    "15": "the queue's epilog failed",
    "18": "its node lost sight of it",
    "19": "its node was lost while it ran",
    "21": "its node does not know it",
    "26": "its output could not be opened on the node",
    "27": "there is no such shell on the node: see option shell",
    "28": "its working directory is not there on the node",
    "29": "its node could not set up AFS",
    "36": "its node lacks a configured daemon",
    "38": "its node could not add the job's group",
}
"""Sentences for ``failed`` of a job's accounting record."""

BUSY = re.compile(
    r"commlib error|unable to (?:send message to|contact) qmaster|can't connect to service|got (?:send|receive) "
    r"(?:error|timeout)|connection (?:refused|reset|timed out)",
    re.IGNORECASE,
)
"""What commands say while the master is down, starting or overloaded."""
