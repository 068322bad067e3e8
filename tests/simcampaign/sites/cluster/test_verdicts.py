"""How a job ended, from its exit code and the scheduler's word."""

from __future__ import annotations

import pytest

from simcampaign.errors import SiteError
from simcampaign.jobs import Cause, JobReport, JobState
from simcampaign.sites.cluster.adapter import Seen
from simcampaign.sites.cluster.files import About
from simcampaign.sites.cluster.slurm import Slurm
from simcampaign.sites.cluster.verdicts import End, of_end, without_end

slurm = Slurm()
FAILED, CANCELLED, FINISHED, LOST = JobState.FAILED, JobState.CANCELLED, JobState.FINISHED, JobState.LOST
ABOUT = About(10, 600.0)


def end(code: int, word: str = "-", seconds: int = 5) -> End:
    return End.parse(f"3 {code} {seconds}00 {1000 + seconds} {word} n1")


def verdict(report: JobReport) -> tuple[JobState, Cause | None]:
    return report.state, report.cause


@pytest.mark.parametrize(
    ("left", "word", "expected"),
    [
        (end(0), "CANCELLED", (FINISHED, None)),
        (end(0), "FAILED", (FINISHED, None)),
        (end(1), "FAILED", (FAILED, Cause.APPLICATION)),
        (end(1), "COMPLETED", (FAILED, Cause.APPLICATION)),
        (end(1), "OUT_OF_MEMORY", (FAILED, Cause.OUT_OF_MEMORY)),
        (end(137), "OUT_OF_MEMORY", (FAILED, Cause.OUT_OF_MEMORY)),
        (end(137), "CANCELLED", (CANCELLED, None)),
        (end(143, "TERM"), "TIMEOUT", (FAILED, Cause.TIMEOUT)),
        (end(143, "TERM"), "PREEMPTED", (FAILED, Cause.PREEMPTED)),
        (end(0, "TERM"), "TIMEOUT", (FAILED, Cause.TIMEOUT)),
        (end(0, seconds=600), "TIMEOUT", (FAILED, Cause.TIMEOUT)),
        (end(0, "USR1"), "COMPLETED", (FINISHED, None)),
        (end(125, "refused"), "FAILED", (FAILED, Cause.INFRASTRUCTURE)),
    ],
)
def test_the_exit_code_decides_and_the_scheduler_says_why(
    left: End, word: str, expected: tuple[JobState, Cause | None]
) -> None:
    report = of_end(left, slurm.seen(word), False, ABOUT)
    assert verdict(report) == expected
    assert (report.index, report.exit_code, report.started, report.ended) == (3, left.code, 1000, left.ended)


@pytest.mark.parametrize(
    ("left", "cancelled", "expected"),
    [
        (end(0), True, (FINISHED, None)),
        (end(143, "TERM"), True, (CANCELLED, None)),
        (end(137), True, (CANCELLED, None)),
        (end(143, "TERM", 590), False, (FAILED, Cause.TIMEOUT)),
        (end(143, "TERM"), False, (FAILED, Cause.INFRASTRUCTURE)),
        (end(137), False, (FAILED, Cause.OUT_OF_MEMORY)),
        (end(139), False, (FAILED, Cause.APPLICATION)),
        (end(2), True, (FAILED, Cause.APPLICATION)),
    ],
)
def test_where_the_scheduler_says_nothing_the_circumstances_do(
    left: End, cancelled: bool, expected: tuple[JobState, Cause | None]
) -> None:
    assert verdict(of_end(left, None, cancelled, ABOUT)) == expected


@pytest.mark.parametrize(
    ("seen", "cancelled", "expected"),
    [
        (None, False, (LOST, Cause.LOST)),
        (None, True, (CANCELLED, None)),
        (slurm.seen("COMPLETED"), False, (LOST, Cause.LOST)),
        (slurm.seen("CANCELLED"), False, (CANCELLED, None)),
        (slurm.seen("NODE_FAIL"), False, (FAILED, Cause.INFRASTRUCTURE)),
        (slurm.seen("OUT_OF_MEMORY"), False, (FAILED, Cause.OUT_OF_MEMORY)),
        (slurm.seen("TIMEOUT"), True, (FAILED, Cause.TIMEOUT)),
        (slurm.seen("FAILED", exit_code=137), False, (FAILED, Cause.OUT_OF_MEMORY)),
        (slurm.seen("FAILED", exit_code=2), False, (FAILED, Cause.INFRASTRUCTURE)),
    ],
)
def test_a_job_without_exit_code_is_never_finished(
    seen: Seen | None, cancelled: bool, expected: tuple[JobState, Cause | None]
) -> None:
    assert verdict(without_end(3, seen, True, cancelled)) == expected


def test_only_success_and_a_missing_program_are_believed_at_once() -> None:
    assert end(0).certain(ABOUT, cancelled=False)
    assert end(127).certain(ABOUT, cancelled=False)
    assert not end(0).certain(ABOUT, cancelled=True)
    assert not end(0, seconds=599).certain(ABOUT, cancelled=False)
    assert not end(0, "TERM").certain(ABOUT, cancelled=False)
    assert not end(137).certain(ABOUT, cancelled=False)
    assert not end(3).certain(ABOUT, cancelled=False), "a launcher may hide a rank that was killed for its memory"


@pytest.mark.parametrize("line", ["", "3 0 1 2 -", "x 0 1 2 - n1", "3 0 1 2 - n1 more"])
def test_an_exit_code_file_that_makes_no_sense_is_an_error(line: str) -> None:
    with pytest.raises(SiteError, match="exit code"):
        End.parse(line)
