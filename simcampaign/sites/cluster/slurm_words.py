"""What Slurm's states and reasons mean: squeue(1), sections JOB STATE CODES and JOB REASON CODES."""

from __future__ import annotations

import re
from collections.abc import Mapping

from simcampaign.jobs import Cause, JobState
from simcampaign.sites.cluster.adapter import Meaning

_QUEUED, _RUNNING = Meaning(JobState.QUEUED), Meaning(JobState.RUNNING)


def _failed(cause: Cause, sentence: str) -> Meaning:
    return Meaning(JobState.FAILED, cause, sentence)


STATES: Mapping[str, Meaning] = {
    "PENDING": _QUEUED,
    "CONFIGURING": _QUEUED,
    "REQUEUED": _QUEUED,
    "REQUEUE_FED": _QUEUED,
    "REQUEUE_HOLD": _QUEUED,
    "RESV_DEL_HOLD": _QUEUED,
    "SPECIAL_EXIT": _QUEUED,
    "RUNNING": _RUNNING,
    "COMPLETING": _RUNNING,
    "STAGE_OUT": _RUNNING,
    "SIGNALING": _RUNNING,
    "RESIZING": _RUNNING,
    "SUSPENDED": _RUNNING,
    "STOPPED": _RUNNING,
    "COMPLETED": Meaning(JobState.FINISHED),
    "CANCELLED": Meaning(JobState.CANCELLED, None, "cancelled"),
    "FAILED": _failed(Cause.APPLICATION, "the command failed"),
    "OUT_OF_MEMORY": _failed(Cause.OUT_OF_MEMORY, "it used more memory than it had asked for"),
    "TIMEOUT": _failed(Cause.TIMEOUT, "it ran into its time limit"),
    "DEADLINE": _failed(Cause.TIMEOUT, "it could not have ended before its deadline"),
    "NODE_FAIL": _failed(Cause.INFRASTRUCTURE, "its node failed"),
    "BOOT_FAIL": _failed(Cause.INFRASTRUCTURE, "its node did not boot"),
    "LAUNCH_FAILED": _failed(Cause.INFRASTRUCTURE, "it could not be started on its node"),
    "RECONFIG_FAIL": _failed(Cause.INFRASTRUCTURE, "its node could not be set up"),
    "PREEMPTED": _failed(Cause.PREEMPTED, "it had to make room for a job of higher priority"),
    "REVOKED": _failed(Cause.INFRASTRUCTURE, "another cluster of the federation took it"),
}

REASONS: Mapping[str, str] = {
    "AssocGrpCpuLimit": "the account uses all the cores that it may use at a time",
    "AssocMaxJobsLimit": "the account has as many jobs running as it may have",
    "BadConstraints": "no node has what the job asks for: see constraint, partition and resources",
    "BeginTime": "it may not start yet",
    "Dependency": "it waits for another job",
    "DependencyNeverSatisfied": "the job that it waits for failed",
    "InvalidAccount": "there is no such account: see option account",
    "InvalidQOS": "there is no such quality of service: see option qos",
    "JobArrayTaskLimit": "as many jobs of the array run as may run at a time: see option max_running",
    "JobHeldAdmin": "an administrator holds it back",
    "JobHeldUser": "its owner holds it back; `scontrol release` lets it go",
    "JobLaunchFailure": "it could not be started on its node",
    "Licenses": "it waits for a licence",
    "NodeDown": "a node that it needs is down",
    "NonZeroExitCode": "the command failed",
    "OutOfMemory": "it used more memory than it had asked for",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition takes no jobs now",
    "PartitionNodeLimit": "it asks for more nodes than its partition has",
    "PartitionTimeLimit": "it asks for more time than its partition allows",
    "Priority": "jobs of higher priority are before it",
    "QOSMaxJobsPerUserLimit": "as many of the user's jobs run as the quality of service allows",
    "RaisedSignal:53(Real-time_signal_19)": "its output could not be written: is scratch there on the node?",
    "ReqNodeNotAvail": "a node that it needs is not available",
    "Reservation": "it waits for its reservation",
    "Resources": "it waits for resources",
    "SystemFailure": "Slurm, the network or a file system failed",
    "TimeLimit": "it ran into its time limit",
    "None assigned": "",
}

BUSY = re.compile(
    r"unable to contact slurm|socket timed out|zero bytes were transmitted|connection (?:refused|reset|timed out)"
    r"|temporarily unable to accept job|standby mode|transport endpoint|communication (?:connection|shutdown) failure"
    r"|resource temporarily unavailable|not responding|try again later|unexpected message|message receive failure"
    r"|send/recv operation|insane message|slurmdbd connection",
    re.IGNORECASE,
)
"""What Slurm's commands complain of when the controller or the accounting daemon is down or busy."""
