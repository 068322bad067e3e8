"""The sites that a job manager hands jobs to."""

from __future__ import annotations

from collections.abc import Iterator

from simcampaign.errors import ConfigError, Problem
from simcampaign.sites.local import LocalSite
from simcampaign.sites.registry import LOCAL, ConfiguredSite, open_site, read_tables, site_names

UNFIT = "keeps no files for single jobs, so the queue cannot use it"


CLUSTERS = frozenset({"slurm", "lsf", "pbs", "sge", "windows_hpc"})
"""Backends with partitions or queues. What a site's capabilities say of that, some must ask their cluster for."""


def usable(name: str) -> ConfiguredSite:
    """Return a site that takes jobs of the queue. Raises ``ConfigError``."""
    configured = open_site(name)
    if configured.site.host is None:
        raise ConfigError([Problem("site", name, UNFIT)], "see: simcampaign sites")
    return configured


def sites_here() -> dict[str, float]:
    """Return the sites whose jobs run on this host, with the cores that each may take."""
    found = {name: cores_here(name) for name in site_names()}
    return {name: cores for name, cores in found.items() if cores is not None}


def cores_here(name: str) -> float | None:
    """Return the cores that the jobs of a site may take of this host; None if they run elsewhere."""
    table = read_tables().get(name, {})
    if name != LOCAL and isinstance(table, dict) and table.get("backend", name) != LOCAL:
        return None
    try:
        site = open_site(name).site
    except ConfigError:
        return None  # a mistake in one table keeps no other site from being used
    return float(site.slots or 1) if isinstance(site, LocalSite) else None


def clusters() -> Iterator[ConfiguredSite]:
    """Yield the sites that are clusters; none of them is asked anything."""
    for name in site_names():
        try:
            configured = open_site(name)
        except ConfigError:
            continue
        if configured.backend in CLUSTERS:
            yield configured
