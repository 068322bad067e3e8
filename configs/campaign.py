"""From configurations to a campaign at work."""

from __future__ import annotations

import sys
from typing import Protocol

from configs.parameters import ParametersConfig
from configs.series import SeriesConfig
from simcampaign.engine.campaign import Campaign, Settings
from simcampaign.jobs import Resources
from simcampaign.layout import Layout
from simcampaign.retry import NO_LIMITS, Limits
from simcampaign.sites.base import Site
from simcampaign.storage import Location


class Places(Protocol):
    """The part of every context that says where files are."""

    working_location: str
    manifest_location: str
    template_location: str


def make_campaign(
    context: Places,
    series: SeriesConfig,
    parameters: ParametersConfig,
    *,
    site: Site,
    resources: Resources,
    command: tuple[str, ...] = (),
    limits: Limits = NO_LIMITS,
    region: str | None = None,
) -> Campaign:
    """Put a campaign together; nothing is read from or written to its locations yet.

    The date of the campaign run is fixed here; ``region`` is that of buckets. Raises ``ConfigError`` with everything
    that is wrong with the series.
    """
    expanded = series.expand()
    settings = Settings(
        model=parameters.model,
        command=_with_python(command),
        image=parameters.image,
        resources=resources,
        limits=limits,
        seeds_per_job=parameters.seeds_per_job,
        retries=parameters.retries,
        retry_delay=parameters.retry_delay,
        log_filter=parameters.log_filter,
        terminate_jobs=parameters.terminate_jobs,
        save_logs=parameters.save_logs,
        clean_jobs=parameters.clean_jobs,
        update_manifest=parameters.update_manifest,
        rerun_stale=parameters.rerun_stale,
        only=tuple(parameters.only),
        budget=parameters.budget,
        seconds_per_run=parameters.seconds_per_run,
        report=_with_python(parameters.report_arguments()),
    )
    return Campaign(
        series=expanded,
        settings=settings,
        layout=Layout.today(expanded.name),
        working=Location.open(context.working_location, region),
        manifest=Location.open(context.manifest_location, region),
        templates=Location.open(context.template_location, region),
        site=site,
    )


def _with_python(command: tuple[str, ...]) -> tuple[str, ...]:
    """Put this interpreter in the place of ``{python}``: a virtual environment need not be on the PATH."""
    return tuple(argument.replace("{python}", sys.executable) for argument in command)
