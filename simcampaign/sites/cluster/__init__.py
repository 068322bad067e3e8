"""Clusters: a scheduler's own arrays, on this host or over ssh."""

from simcampaign.sites.cluster.site import ClusterSite
from simcampaign.sites.cluster.slurm import Slurm, SlurmOptions

__all__ = ["ClusterSite", "SlurmSite"]


class SlurmSite(ClusterSite[SlurmOptions]):
    """A cluster that Slurm runs."""

    adapter = Slurm()
    options = SlurmOptions
