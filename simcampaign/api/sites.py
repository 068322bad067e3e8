"""What a site has, and whether jobs can run there."""

from __future__ import annotations

from simcampaign.sites.base import Finding, Queue
from simcampaign.sites.registry import open_site
from simcampaign.sites.registry import site_names as known_names


def get_site_names() -> list[str]:
    """Return the names of all configured sites, ``local`` first; also of those whose tables have mistakes."""
    return list(known_names())


def get_queues(site_name: str) -> list[Queue]:
    """Return the partitions or queues of a site, with nodes, cores and memory, in all and used; none where it has none.

    What the scheduler does not tell is None. Raises ``ConfigError`` if there is no such site, ``SiteError`` or
    ``NetworkError`` if it cannot be asked.
    """
    return list(open_site(site_name).site.queues())


def doctor(site_name: str) -> list[Finding]:
    """Look whether jobs can run at a site: reachable, may submit, arrays, scratch, versions, limits.

    A finding whose ``fine`` is false will make jobs fail; its ``detail`` says what to do. Raises ``ConfigError`` if
    there is no such site, and nothing for one that is not well.
    """
    return list(open_site(site_name).site.doctor())
