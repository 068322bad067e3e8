"""Trying again: what another try is given, and which runs it holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from simcampaign.engine.retries import again
from simcampaign.engine.watch import watch
from simcampaign.jobs import Resources
from simcampaign.retry import Limits

SHORT = Resources(timeout_seconds=0.4)


def ended(toy: Any, campaign: Any) -> dict[int, Resources]:
    """Submit a campaign, wait for its end, and return its arrays with what their jobs were given."""
    toy.submit(campaign, *toy.plan_and_claim(campaign))
    watch(campaign, campaign.ledger.arrays(campaign.id), lambda _: None, lambda: False)
    return {array.id: campaign.settings.resources for array in campaign.ledger.arrays(campaign.id)}


def test_a_run_that_took_too_long_is_tried_with_twice_the_time_and_a_broken_model_is_not(toy: Any) -> None:
    campaign = toy.campaign("nap:30 exit3 ok", [0], resources=SHORT)
    [(variant, runs)] = again(campaign, ended(toy, campaign))
    assert variant.settings.resources == Resources(timeout_seconds=0.8)
    assert runs.tolist() == [[True], [False], [False]]


def test_a_run_is_not_tried_again_when_its_resources_are_at_their_limit(toy: Any) -> None:
    campaign = toy.campaign("nap:30", [0], resources=SHORT, limits=Limits(max_timeout_seconds=0.4))
    assert again(campaign, ended(toy, campaign)) == []


def test_what_is_tried_again_is_only_what_is_still_to_do(toy: Any) -> None:
    campaign = toy.campaign("nap:1 ok", [0, 1], resources=SHORT, seeds_per_job=2)
    [(variant, runs)] = again(campaign, ended(toy, campaign))
    longer = replace(variant, settings=replace(variant.settings, resources=Resources(timeout_seconds=30.0)))
    prepared, submissions = toy.plan_and_claim(longer, runs)
    assert np.array_equal(runs, [[True, True], [False, False]])
    toy.submit(longer, prepared, submissions)
    watch(longer, longer.ledger.arrays(longer.id), lambda _: None, lambda: False)
    assert toy.run(campaign).plan.complete
    assert sorted(toy.noted()) == ["nap 0", "nap 0", "nap 1", "ok 0", "ok 1"]
