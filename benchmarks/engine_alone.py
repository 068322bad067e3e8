"""Run a local campaign as its flow does, without Prefect: the floor of the overhead benchmark.

python -m benchmarks.engine_alone CONFIG.yaml
"""

from __future__ import annotations

import sys

import configs
from configs.contexts import open_campaign
from configs.local import LocalContextConfig
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig
from simcampaign.engine import collect
from simcampaign.engine.campaign import Campaign
from simcampaign.engine.report import publish
from simcampaign.engine.steps import PLAIN, gather, submit_missing
from simcampaign.engine.watch import watch


def run(campaign: Campaign) -> bool:
    """Take the steps of ``tasks.body`` in their order; returns whether the series is complete."""
    PLAIN.attach(campaign)
    submit_missing(campaign)
    watch(campaign, collect.uncollected(campaign), lambda _: None, lambda: False)
    arrays = gather(campaign)
    published = publish(campaign, "")
    for array in arrays:
        campaign.ledger.collected(array.id)
    return published.plan.complete


def main() -> int:
    """Run the campaign of the command line."""
    loaded = configs.load(sys.argv[1:], LocalContextConfig, SeriesConfig, ParametersConfig)
    return 0 if run(open_campaign(loaded.context, loaded.series, loaded.parameters)) else 1


if __name__ == "__main__":
    sys.exit(main())
