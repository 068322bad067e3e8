"""What a daemon says of a container, read as how a job ended."""

from __future__ import annotations

from typing import Any

import pytest

from simcampaign.sites.docker.container import name_of, outcome, times

BOOTED = 1_700_000_000.0
STATE = {
    "Status": "exited",
    "OOMKilled": False,
    "StartedAt": "2025-11-21T11:12:39.571569869Z",
    "FinishedAt": "2025-11-21T11:13:39.570324661+00:00",
}


def ended(
    code: int, *, podman: bool = False, memory_mb: int | None = None, booted: float = BOOTED, **state: Any
) -> Any:
    told = outcome({**STATE, "ExitCode": code, **state}, podman=podman, memory_mb=memory_mb, booted=booted)
    assert told["code"] == code
    return told.get("reason"), told.get("message", "")


@pytest.mark.parametrize("code", [0, 1, 127, 139])
def test_exit_codes_of_programs_need_no_reason(code: int) -> None:
    assert ended(code) == (None, "")


def test_what_the_kernel_killed_for_its_memory_is_out_of_memory_with_the_limit() -> None:
    reason, message = ended(137, memory_mb=64, OOMKilled=True)
    assert (reason, "64 MiB" in message) == ("out_of_memory", True)


def test_a_child_that_was_killed_for_memory_does_not_make_a_job_fail_that_went_on() -> None:
    assert ended(0, memory_mb=64, OOMKilled=True) == (None, "")


def test_podman_that_does_not_tell_is_believed_to_have_kept_its_limit_and_the_message_says_so() -> None:
    reason, message = ended(137, podman=True, memory_mb=64)
    assert (reason, "podman does not tell" in message) == ("out_of_memory", True)
    assert ended(137, podman=True)[0] == "not_started"
    assert ended(137, memory_mb=64)[0] == "not_started"


@pytest.mark.parametrize("code", [137, 143])
def test_a_signal_from_outside_is_no_fault_of_the_program(code: int) -> None:
    assert ended(code)[0] == "not_started"


def test_what_ended_because_the_host_was_restarted_is_no_fault_of_the_program() -> None:
    started, over = times(STATE)
    assert started is not None
    assert over is not None
    assert over - started == pytest.approx(60, abs=0.01)
    assert ended(255, booted=started + 30) == ("not_started", "the host was restarted while it ran")
    assert ended(255, booted=over + 30) == (None, "")


def test_a_short_container_does_not_end_before_it_began() -> None:
    started, over = times({**STATE, "FinishedAt": "2025-11-21T11:12:39.570324661Z"})
    assert started == over
    assert times({"StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"}) == (None, None)


def test_names_are_fit_for_a_daemon_and_differ_between_arrays_of_one_name() -> None:
    token = "0123456789abcdef"
    assert name_of("toy_2025-01-01_1", token, 7) == "toy_2025-01-01_1-7-01234567"
    assert name_of("-é a/b", token, 0) == "a_b-0-01234567"
    assert name_of("é", token, 0) == "array-0-01234567"
    assert len(name_of("x" * 500, token, 10**6)) < 128
    assert name_of("toy", token, 1) != name_of("toy", token[::-1], 1)
