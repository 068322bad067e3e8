"""The docker site: jobs are containers of docker or podman on this host."""

from simcampaign.sites.docker.options import DockerOptions
from simcampaign.sites.docker.site import DockerSite

__all__ = ["DockerOptions", "DockerSite"]
