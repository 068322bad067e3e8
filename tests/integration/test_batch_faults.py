"""Faults between engine and AWS Batch: nothing is submitted twice, nothing is lost, a failed look changes nothing."""

from __future__ import annotations

import logging
import threading
from typing import Any

import boto3
import pytest
from botocore.config import Config

from simcampaign.engine.reconcile import look, reconcile
from simcampaign.errors import NetworkError, SiteError
from simcampaign.jobs import JobState
from simcampaign.ledger import ArrayState
from tests.integration.proxy import (
    DELIVERED_TWICE,
    GARBLED,
    LOST_REPLY,
    NEVER_DELIVERED,
    THROTTLED,
    UNAVAILABLE,
    Fault,
)
from tests.integration.services.aws import REGION
from tests.support import until

SLOW = Fault(seconds=1.5)


def impatient(service: str) -> Any:
    """A client that tries once: how long clients repeat is boto3's affair."""
    return boto3.client(service, region_name=REGION, config=Config(retries={"total_max_attempts": 1}))


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([LOST_REPLY], id="the reply is lost"),
        pytest.param([LOST_REPLY, NEVER_DELIVERED], id="the reply is lost and so is the next request"),
        pytest.param([NEVER_DELIVERED], id="the connection is reset before delivery"),
        pytest.param([THROTTLED] * 3, id="a storm of 429"),
        pytest.param([UNAVAILABLE] * 2, id="a storm of 503"),
        pytest.param([SLOW], id="the answer is slow"),
        pytest.param([GARBLED, LOST_REPLY], id="the answer is garbled"),
    ],
)
def test_a_submission_through_faults_is_submitted_once(played: Any, faults: list[Fault]) -> None:
    played.proxy.break_next("submitjob", *faults)
    campaign = played.campaign("ok", range(3))
    assert played.run(campaign).plan.complete
    played.check_once(campaign)
    assert len(played.submitted()) == 1


def test_a_job_that_is_no_array_is_found_again_after_a_lost_reply(played: Any) -> None:
    played.proxy.break_next("submitjob", LOST_REPLY)
    campaign = played.campaign("ok", range(1))
    assert played.run(campaign).plan.complete
    played.check_once(campaign)


def test_a_submission_that_is_delivered_twice_leaves_one_array_that_counts(played: Any) -> None:
    played.proxy.break_next("submitjob", DELIVERED_TWICE)
    campaign = played.campaign("nap:0.5", range(40))
    assert played.run(campaign).plan.complete
    jobs = played.aws.submitted(played.bucket)
    assert len({job["jobName"] for job in jobs}) == 1
    described = played.aws.client("batch").describe_jobs(jobs=[job["jobId"] for job in jobs])["jobs"]
    assert sorted(job["isTerminated"] for job in described) == [False, True], "the service was told to end the twin"
    assert len(played.noted("end")) < 80, "the twin was ended before it did all of it again"


def test_other_calls_delivered_twice_do_no_harm(played: Any) -> None:
    for call in ("describejobs", "listjobs", "registerjobdefinition", "describejobdefinitions"):
        played.proxy.break_all(call, DELIVERED_TWICE)
    campaign = played.campaign("ok exit3", range(3))
    assert played.run(campaign).plan.counts == {"done": 3, "failed": 3}
    assert len(played.noted()) == 6
    assert set(played.submitted().values()) == {1}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(NEVER_DELIVERED, id="reset"),
        pytest.param(LOST_REPLY, id="reply lost"),
        pytest.param(THROTTLED, id="429"),
        pytest.param(UNAVAILABLE, id="503"),
        pytest.param(GARBLED, id="garbled"),
    ],
)
def test_a_look_that_fails_changes_no_state(played: Any, fault: Fault) -> None:
    campaign = played.campaign("nap:1", range(3), site={"client_factory": impatient})
    played.submit(campaign)
    (array,) = campaign.ledger.arrays(campaign.id)
    look(campaign, [array])
    before = campaign.ledger.job_counts([array.id])
    played.proxy.break_all("describejobs", fault)
    for _ in range(2):
        with pytest.raises((SiteError, NetworkError)):
            reconcile(campaign)
        assert campaign.ledger.job_counts([array.id]) == before
        assert campaign.ledger.arrays(campaign.id)[0].state is ArrayState.SUBMITTED
    played.proxy.break_all("describejobs", None)
    assert played.run(campaign).plan.complete
    played.check_once(campaign)


