"""PBS's commands and answers, from text like that which a real OpenPBS printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simcampaign.errors import SiteError
from simcampaign.jobs import Cause, JobState, Resources
from simcampaign.sites.cluster.adapter import Request, Seen
from simcampaign.sites.cluster.pbs import Pbs, PbsOptions
from simcampaign.sites.hosts.base import Done

pbs = Pbs()


def said(out: str, err: str = "", code: int = 0) -> Done:
    return Done(code, out.encode(), err.encode())


def answer(**jobs: dict[str, Any]) -> str:
    return json.dumps({"timestamp": 1, "pbs_version": "23.06.06", "pbs_server": "host", "Jobs": jobs}, indent="\t")


def only(**values: Any) -> Seen:
    return pbs.parse_status(said(answer(**{"20[3].host": values})))["20[].host"][3]


def test_sub_jobs_are_read_and_the_array_s_own_state_is_not() -> None:
    jobs = {
        "20[].host": {"job_state": "B", "Exit_status": 0},
        "20[0].host": {"job_state": "X", "Exit_status": 0, "substate": 92},
        "20[1].host": {"job_state": "R", "comment": "Job run at Fri Nov 20"},
        "20[2].host": {"job_state": "Q", "comment": "Not Running: Insufficient amount of resource: ncpus (R: 1 A: 0)"},
        "21.host": {"job_state": "H"},
    }
    seen = pbs.parse_status(said(answer(**jobs)))
    assert {index: each.state for index, each in seen["20[].host"].items()} == {
        0: JobState.FINISHED,
        1: JobState.RUNNING,
        2: JobState.QUEUED,
    }
    assert seen["20[].host"][2].message == "there is not enough of what it asks for now"
    assert seen["21.host"][0].state is JobState.QUEUED


@pytest.mark.parametrize(
    ("values", "state", "cause", "exit_code"),
    [
        ({"Exit_status": 0}, JobState.FINISHED, None, 0),
        ({"Exit_status": 7}, JobState.FAILED, Cause.APPLICATION, 7),
        ({"Exit_status": 137}, JobState.FAILED, Cause.APPLICATION, 137),
        ({"Exit_status": 271}, JobState.CANCELLED, None, 143),
        ({"Exit_status": 143, "substate": 91}, JobState.CANCELLED, None, 143),
        ({"Exit_status": 143, "substate": 93}, JobState.FAILED, Cause.APPLICATION, 143),
        ({"Exit_status": 267}, JobState.FAILED, Cause.APPLICATION, 139),
        ({"Exit_status": -29}, JobState.FAILED, Cause.TIMEOUT, None),
        ({"Exit_status": 143, "comment": "… and exceeded resource walltime"}, JobState.FAILED, Cause.TIMEOUT, 143),
        ({"Exit_status": -27}, JobState.FAILED, Cause.OUT_OF_MEMORY, None),
        ({"Exit_status": 137, "comment": "… and exceeded resource mem"}, JobState.FAILED, Cause.OUT_OF_MEMORY, 137),
        ({"Exit_status": -1}, JobState.FAILED, Cause.INFRASTRUCTURE, None),
        ({"Exit_status": -99}, JobState.FAILED, Cause.INFRASTRUCTURE, None),
        ({"substate": 91}, JobState.CANCELLED, None, None),
    ],
)
@pytest.mark.parametrize("letter", ["X", "F"])
def test_an_exit_status_tells_how_a_job_ended(
    letter: str, values: dict[str, Any], state: JobState, cause: Cause | None, exit_code: int | None
) -> None:
    seen = only(job_state=letter, **values)
    assert (seen.state, seen.cause, seen.exit_code) == (state, cause, exit_code)
    assert bool(seen.message) is (state is not JobState.FINISHED)


def test_times_and_use_are_read() -> None:
    used = {"cput": "00:01:05", "mem": "5952kb"}
    seen = only(
        job_state="F",
        Exit_status=0,
        stime="Fri Nov 20 18:33:45 2026",
        obittime="Fri Nov 20 18:33:47 2026",
        history_timestamp=1795199700,
        resources_used=used,
    )
    assert (seen.started, seen.ended) == (1795199625.0, 1795199627.0)
    assert (seen.peak_memory_bytes, seen.cpu_seconds) == (5952 * 1024, 65.0)


def test_ids_that_are_not_known_are_left_out() -> None:
    errors = "qstat: Unknown Job Id 19[].host\nqstat: 18.host Job has finished, use -x or -H to obtain it\n"
    assert pbs.parse_status(said("", errors, 153)) == {}
    both = pbs.parse_status(said(answer(**{"21.host": {"job_state": "R"}}), errors, 153))
    assert list(both) == ["21.host"]


@pytest.mark.parametrize(
    ("out", "err", "code"),
    [
        ("", "", 0),
        ("{}", "", 0),
        (answer(**{"20[0].host": {"job_state": "R"}})[:-9], "", 0),
        (answer(**{"20[0].host": {"job_state": "?"}}), "", 0),
        (answer(**{"20[0].host": {"job_state": "F", "Exit_status": "x"}}), "", 0),
        (answer(what={"job_state": "R"}), "", 0),
        ("", "qstat: Unauthorized Request\n", 159),
    ],
)
def test_nonsense_is_no_empty_queue(out: str, err: str, code: int) -> None:
    with pytest.raises(SiteError):
        pbs.parse_status(said(out, err, code))


def test_a_stray_backslash_of_a_variable_does_no_harm() -> None:
    text = answer(**{"20[0].host": {"job_state": "R", "Variable_List": {"PBS_O_PS1": "X"}}}).replace('"X"', r'"\w\$ "')
    assert pbs.parse_status(said(text))["20[].host"][0].state is JobState.RUNNING


def test_jobs_are_cancelled_by_ranges() -> None:
    assert pbs.cancel_command("20[].host", None) == ["qdel", "20[].host"]
    assert pbs.cancel_command("20[].host", [0, 1, 2, 7]) == ["qdel", "20[0-2].host", "20[7].host"]
    assert pbs.cancel_command("21.host", [0]) == ["qdel", "21.host"]


def test_a_server_that_is_down_is_told_from_a_refusal() -> None:
    assert pbs.is_busy(said("", "Connection refused\nqstat: cannot connect to server host (errno=111)\n", 255))
    assert not pbs.is_busy(said("", "qsub: Unknown queue\n", 170))
    assert not pbs.is_over(said("", "qdel: Unauthorized Request 20[].host\n", 159))
    assert pbs.is_over(said("", "qdel: Unknown Job Id 20[].host\n", 153))


@pytest.mark.parametrize(
    ("resources", "select"),
    [
        (Resources(), "1:ncpus=1:mpiprocs=1"),
        (Resources(cpus=1.5, memory_mb=500), "1:ncpus=2:mpiprocs=1:mem=500mb"),
        (Resources(cpus=2, ranks=4, memory_mb=1001), "4:ncpus=2:mpiprocs=1:mem=251mb"),
        (Resources(ranks=2, gpus=4), "2:ncpus=1:mpiprocs=1:ngpus=2"),
        (Resources(ranks=4, gpus=1, memory_mb=100), "1:ncpus=4:mpiprocs=4:mem=100mb:ngpus=1"),
    ],
)
def test_what_a_job_needs_is_asked_for_in_chunks(resources: Resources, select: str) -> None:
    text = pbs.script(Request("a", 3, "/scratch", resources, PbsOptions()))
    assert f"#PBS -l select={select}\n" in text


def test_an_array_of_one_is_a_single_job() -> None:
    single = pbs.script(Request("a", 1, "/scratch", Resources(), PbsOptions(max_running=5)))
    assert "#PBS -J" not in single
    assert "#PBS -r n\n" in single
    array = pbs.script(Request("a", 3, "/scratch", Resources(timeout_seconds=1.5), PbsOptions(max_running=5)))
    assert "#PBS -J 0-2%5\n" in array
    assert "#PBS -r" not in array
    assert "#PBS -l walltime=2\n" in array


def test_limits_and_the_version_are_read() -> None:
    server = {"Server": {"host": {"max_array_size": 10000, "job_history_enable": "True"}}}
    limits = pbs.parse_limits(said(json.dumps(server)))
    assert (limits.max_array_size, limits.accounting) == (10000, True)
    assert pbs.parse_limits(said('{"Server": {"host": {}}}')).accounting is False
    with pytest.raises(SiteError):
        pbs.parse_limits(said("{}"))


@pytest.mark.parametrize("text", ["20[].host\n", "21.host.example.org\n"])
def test_the_id_of_an_array_is_read(text: str) -> None:
    assert pbs.parse_submitted(f"a site's own greeting\n{text}") == text.strip()
