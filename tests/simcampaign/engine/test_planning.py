"""Planning at a site that costs money: the budget counts what was used and what is in flight."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from simcampaign.engine.planning import prepare
from simcampaign.engine.preview import brief
from simcampaign.jobs import Resources
from simcampaign.sites.local import LocalSite


class PaidSite(LocalSite):
    """This machine, let for 3600 an hour: one a second."""

    def price_per_hour(self, resources: Resources) -> float:
        return 3600.0


def paid(toy: Any, **settings: Any) -> Any:
    campaign = toy.campaign("hold", range(4), seconds_per_run=10.0, **settings)
    return replace(campaign, site=PaidSite(root=toy.site.root, slots=2, grace_seconds=0.3))


def test_a_campaign_within_its_budget_is_submitted_whole(toy: Any) -> None:
    assert prepare(paid(toy, budget=40.0)).plan.runs_to_do == 4


def test_what_could_exceed_the_budget_is_held_back_and_said(toy: Any) -> None:
    campaign = paid(toy, budget=39.0)
    prepared = prepare(campaign)
    assert (prepared.plan.runs_to_do, prepared.held.runs) == (0, 4)
    assert "parameters.budget = 39.00" in brief(campaign, prepared)


def test_runs_in_flight_count_against_the_budget(toy: Any) -> None:
    first = paid(toy, budget=45.0)
    toy.submit(first, *toy.plan_and_claim(first))
    more = replace(first, series=replace(first.series, seeds=range(5)))
    assert prepare(more).held.runs == 1
    assert prepare(replace(more, settings=replace(more.settings, budget=50.0))).held.runs == 0
