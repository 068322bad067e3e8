"""Hosts: machines on which commands are run and files are kept, this one or one that is reached by SSH."""

from simcampaign.sites.hosts.base import Done, Entry, Host
from simcampaign.sites.hosts.here import ThisHost
from simcampaign.sites.hosts.options import HostOptions

__all__ = ["Done", "Entry", "Host", "HostOptions", "ThisHost", "open_host"]


def open_host(options: HostOptions) -> Host:
    """Return the host that the options describe; nothing is connected before the first call.

    Raises ``SiteError`` if it is reached by SSH and asyncssh is not installed.
    """
    if options.host is None:
        return ThisHost()
    from simcampaign.sites.hosts.ssh import SshHost  # noqa: PLC0415 - asyncssh takes 0.3 s to import

    return SshHost(options)
