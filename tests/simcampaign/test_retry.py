"""Retrying: a policy per cause decides whether a job is tried again, and with what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.jobs import Cause, Resources
from simcampaign.retry import RULES, Limits, next_resources

JOB = Resources(cpus=2, memory_mb=1000, timeout_seconds=600.0)
UNCHANGED = (Cause.PREEMPTED, Cause.INFRASTRUCTURE, Cause.STAGING, Cause.LOST)


def test_every_cause_has_a_rule():
    assert set(RULES) == set(Cause)


def test_a_failure_of_the_model_is_not_tried_again():
    assert next_resources(JOB, Cause.APPLICATION, Limits()) is None


@pytest.mark.parametrize("cause", UNCHANGED)
def test_what_was_not_the_jobs_fault_is_tried_again_as_it_is(cause):
    assert next_resources(JOB, cause, Limits(max_memory_mb=1, max_timeout_seconds=1)) == JOB


def test_a_job_that_lacked_memory_gets_twice_as_much_and_nothing_else_changes():
    wanted = Resources(cpus=2, memory_mb=2000, timeout_seconds=600.0)
    assert next_resources(JOB, Cause.OUT_OF_MEMORY, Limits()) == wanted


def test_a_job_that_lacked_time_gets_twice_as_much_and_nothing_else_changes():
    wanted = Resources(cpus=2, memory_mb=1000, timeout_seconds=1200.0)
    assert next_resources(JOB, Cause.TIMEOUT, Limits()) == wanted


def test_what_grows_is_cut_to_the_limit():
    limits = Limits(max_memory_mb=1500, max_timeout_seconds=700.0)
    assert next_resources(JOB, Cause.OUT_OF_MEMORY, limits).memory_mb == 1500
    assert next_resources(JOB, Cause.TIMEOUT, limits).timeout_seconds == 700.0


@pytest.mark.parametrize(
    "limits",
    [Limits(max_memory_mb=1000, max_timeout_seconds=600.0), Limits(max_memory_mb=500, max_timeout_seconds=300.0)],
)
@pytest.mark.parametrize("cause", [Cause.OUT_OF_MEMORY, Cause.TIMEOUT])
def test_a_job_that_had_the_limit_already_is_not_tried_again(cause, limits):
    assert next_resources(JOB, cause, limits) is None


@pytest.mark.parametrize("cause", [Cause.OUT_OF_MEMORY, Cause.TIMEOUT])
def test_a_job_without_a_limit_cannot_be_given_more(cause):
    assert next_resources(Resources(), cause, Limits()) is None


@given(
    st.builds(Resources, memory_mb=st.integers(1, 10**7), timeout_seconds=st.floats(1e-3, 1e7)),
    st.sampled_from(Cause),
    st.builds(Limits, max_memory_mb=st.integers(1, 10**7), max_timeout_seconds=st.floats(1e-3, 1e7)),
)
def test_tries_end_and_never_ask_for_less_or_for_more_than_the_limit(resources, cause, limits):
    now = resources
    for _ in range(60):
        then = next_resources(now, cause, limits)
        if then is None or then == now:
            break
        assert now.memory_mb <= then.memory_mb <= max(limits.max_memory_mb, resources.memory_mb)
        assert now.timeout_seconds <= then.timeout_seconds <= max(limits.max_timeout_seconds, resources.timeout_seconds)
        now = then
    else:
        pytest.fail("resources grow without end")
