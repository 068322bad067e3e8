"""Clusters: a scheduler's own arrays, on this host or over ssh."""

from simcampaign.sites.cluster.lsf import Lsf, LsfOptions
from simcampaign.sites.cluster.pbs import Pbs, PbsOptions
from simcampaign.sites.cluster.sge import Sge, SgeOptions
from simcampaign.sites.cluster.site import ClusterSite
from simcampaign.sites.cluster.slurm import Slurm, SlurmOptions
from simcampaign.sites.cluster.windows_hpc import WindowsHpc, WindowsHpcOptions

__all__ = ["ClusterSite", "LsfSite", "PbsSite", "SgeSite", "SlurmSite", "WindowsHpcSite"]


class SlurmSite(ClusterSite[SlurmOptions]):
    """A cluster that Slurm runs."""

    adapter = Slurm()
    options = SlurmOptions


class LsfSite(ClusterSite[LsfOptions]):
    """A cluster that IBM Spectrum LSF runs."""

    adapter = Lsf()
    options = LsfOptions


class PbsSite(ClusterSite[PbsOptions]):
    """A cluster that OpenPBS or PBS Professional runs."""

    adapter = Pbs()
    options = PbsOptions


class SgeSite(ClusterSite[SgeOptions]):
    """A cluster that Grid Engine runs."""

    adapter = Sge()
    options = SgeOptions


class WindowsHpcSite(ClusterSite[WindowsHpcOptions]):
    """A cluster that Microsoft HPC Pack runs; never tried."""

    adapter = WindowsHpc()
    options = WindowsHpcOptions
