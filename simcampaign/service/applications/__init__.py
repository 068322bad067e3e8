"""Applications: from what a client asks for to a job of the queue, with a program that the server's owner chose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from simcampaign.engine.requests import content_digest
from simcampaign.errors import ConfigError, Problem
from simcampaign.ledger.queuerows import NewJob
from simcampaign.mistakes import did_you_mean
from simcampaign.service.applications import declared, hfss, plain
from simcampaign.service.applications.asked import Common, new_id
from simcampaign.service.core.work import Work
from simcampaign.service.settings import Settings
from simcampaign.service.sites import cores_here


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asks, and how."""

    user: str = ""
    """Whose job it is; empty if that is for the config to say."""

    default_user: str = ""
    """Whose job it is if nobody says."""

    priority: int = 0
    key: str | None = None
    """The client's own key of the request: the same key is the same job."""


def new_job(config: Mapping[str, Any], settings: Settings, asker: Asker) -> NewJob:
    """Return the job that a config describes. Raises ``ConfigError`` with every mistake."""
    try:
        digest = content_digest(json.dumps(dict(config), sort_keys=True, ensure_ascii=False).encode())
    except UnicodeEncodeError as error:
        raise ConfigError([Problem("config", "…", "has characters that are none (single surrogates)")]) from error
    application = _application(config, settings)
    asked: Common
    if not application:
        asked, site, work = plain.build(config, settings)
        job_id, shown = asked.jobid or new_id("job"), plain.shown(asked)
    elif settings.applications[application].kind == "hfss":
        asked, site, work = hfss.build(config, application, settings)
        job_id, shown = asked.jobid or hfss.new_job_id(), hfss.shown(asked)
    else:
        asked, site, work = declared.build(config, application, settings)
        job_id, shown = asked.jobid or new_id("job"), asdict(asked)
    _check_size(work, site)
    user = asker.user or asked.user or asker.default_user
    return NewJob(
        id=job_id,
        user=user,
        site=site,
        group=asked.group,
        application=application,
        series=asked.series,
        priority=asker.priority,
        held=asked.held,
        config=json.dumps({**shown, "jobid": job_id, "user": user}, separators=(",", ":")),
        work=work.text(),
        cores=work.resources.cores,
        memory_mb=work.resources.memory_mb or 0,
        after=tuple(asked.after),
        after_ok=tuple(asked.after_ok),
        idempotency_key=asker.key,
        request_digest=digest,
    )


def _application(config: Mapping[str, Any], settings: Settings) -> str:
    """Return the application that a config is for; empty for a job of simcampaign's own kind."""
    if hfss.is_one(config):
        name = next((name for name, each in settings.applications.items() if each.kind == "hfss"), "hfss")
    else:
        name = config.get("application") or ""
    if name and (not isinstance(name, str) or name not in settings.applications):
        remedy = did_you_mean(str(name), settings.applications) if settings.applications else "there is none"
        raise ConfigError([Problem("config.application", name, "is not set up on this server", remedy)])
    return name


def _check_size(work: Work, site: str) -> None:
    """Refuse a job that could never start."""
    cores = cores_here(site)
    if cores is not None and work.resources.cores > cores:
        reason = f"is more than the {cores:g} cores of site {site}"
        raise ConfigError([Problem("config.resources", work.resources.cores, reason)])
