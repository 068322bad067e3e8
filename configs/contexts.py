"""The contexts of every kind of place, and the campaign that each of them makes."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from configs.batch import BatchContextConfig
from configs.campaign import make_campaign
from configs.cluster import ClusterContextConfig
from configs.docker import DockerContextConfig, check_image
from configs.local import LocalContextConfig
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig
from configs.solver import SolverContextConfig, check_runs
from simcampaign.engine.campaign import Campaign
from simcampaign.jobs import Resources
from simcampaign.places import data_folder
from simcampaign.retry import Limits
from simcampaign.sites.local import LocalSite

AnyContextConfig = Annotated[
    LocalContextConfig | DockerContextConfig | ClusterContextConfig | BatchContextConfig | SolverContextConfig,
    Field(discriminator="kind"),
]
"""A context of any kind; its field ``kind`` tells which."""


def open_campaign(context: AnyContextConfig, series: SeriesConfig, parameters: ParametersConfig) -> Campaign:
    """Put the campaign together that runs a series where the context says.

    Nothing is read from or written to its locations yet. Raises ``ConfigError`` with everything that is wrong.
    """
    match context:
        case LocalContextConfig():
            return _open_local(context, series, parameters)
        case DockerContextConfig():
            return _open_docker(context, series, parameters)
        case ClusterContextConfig():
            return _open_cluster(context, series, parameters)
        case BatchContextConfig():
            return _open_batch(context, series, parameters)
        case SolverContextConfig():
            return _open_solver(context, series, parameters)


def _open_local(context: LocalContextConfig, series: SeriesConfig, parameters: ParametersConfig) -> Campaign:
    return make_campaign(
        context,
        series,
        parameters,
        site=LocalSite(root=data_folder() / "local", slots=context.core_slots()),
        command=context.arguments(),
        resources=Resources(context.cpus_per_job, context.memory_per_job, context.timeout),
        limits=Limits(context.attempts),
    )


def _open_docker(context: DockerContextConfig, series: SeriesConfig, parameters: ParametersConfig) -> Campaign:
    check_image(parameters.image)
    return make_campaign(
        context,
        series,
        parameters,
        site=context.site(),
        command=context.arguments(),
        resources=context.resources(),
        limits=Limits(context.attempts),
    )


def _open_cluster(context: ClusterContextConfig, series: SeriesConfig, parameters: ParametersConfig) -> Campaign:
    configured = context.configured_site()
    campaign = make_campaign(
        context,
        series,
        parameters,
        site=configured.site,
        command=context.arguments(configured),
        resources=context.resources(),
        limits=Limits(context.attempts),
    )
    settings = replace(campaign.settings, environment=configured.environment, options=context.options)
    return replace(campaign, settings=settings)


def _open_batch(context: BatchContextConfig, series: SeriesConfig, parameters: ParametersConfig) -> Campaign:
    return make_campaign(
        context,
        series,
        parameters,
        site=context.site(),
        resources=context.resources(),
        limits=context.limits(),
        region=context.region,
    )


def _open_solver(context: SolverContextConfig, series: SeriesConfig, parameters: ParametersConfig) -> Campaign:
    check_runs(series.extensions, parameters.seeds_per_job, parameters.image)
    return make_campaign(
        context,
        series,
        parameters,
        site=context.solver_site(),
        resources=Resources(),
        limits=Limits(context.attempts),
    )
