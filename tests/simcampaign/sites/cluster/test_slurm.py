"""Slurm's commands and answers, from text that the real one printed."""

from __future__ import annotations

from typing import Any

import pytest

from simcampaign.errors import SiteError
from simcampaign.jobs import Cause, JobState, Resources
from simcampaign.sites.cluster.adapter import OTHERS, Request
from simcampaign.sites.cluster.slurm import Slurm, SlurmOptions
from simcampaign.sites.hosts.base import Done

slurm = Slurm()


def said(out: str, err: str = "", code: int = 0) -> Done:
    return Done(code, out.encode(), err.encode())


def script(size: int = 3, resources: Resources | None = None, **options: Any) -> list[str]:
    request = Request(
        "name_1", size, "/scratch of it's/arrays/name_1", resources or Resources(), SlurmOptions(**options)
    )
    return slurm.script(request).splitlines()


def test_a_script_asks_for_what_the_jobs_need() -> None:
    resources = Resources(cpus=1.5, memory_mb=1000, timeout_seconds=90, ranks=4, gpus=2)
    options = {
        "partition": "main",
        "account": "a1",
        "qos": "high",
        "constraint": "intel&fast",
        "gpu_type": "a100",
        "exclusive": True,
        "mail": "me@example.org",
        "mail_events": ["begin", "fail"],
        "directives": ["--reservation=spring"],
        "max_running": 7,
    }
    asked = {line.removeprefix("#SBATCH --") for line in script(10, resources, **options) if line.startswith("#SBATCH")}
    assert asked >= {
        "job-name=name_1",
        "array=0-9%7",
        "ntasks=4",
        "cpus-per-task=2",
        "mem-per-cpu=125M",
        "time=2",
        "gpus=a100:2",
        "partition=main",
        "account=a1",
        "qos=high",
        "constraint=intel&fast",
        "exclusive",
        "mail-user=me@example.org",
        "mail-type=BEGIN,FAIL",
        "reservation=spring",
        "no-requeue",
    }


def test_a_script_asks_for_nothing_that_nobody_wanted() -> None:
    lines = script()
    assert lines[0] == "#!/bin/sh"
    asked = {line.partition("=")[0] for line in lines if line.startswith("#SBATCH")}
    assert asked == {
        f"#SBATCH --{word}"
        for word in ("job-name", "array", "ntasks", "cpus-per-task", "output", "error", "chdir", "no-requeue", "export")
    }
    assert "simcampaign_directory='/scratch of it'\"'\"'s/arrays/name_1'" in lines


@pytest.mark.parametrize("value", ["a b", "a\n#SBATCH --wrap=id", "a\r", "a'", 'a"', "a\\", "a\u2028b", "$(id)", "a;b"])
@pytest.mark.parametrize("option", ["partition", "account", "qos", "constraint", "mail", "gpu_type"])
def test_a_value_that_could_leave_its_directive_is_refused(option: str, value: str) -> None:
    with pytest.raises(SiteError, match="directive"):
        script(resources=Resources(gpus=1), **{option: value})


def test_the_id_is_read_with_and_without_a_cluster() -> None:
    assert slurm.parse_submitted("221\n") == "221"
    assert slurm.parse_submitted("221;east\n") == "221"
    for text in ("", "Submitted batch job 221", "221;", "sbatch: error"):
        with pytest.raises(SiteError, match="cannot be understood"):
            slurm.parse_submitted(text)


STATUS = """\
222|0|COMPLETED|None
222|1|FAILED|NonZeroExitCode
222|2|RUNNING|None
222|3|COMPLETING|None
222|4|PENDING|ReqNodeNotAvail, UnavailableNodes:n[1-2]
222|[5-7,9%2]|PENDING|JobArrayTaskLimit
223|0|OUT_OF_MEMORY|OutOfMemory
223|1|TIMEOUT|TimeLimit
223|2|NODE_FAIL|NodeDown
223|3|PREEMPTED|None
223|4|CANCELLED|JobHeldUser
224|N/A|CANCELLED|None
"""


def test_states_and_reasons_become_states_causes_and_sentences() -> None:
    jobs = slurm.parse_status(said(STATUS))
    assert set(jobs) == {"222", "223", "224"}
    first = jobs["222"]
    assert set(first) == {0, 1, 2, 3, 4, 5, 6, 7, 9}
    states = [first[index].state for index in range(5)]
    assert states == [JobState.FINISHED, JobState.FAILED, JobState.RUNNING, JobState.RUNNING, JobState.QUEUED]
    assert first[1].cause is Cause.APPLICATION
    assert first[4].message == "a node that it needs is not available"
    assert "max_running" in first[9].message
    causes = [jobs["223"][index].cause for index in range(5)]
    assert causes == [Cause.OUT_OF_MEMORY, Cause.TIMEOUT, Cause.INFRASTRUCTURE, Cause.PREEMPTED, None]
    assert jobs["223"][2].message == "its node failed"
    assert jobs["223"][4].message == "cancelled"
    assert jobs["224"][OTHERS].state is JobState.CANCELLED


def test_an_id_that_is_unknown_is_no_error_and_everything_else_is() -> None:
    assert slurm.parse_status(said("", "slurm_load_jobs error: Invalid job id specified\n", 1)) == {}
    assert slurm.parse_status(said("")) == {}
    with pytest.raises(SiteError, match="Access denied"):
        slurm.parse_status(said("", "squeue: error: Access denied\n", 1))