def test_an_engine_that_starts_while_the_service_is_away_plans_nothing(played: Any) -> None:
    played.submit(played.campaign("nap:0.2", range(3)))
    played.proxy.break_all("describejobs", UNAVAILABLE)
    with pytest.raises(NetworkError, match="DescribeJobs"):
        played.run(played.campaign("nap:0.2", range(3), site={"client_factory": impatient}))
    played.proxy.break_all("describejobs", None)
    campaign = played.campaign("nap:0.2", range(3))
    assert played.run(campaign).plan.complete
    played.check_once(campaign)


def test_a_job_id_that_vanishes_is_lost_never_finished_and_its_runs_are_free_again(played: Any) -> None:
    campaign = played.campaign("nap:2", range(2))
    played.submit(campaign)
    (array,) = campaign.ledger.arrays(campaign.id)
    look(campaign, [array])
    played.proxy.hidden.add(array.remote_id)

    def is_over() -> bool:
        reconcile(campaign)
        return campaign.ledger.arrays(campaign.id)[0].state is ArrayState.OVER

    until(is_over)
    assert set(campaign.ledger.job_states(array.id).values()) == {JobState.LOST}
    until(lambda: len(played.noted("end")) == 2)
    assert played.run(played.campaign("nap:2", range(2))).plan.complete, "its files came all the same"
    assert len(played.noted()) == 2


def test_a_job_id_that_one_call_forgets_for_a_while_is_kept(played: Any) -> None:
    campaign = played.campaign("nap:0.5", range(2))
    played.submit(campaign)
    forget = Fault(change=lambda answer: {**answer, "jobs": []})
    played.proxy.break_next("describejobs", forget, forget)
    assert played.run(campaign).plan.complete
    played.check_once(campaign)
    assert played.proxy.left("describejobs") == 0


def test_an_array_of_which_no_children_are_listed_yet_is_not_taken_for_finished(played: Any) -> None:
    campaign = played.campaign("exit3 ok", range(2))
    played.submit(campaign)
    nothing = Fault(change=lambda answer: {**answer, "jobSummaryList": []})
    played.proxy.break_next("listjobs", nothing, nothing)
    plan = played.run(campaign).plan
    assert plan.counts == {"done": 2, "failed": 2}
    assert played.proxy.left("listjobs") == 0


def test_logs_are_saved_through_throttling_and_cuts(played: Any) -> None:
    faults = [THROTTLED, NEVER_DELIVERED, LOST_REPLY]
    played.proxy.break_next("getlogevents", *faults)
    campaign = played.campaign("ok", range(3))
    assert played.run(campaign).plan.complete
    logs = played.keys("logs")
    assert len(logs) == 3
    texts = [played.text(f"{campaign.layout.root}/logs/{name}") for name in logs]
    assert sorted(line for text in texts for line in text.splitlines() if text.startswith("toy_ok")) == sorted(
        line for text in texts for line in text.splitlines()
    )


@pytest.mark.faults
def test_a_storm_over_a_whole_campaign_costs_time_only(played: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Every third call of any kind goes wrong in another way."""
    caplog.set_level(logging.ERROR)
    well = Fault()
    storm = [well, well, THROTTLED, well, well, LOST_REPLY, well, well, UNAVAILABLE]
    for call in ("submitjob", "describejobs", "listjobs", "describejobdefinitions", "getlogevents"):
        played.proxy.break_next(call, *storm[2:], *storm)
    groups = {f"g{number}": "" for number in range(6)}
    conditions = [{"key": f"c{number}", "group": f"g{number}"} for number in range(6)]
    campaign = played.campaign(conditions, range(4), series={"groups": groups})
    assert played.run(campaign).plan.complete
    played.check_once(campaign)
    assert len(played.submitted()) == 6


def test_two_engines_at_once_through_lost_replies_start_every_run_once(played: Any) -> None:
    played.proxy.break_next("submitjob", LOST_REPLY, Fault(), LOST_REPLY)
    campaigns = [played.campaign("p:nap:0 q:nap:0.2", range(4)) for _ in range(2)]
    threads = [threading.Thread(target=played.run, args=(each,)) for each in campaigns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    played.check_once(campaigns[0])
