"""A campaign at work: a series with its places, its ledger and its site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from simcampaign.chains import Outputs
from simcampaign.engine import forerunners
from simcampaign.engine.owner import identity
from simcampaign.errors import LocationError, TemplateError
from simcampaign.jobs import Resources
from simcampaign.layout import Layout, input_extension
from simcampaign.ledger import Ledger, default_url, ledger_exists
from simcampaign.retry import Limits
from simcampaign.series import Condition, Series
from simcampaign.sites.base import Site
from simcampaign.storage import Location
from simcampaign.templates import Template


@dataclass(frozen=True)
class Settings:
    """How a campaign is run; what the parameters of a flow say."""

    model: str
    command: tuple[str, ...] = ()
    """Argument list of a job; empty where the image knows what to run."""

    image: str = ""
    resources: Resources = field(default_factory=Resources)
    limits: Limits = field(default_factory=Limits)
    """How often a run is tried in one campaign run, and how far its resources may grow."""

    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    """What the campaign alone asks of its site, e.g. ``{"partition": "long"}``."""

    seeds_per_job: int = 1
    retries: int = 60
    """Number of looks at the jobs before the watch ends; with ``retry_delay`` it bounds the watch."""

    retry_delay: float = 60.0
    """Longest time between two looks, in seconds."""

    log_filter: str = ""
    """Only log lines that match this regular expression are saved; empty for all."""

    terminate_jobs: bool = True
    save_logs: bool = True
    clean_jobs: bool = True
    update_manifest: bool = True
    rerun_stale: bool = False
    only: tuple[str, ...] = ()
    """Keys of the runs to which the campaign run is limited; empty for all."""

    budget: float | None = None
    """The most that the campaign may cost, in the currency of the site's prices; None for no limit."""

    seconds_per_run: float | None = None
    """Declared wall time of a run, until earlier jobs of the model were measured."""

    report: tuple[str, ...] = ()
    """Argument list of a command that is run here after the last job."""

    @property
    def watch_seconds(self) -> float:
        """Longest time to watch jobs."""
        return self.retries * self.retry_delay


@dataclass(frozen=True, kw_only=True)
class SeriesRecord:
    """A series, where its files are, and what the ledger has of it."""

    series: Series
    layout: Layout
    working: Location
    manifest: Location
    ledger_url: str = field(default_factory=default_url)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, opened when it is first needed."""
        return Ledger(self.ledger_url)

    def using(self, ledger: Ledger) -> Self:
        """Return the same with a ledger that is open already."""
        changed = replace(self, ledger_url=ledger.database.url)
        vars(changed)["ledger"] = ledger
        return changed

    @cached_property
    def id(self) -> int:
        """The campaign's id in the ledger: that of its series in its working location."""
        return self.ledger.campaign(self.series.name, self.working.url())

    @property
    def recorded_id(self) -> int | None:
        """The campaign's id, or None if the ledger, or the campaign in it, does not exist yet; creates nothing."""
        if not ledger_exists(self.ledger_url):
            return None
        return self.ledger.find_campaign(self.series.name, self.working.url())

    @cached_property
    def conditions(self) -> Mapping[str, Condition]:
        """The conditions by key."""
        return {str(condition["key"]): condition for condition in self.series.conditions}

    @cached_property
    def condition_keys(self) -> tuple[str, ...]:
        """The condition keys in the series' order."""
        return tuple(self.conditions)


@dataclass(frozen=True, kw_only=True)
class Campaign(SeriesRecord):
    """Everything that the steps of a campaign run share. The date is fixed when it is made."""

    settings: Settings
    templates: Location
    site: Site
    owner: str = field(default_factory=identity)
    tried_since: int | None = None
    """Id of the array in the ledger after which tries of a run count; None if none does: everything is tried."""

    def but(self, **changes: Any) -> Self:
        """Return the same campaign with other values of fields; the ledger stays open."""
        changed = replace(self, **changes)
        vars(changed).update({name: value for name, value in vars(self).items() if name in {"ledger", "id"}})
        return changed

    @cached_property
    def template(self) -> Template:
        """The compiled template. Raises ``LocationError`` or ``TemplateError``."""
        key = self.series.template_key
        data = self.templates.read_if_there(key)
        if data is None:
            hint = "check series.template_key and context.template_location"
            raise LocationError(f"template {key}: is not in {self.templates}", hint)
        try:
            return Template.compile(data.decode(), key)
        except UnicodeDecodeError as error:
            raise TemplateError(f"template {key}: is not UTF-8 text: {error}") from error

    @cached_property
    def outputs(self) -> Outputs:
        """The files of other series that inputs may take, as they were when they were first asked for."""
        return forerunners.outputs(self.series, self.working, self.manifest, refresh=self.settings.update_manifest)

    @cached_property
    def awaited(self) -> list[str]:
        """Names of the series that are to be complete before this one starts, and are not."""
        return forerunners.incomplete(self.series, self.working, self.manifest, refresh=self.settings.update_manifest)

    @property
    def input_extension(self) -> str:
        """The extension of rendered inputs."""
        return input_extension(self.series.template_key)
