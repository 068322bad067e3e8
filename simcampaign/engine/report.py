"""Publishing: the report command and the summary."""

from __future__ import annotations

import logging
import shlex
import subprocess
from dataclasses import dataclass

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.page import TAIL_LINES, build_page, save_summary, say_failures
from simcampaign.engine.planning import Prepared, estimate_plan, prepare
from simcampaign.plan import Plan
from simcampaign.runs import RunState

logger = logging.getLogger("simcampaign")


@dataclass(frozen=True)
class Published:
    """Where the summary is, and what it says in short."""

    plan: Plan
    page: str
    """The page's place."""

    failures: str
    """The failures in words; empty if there is none."""


def publish(campaign: Campaign, command: str, prepared: Prepared | None = None) -> Published:
    """Run the report command if the last job has ended, and save the summary.

    ``command`` is what a person types to run the campaign again; ``prepared`` is how things are now, by default the
    manifest is refreshed for it.
    """
    prepared = prepared or prepare(campaign)
    if campaign.settings.report and RunState.IN_FLIGHT.label not in prepared.plan.counts:
        _run_report(campaign)
    page = build_page(campaign, prepared.plan, prepared.manifest, estimate_plan(campaign, prepared.plan), command)
    save_summary(campaign, page)
    where = campaign.working.url(campaign.layout.summary_page)
    return Published(prepared.plan, where, say_failures(page.failures))


def _run_report(campaign: Campaign) -> None:
    working = campaign.working.url(campaign.layout.root)
    command = [argument.replace("{working}", working) for argument in campaign.settings.report]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        logger.warning("parameters.report: %s cannot be run: %s", shlex.join(command), error.strerror)
        return
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-TAIL_LINES:]
        logger.warning("parameters.report: %s ended with %d: %s", shlex.join(command), done.returncode, "\n".join(last))