@pytest.mark.parametrize(
    "line",
    [
        "222|0|COMPLETED",
        "222|x|PENDING|None",
        "222|[4-2]|PENDING|None",
        "nonsense",
        "222|0|SINGING|None",
        "|0|PENDING|x",
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(line: str) -> None:
    with pytest.raises(SiteError):
        slurm.parse_status(said(f"222|1|PENDING|None\n{line}\n"))


ACCOUNTS = """\
221_0|COMPLETED|0:0|1795260683|1795260690|00:01.500|
221_0.batch|COMPLETED|0:0|1795260683|1795260690|00:01.500|2048K
221_0.extern|COMPLETED|0:0|1795260683|1795260690|00:00:00|
221_1|FAILED|7:0|1795260683|1795260690|1-01:00:01|
221_2|FAILED|0:9|1795260683|1795260690|00:00:00|
221_3|CANCELLED by 0|0:0|Unknown|1795260690|00:00:00|
221_[4,6-99%4]|CANCELLED by 1000|0:0|None|1795260690|00:00:00|
221_5|RUNNING|0:0|1795260683|Unknown|00:00:00|
220|CANCELLED by 0|0:0|None|1795260690|00:00:00|
"""


def test_accounts_tell_exit_codes_times_and_memory() -> None:
    jobs = slurm.parse_accounting(said(ACCOUNTS))["221"]
    assert (jobs[0].peak_memory_bytes, jobs[0].cpu_seconds) == (2048 * 1024, 1.5)
    assert (jobs[0].started, jobs[0].ended) == (1795260683, 1795260690)
    assert [jobs[index].exit_code for index in range(3)] == [0, 7, 137]
    assert jobs[1].cpu_seconds == 90001
    assert {jobs[index].state for index in (3, 4, 6, 50, 99)} == {JobState.CANCELLED}
    assert jobs[3].started is None
    assert jobs[5].state is JobState.RUNNING
    assert len(jobs) == 100
    assert slurm.parse_accounting(said(ACCOUNTS))["220"][OTHERS].state is JobState.CANCELLED


def test_no_accounting_is_no_answer_and_no_error() -> None:
    assert slurm.parse_accounting(said("", "Slurm accounting storage is disabled\n", 1)) == {}


@pytest.mark.parametrize("line", ["221_0|COMPLETED|0|1|2|3|", "221_0|COMPLETED|0:0", "x|COMPLETED|0:0|1|2|00:00|"])
def test_accounts_that_make_no_sense_are_an_error(line: str) -> None:
    with pytest.raises(SiteError):
        slurm.parse_accounting(said(line))


def test_arrays_of_a_name_are_found_in_queue_and_accounts() -> None:
    assert slurm.parse_found(said("221\n221\n221_[4-9%2]\n230_1\n"), "name") == ["221", "230"]
    assert slurm.parse_found(said(""), "name") == []
    with pytest.raises(SiteError):
        slurm.parse_found(said("who knows\n"), "name")


@pytest.mark.parametrize(
    "complaint",
    [
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "squeue: error: Socket timed out on send/recv operation",
        "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received",
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
        "slurm_load_jobs error: Slurm backup controller in standby mode",
        "sacct: error: slurmdbd connection failed: Connection refused",
    ],
)
def test_a_controller_that_is_down_is_waited_for(complaint: str) -> None:
    assert slurm.is_busy(said("", complaint, 1))
    assert not slurm.is_busy(
        said("", "sbatch: error: Batch job submission failed: Invalid partition name specified", 1)
    )


def test_single_jobs_are_cancelled_by_ranges_and_ended_ones_are_no_error() -> None:
    assert slurm.cancel_command("221", None) == ["scancel", "221"]
    assert slurm.cancel_command("221", [0, 1, 2, 7]) == ["scancel", "221_[0-2,7]"]
    assert slurm.is_over(said("", "scancel: error: Kill job error on job id 221: Invalid job id specified", 1))
    assert not slurm.is_over(said("", "scancel: error: Kill job error on job id 221: Access/permission denied", 1))


NODES = """\
main*        up     infinite   mixed      3/5/0/8      4000     1024
main*        up     infinite   idle       0/8/0/8      4000     0
long         up     2-00:00:00 down*      0/0/8/8      8000     0
short        down   5:00       idle       0/8/0/8      4000     N/A
"""


def test_nodes_are_added_up_by_partition() -> None:
    main, long, short = slurm.parse_queues(said(NODES))
    assert (main.name, main.state, main.default, main.max_seconds) == ("main", "up", True, None)
    assert (main.nodes, main.nodes_used, main.cores, main.cores_used) == (2, 1, 16, 3)
    assert (main.memory_mb, main.memory_used_mb) == (8000, 1024)
    assert (long.max_seconds, long.default, short.max_seconds) == (172800, False, 300)
    with pytest.raises(SiteError):
        slurm.parse_queues(said("main* up infinite idle\n"))


def test_limits_are_read_from_the_configuration() -> None:
    config = "MaxArraySize            = 1001\nAccountingStorageType   = accounting_storage/{}\n"
    known = slurm.parse_limits(said(config.format("slurmdbd")))
    assert (known.max_array_size, known.accounting) == (1001, True)
    assert slurm.parse_limits(said(config.format("none"))).accounting is False
    assert slurm.parse_limits(said("MaxArraySize = 5\nAccountingStorageType = (null)\n")).accounting is False
    with pytest.raises(SiteError, match="MaxArraySize"):
        slurm.parse_limits(said("nothing"))


def test_names_that_slurm_would_not_take_are_made_fit_and_stay_apart() -> None:
    assert slurm.job_name("series_a_0123_1") == "series_a_0123_1"
    odd = [slurm.job_name(name) for name in ("a,b", "a;b", "1a", "x" * 300, "x" * 301)]
    assert len(set(odd)) == 5
    assert all(name.replace("_", "").isalnum() and name[0].isalpha() and len(name) <= 200 for name in odd)
