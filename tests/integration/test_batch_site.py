"""Campaigns on AWS Batch without faults: what a person sees of them."""

from __future__ import annotations

from typing import Any


def test_a_campaign_runs_from_series_to_manifest_and_a_second_has_nothing_left_to_do(played: Any) -> None:
    campaign = played.campaign("ok slow:nap:0", range(4))
    assert played.run(campaign).plan.complete
    played.check_once(campaign)
    assert played.keys("outputs") == {
        f"toy_{key}_{seed:04d}.{e}" for key in ("ok", "slow") for seed in range(4) for e in "ab"
    }
    again = played.campaign("ok slow:nap:0", range(4))
    assert played.run(again).plan.complete
    played.check_once(again)
