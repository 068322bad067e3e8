"""Grid Engine's commands and answers, from text that a real one printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.errors import SiteError
from simcampaign.jobs import Cause, JobState
from simcampaign.sites.cluster.adapter import Seen
from simcampaign.sites.cluster.ranges import to_text
from simcampaign.sites.cluster.sge import Sge
from simcampaign.sites.hosts.base import Done

sge = Sge()


def said(out: str, err: str = "", code: int = 0) -> Done:
    return Done(code, out.encode(), err.encode())


def job(number: int, state: str, tasks: str = "", name: str = "a", more: str = "") -> str:
    told = f"<tasks>{tasks}</tasks>" if tasks else ""
    return (
        f'<job_list state="x"><JB_job_number>{number}</JB_job_number><JB_name>{name}</JB_name>'
        f"<JB_owner>me</JB_owner><state>{state}</state>{more}<slots>1</slots>{told}</job_list>"
    )


def queue_of(*jobs: str) -> str:
    return f"<?xml version='1.0'?>\n<job_info xmlns:xsd=\"x\"><queue_info>{''.join(jobs)}</queue_info></job_info>\n"


def record(task: str = "1", failed: str = "0", status: str = "0", **more: str) -> str:
    values = {
        "qname": "main.q",
        "jobname": "a",
        "jobnumber": "9",
        "taskid": task,
        "start_time": "Sat Nov 21 11:06:20 2026",
        "end_time": "Sat Nov 21 11:06:23 2026",
        "failed": failed,
        "exit_status": status,
        "ru_wallclock": "3s",
        "cpu": "0.006s",
        "maxvmem": "3.535MB",
        "category": "NONE",
        **more,
    }
    return "=" * 62 + "\n" + "".join(f"{name:<12} {value:<20}\n" for name, value in values.items())


def seen_in(text: str, index: int = 0) -> Seen:
    return sge.parse_accounting(said(text))["9"][index]


def test_waiting_jobs_are_ranges_and_running_ones_single() -> None:
    start = "<JAT_start_time>2026-11-21T11:05:45</JAT_start_time>"
    text = queue_of(job(9, "r", "4", more=start), job(9, "qw", "8,16,18-20:1"), job(10, "hqw", "1-5:2"), job(11, "t"))
    jobs = sge.parse_status(said(text))
    assert sorted(jobs["9"]) == [3, 7, 15, 17, 18, 19]
    assert (jobs["9"][3].state, jobs["9"][3].started) == (JobState.RUNNING, 1795259145.0)
    assert (jobs["9"][7].state, jobs["9"][7].code) == (JobState.QUEUED, "qw")
    assert sorted(jobs["10"]) == [0, 2, 4]
    assert "qrls" in jobs["10"][0].message
    assert jobs["11"][0].state is JobState.RUNNING


@given(st.frozensets(st.integers(0, 75_000), min_size=1, max_size=200))
def test_any_set_of_waiting_jobs_is_read(indices: frozenset[int]) -> None:
    tasks = to_text(index + 1 for index in indices)
    assert sge.parse_status(said(queue_of(job(9, "qw", tasks))))["9"].keys() == indices


@pytest.mark.parametrize(
    ("letters", "state"),
    [
        ("Rr", JobState.RUNNING),
        ("Rt", JobState.RUNNING),
        ("dr", JobState.RUNNING),
        ("tS", JobState.RUNNING),
        ("hRwq", JobState.QUEUED),
        ("Rq", JobState.QUEUED),
        ("EhRqw", JobState.FAILED),
    ],
)
def test_of_several_letters_the_one_that_tells_most_counts(letters: str, state: JobState) -> None:
    assert sge.parse_status(said(queue_of(job(9, letters, "1"))))["9"][0].state is state


def test_a_job_that_could_not_be_started_says_why() -> None:
    reason = "11/21/2026 11:06:20 [0:12130]: error: can&apos;t chdir to /nowhere: No such file or directory"
    details = (
        "<?xml version='1.0'?>\n<detailed_job_info><djob_info><element><JB_job_number>9</JB_job_number><JB_ja_tasks>"
        "<ulong_sublist><JAT_task_number>2</JAT_task_number><JAT_message_list><ulong_sublist><QIM_message>"
        f"{reason}</QIM_message></ulong_sublist></JAT_message_list></ulong_sublist></JB_ja_tasks></element></djob_info>"
        "</detailed_job_info>\n"
    )
    jobs = sge.parse_status(said(queue_of(job(9, "Eqw", "1,2")) + details))["9"]
    assert (jobs[1].state, jobs[1].cause) == (JobState.FAILED, Cause.INFRASTRUCTURE)
    assert jobs[1].message == "it could not be started: can't chdir to /nowhere: No such file or directory"
    assert jobs[0].message == "it could not be started"


@pytest.mark.parametrize(
    "text",
    ["", "nothing", queue_of(job(9, "zz", "1")), queue_of(job(9, "r", "x")), queue_of(job(9, "r", "1"))[:-30]],
)
def test_nonsense_is_no_empty_queue(text: str) -> None:
    with pytest.raises(SiteError):
        sge.parse_status(said(text))


def test_accounts_tell_how_a_job_ended() -> None:
    fine = seen_in(record())
    assert (fine.state, fine.exit_code, fine.started, fine.ended) == (JobState.FINISHED, 0, 1795259180.0, 1795259183.0)
    assert (fine.peak_memory_bytes, fine.cpu_seconds) == (int(3.535 * 2**20), 0.006)
    failed = seen_in(record(task="3", status="7"), 2)
    assert (failed.state, failed.cause, failed.exit_code) == (JobState.FAILED, Cause.APPLICATION, 7)


@pytest.mark.parametrize(
    ("failed", "more", "state", "cause"),
    [
        ("100 : assumedly after job", {}, JobState.CANCELLED, None),
        ("37  : qmaster enforced h_rt, h_cpu, or h_vmem limit", {}, JobState.FAILED, Cause.TIMEOUT),
        ("100 : assumedly after job", {"category": "-l h_rt=2"}, JobState.FAILED, Cause.TIMEOUT),
        (
            "37  : qmaster enforced h_rt, h_cpu, or h_vmem limit",
            {"category": "-l h_rt=900,h_vmem=1G", "maxvmem": "1.002GB"},
            JobState.FAILED,
            Cause.OUT_OF_MEMORY,
        ),
        ("28  : changing into working directory", {"start_time": "-/-"}, JobState.FAILED, Cause.INFRASTRUCTURE),
        ("11  : before job", {}, JobState.FAILED, Cause.INFRASTRUCTURE),
    ],
)
def test_a_failure_has_a_cause_and_a_sentence(
    failed: str, more: dict[str, str], state: JobState, cause: Cause | None
) -> None:
    seen = seen_in(record(failed=failed, status="137                  (Killed)", **more))
    assert (seen.state, seen.cause) == (state, cause)
    assert seen.message
    assert not seen.message[0].isdigit()


def test_of_a_job_that_was_started_twice_the_last_counts() -> None:
    text = record(failed="25  : rescheduling") + record(status="0")
    assert seen_in(text).state is JobState.FINISHED
    assert sge.parse_accounting(said(record(failed="25  : rescheduling"))) == {}


def test_no_record_yet_is_no_refusal() -> None:
    assert sge.parse_accounting(said("", "error: job id 99 not found\n", 1)) == {}
    with pytest.raises(SiteError):
        sge.parse_accounting(said("", "error: Permission denied\n", 1))


def test_an_array_is_found_by_its_name_in_queue_and_accounts() -> None:
    text = queue_of(job(9, "r", "1", name="wanted"), job(8, "r", "1", name="wanted_2")) + record(jobname="wanted")
    assert sge.parse_found(said(text.replace("jobnumber    9", "jobnumber    7")), "wanted") == ["9", "7"]
    assert sge.parse_found(said(queue_of(), "error: job name wanted not found\n", 1), "wanted") == []


def test_jobs_are_cancelled_by_ranges() -> None:
    assert sge.cancel_command("9", None) == ["qdel", "9"]
    assert sge.cancel_command("9", [0, 1, 2, 7]) == ["qdel", "9.1-3", "9.8"]


@pytest.mark.parametrize(
    ("out", "over"),
    [
        ('denied: job "99999" does not exist\n', True),
        (
            'job "9" task id range "5-7:1" comprises no tasks\nme has registered the job-array task 9.1 for deletion\n',
            True,
        ),
        ("denied: me is not owner of job 9\n", False),
        ("", False),
    ],
)
def test_a_job_that_has_ended_need_not_be_cancelled(out: str, over: bool) -> None:
    assert sge.is_over(said(out, code=1)) is over


def test_a_master_that_is_down_is_told_from_a_refusal() -> None:
    down = 'error: unable to send message to qmaster using port 6444 on host "h": got send error\n'
    assert sge.is_busy(said("", down, 1))
    assert not sge.is_busy(said("", 'Unable to run job: unknown resource "bogus"\n', 1))


def test_queues_have_the_hosts_of_their_instances() -> None:
    def host(name: str, used: int, state: str) -> str:
        values = f"<queuevalue qname='q' name='slots_used'>{used}</queuevalue><queuevalue qname='q' name='slots'>8"
        values += f"</queuevalue><queuevalue qname='q' name='state_string'>{state}</queuevalue>"
        memory = "<hostvalue name='mem_total'>23.5G</hostvalue><hostvalue name='mem_used'>406.4M</hostvalue>"
        return f"<host name='{name}'>{memory}<queue name='main.q'>{values}</queue></host>"

    hosts = f"<host name='global'></host>{host('n1', 3, '')}{host('n2', 0, 'd')}"
    settings = "qname  main.q\nh_rt   24:00:00\n\nqname  empty.q\nh_rt   INFINITY\n"
    text = f"<?xml version='1.0'?>\n<qhost xmlns:xsd='x'>{hosts}</qhost>\n{settings}"
    main, empty = sge.parse_queues(said(text))
    assert (main.name, main.state, main.nodes, main.nodes_used, main.cores, main.cores_used) == (
        "main.q",
        "up",
        2,
        1,
        16,
        3,
    )
    assert (main.memory_mb, main.memory_used_mb, main.max_seconds) == (48128, 812, 86400)
    assert (empty.name, empty.state, empty.cores, empty.max_seconds) == ("empty.q", "no hosts", 0, None)


def test_limits_are_read() -> None:
    text = "max_aj_instances  2000\nmax_aj_tasks      75000\nreporting_params  accounting=true reporting=false\n"
    assert (sge.parse_limits(said(text)).max_array_size, sge.parse_limits(said(text)).accounting) == (75000, True)
    assert sge.parse_limits(said("max_aj_tasks 0\n")).max_array_size is None
    with pytest.raises(SiteError, match="max_aj_tasks"):
        sge.parse_limits(said("other 1\n"))


@pytest.mark.parametrize(("text", "number"), [("7.1-100:1\n", "7"), ("Warning: x\n12\n", "12")])
def test_the_number_of_an_array_is_read(text: str, number: str) -> None:
    assert sge.parse_submitted(text) == number
