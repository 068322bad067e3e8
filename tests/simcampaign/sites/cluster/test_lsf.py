"""LSF's commands and answers, from text as its documentation shows it, and as an older compatible system printed it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simcampaign.errors import SiteError
from simcampaign.jobs import Cause, JobState, Resources
from simcampaign.sites.cluster.adapter import Request, Seen
from simcampaign.sites.cluster.lsf import Lsf, LsfOptions
from simcampaign.sites.hosts.base import Done

lsf = Lsf()

TABLE = """\
JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME
121     ci      RUN   normal     lsfhost     lsfhost     arr[4]     Nov 20 18:36
121     ci      EXIT  normal     lsfhost     4*lsfhost   arr[3]     Nov 20 18:36
121     ci      PEND  normal     lsfhost                 arr[12]    Nov 20 18:36
"""


def said(out: str, err: str = "", code: int = 0) -> Done:
    return Done(code, out.encode(), err.encode())


def answer(*records: dict[str, Any]) -> str:
    return json.dumps({"COMMAND": "bjobs", "JOBS": len(records), "RECORDS": records}, indent=2)


def only(**values: Any) -> Seen:
    return lsf.parse_status(said(answer({"JOBID": "121", "JOBINDEX": "4", **values})))["121"][3]


@pytest.mark.parametrize(
    ("stat", "state"),
    [("PEND", JobState.QUEUED), ("PSUSP", JobState.QUEUED), ("RUN", JobState.RUNNING), ("SSUSP", JobState.RUNNING)],
)
def test_states_are_read(stat: str, state: JobState) -> None:
    assert only(STAT=stat, EXIT_CODE="", EXIT_REASON="", PEND_REASON="").state is state


def test_a_waiting_job_says_why() -> None:
    assert only(STAT="PEND", PEND_REASON="The user has reached his/her job slot limit;").message == (
        "The user has reached his/her job slot limit"
    )
    held_back = only(STAT="PEND", PEND_REASON="Job array has reached its running element limit;")
    assert "max_running" in held_back.message


@pytest.mark.parametrize(
    ("code", "reason", "state", "cause"),
    [
        ("7", "", JobState.FAILED, Cause.APPLICATION),
        ("", "TERM_OWNER: job killed by owner", JobState.CANCELLED, None),
        ("130", "", JobState.CANCELLED, None),
        (
            "137",
            "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit",
            JobState.FAILED,
            Cause.OUT_OF_MEMORY,
        ),
        ("140", "TERM_RUNLIMIT: job killed after reaching LSF run time limit", JobState.FAILED, Cause.TIMEOUT),
        ("137", "TERM_PREEMPT: job killed after preemption", JobState.FAILED, Cause.PREEMPTED),
        ("1", "TERM_UNHEARD_OF: something new", JobState.FAILED, Cause.APPLICATION),
    ],
)
def test_exit_reasons_are_causes(code: str, reason: str, state: JobState, cause: Cause | None) -> None:
    seen = only(STAT="EXIT", EXIT_CODE=code, EXIT_REASON=reason)
    assert (seen.state, seen.cause, seen.exit_code) == (state, cause, int(code) if code else None)
    assert seen.message


def test_use_is_read() -> None:
    seen = only(STAT="DONE", EXIT_CODE="", MAX_MEM="8 Mbytes", CPU_USED="0.03 second(s)")
    assert (seen.state, seen.exit_code) == (JobState.FINISHED, 0)
    assert (seen.peak_memory_bytes, seen.cpu_seconds) == (8 * 2**20, 0.03)


@pytest.mark.parametrize("jobid", ["121[4]", "121"])
def test_the_index_may_stand_in_the_id(jobid: str) -> None:
    index = {} if "[" in jobid else {"JOBINDEX": "4"}
    assert list(lsf.parse_status(said(answer({"JOBID": jobid, "STAT": "RUN", **index})))["121"]) == [3]


def test_ids_that_are_not_known_are_left_out() -> None:
    missing = {"JOBID": "99", "ERROR": "Job <99> is not found"}
    jobs = lsf.parse_status(said(answer({"JOBID": "121", "JOBINDEX": "1", "STAT": "RUN"}, missing), code=255))
    assert list(jobs) == ["121"]
    assert lsf.parse_status(said("", "Job <99> is not found\n", 255)) == {}


def test_what_was_printed_while_waiting_is_skipped() -> None:
    text = "Cannot connect to LSF. Please wait ...\n" + answer({"JOBID": "121", "JOBINDEX": "1", "STAT": "RUN"})
    assert list(lsf.parse_status(said(text))) == ["121"]
    assert lsf.parse_submitted("LSF is down. Please wait ...\nJob <7> is submitted to queue <q>.\n") == "7"


def test_the_table_of_an_older_system_is_read() -> None:
    jobs = lsf.parse_status(said(TABLE))["121"]
    assert {index: seen.state for index, seen in jobs.items()} == {
        3: JobState.RUNNING,
        2: JobState.FAILED,
        11: JobState.QUEUED,
    }
    assert lsf.parse_found(said(TABLE), "arr") == ["121"]
    assert lsf.parse_found(said("", "Job <arr> is not found\n", 255), "arr") == []


@pytest.mark.parametrize(
    ("out", "err", "code"),
    [
        ("", "", 0),
        ("{}", "", 0),
        (answer({"JOBID": "121", "STAT": "RUN"})[:-9], "", 0),
        (answer({"JOBID": "121", "JOBINDEX": "1", "STAT": "NEW"}), "", 0),
        (answer({"STAT": "RUN"}), "", 0),
        (f"{TABLE}what\n", "", 0),
        ("", "bjobs: User permission denied\n", 255),
    ],
)
def test_nonsense_is_no_empty_queue(out: str, err: str, code: int) -> None:
    with pytest.raises(SiteError):
        lsf.parse_status(said(out, err, code))


def test_jobs_are_cancelled_by_ranges() -> None:
    assert lsf.cancel_command("121", None) == ["bkill", "121"]
    assert lsf.cancel_command("121", [0, 1, 2, 7]) == ["bkill", "121[1-3,8]"]


def test_a_scheduler_that_is_down_is_told_from_a_refusal() -> None:
    assert lsf.is_busy(said("", "batch daemon not responding ... still trying\n", 255))
    assert not lsf.is_busy(said("", "q: No such queue. Job not submitted.\n", 255))
    assert lsf.is_over(said("", "Job <121[3]>: Job has already finished\n", 255))
    assert not lsf.is_over(said("", "Job <121>: User permission denied\n", 255))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "#BSUB -M 1000MB"),
        ({"memory_unit": "KB"}, "#BSUB -M 1024000KB"),
        ({"memory_unit": "GB"}, "#BSUB -M 1GB"),
        ({"memory_per_slot": True}, '#BSUB -R "rusage[mem=250MB]"'),
        ({"max_running": 5}, '#BSUB -J "a[1-3]%5"'),
        ({"mail": "me@example.org", "mail_events": ["begin"]}, "#BSUB -B"),
    ],
)
def test_a_script_asks_for_what_the_jobs_need(options: dict[str, Any], line: str) -> None:
    resources = Resources(cpus=2, ranks=2, memory_mb=1000, timeout_seconds=90, gpus=1)
    lines = lsf.script(Request("a", 3, "/scratch", resources, LsfOptions(**options))).splitlines()
    assert line in lines
    assert {"#BSUB -n 4", '#BSUB -R "span[block=2]"', "#BSUB -W 2", '#BSUB -gpu "num=1"'} <= set(lines)


def test_queues_and_limits_are_read() -> None:
    queues = [{"QUEUE_NAME": "groups", "STATUS": "Open:Active", "MAX": "-", "HOSTS": "big/ small/", "RUN": "12"}]
    hosts = [{"HOST_NAME": "h1", "STATUS": "ok", "MAX": "8", "RUN": "3"}]
    (queue,) = lsf.parse_queues(said(json.dumps({"RECORDS": queues}) + "\n" + json.dumps({"RECORDS": hosts})))
    assert (queue.name, queue.state, queue.nodes, queue.cores, queue.cores_used) == ("groups", "up", None, None, 12)
    assert lsf.parse_limits(said("\tMAX_JOB_ARRAY_SIZE = 5000\n")).max_array_size == 5000
    assert lsf.parse_limits(said("nothing set\n")).max_array_size == 1000
