"""The daemon of docker or podman: the few requests that are made of it, and its errors in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, NotFound
from docker.utils import kwargs_from_env

from simcampaign.errors import NetworkError, SiteError, shorten
from simcampaign.sites.docker.address import START_HINT
from simcampaign.sites.docker.nature import Nature

T = TypeVar("T")
_ANSWER_SECONDS = 60.0
"""A daemon that starts many containers at once may take long to answer."""
_PULL_SECONDS = 600.0
"""Without news of a pull."""
_UNAVAILABLE = 503
_CUT = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_PODMAN = "Podman Engine"


class Daemon:
    """A client of one daemon. Every call raises ``SiteError`` if it refuses, ``NetworkError`` if it does not answer."""

    def __init__(self, address: str) -> None:
        """Talk to the daemon at ``address``, e.g. ``unix:///var/run/docker.sock``; no request is made yet."""
        self.address = address

    @cached_property
    def _client(self) -> Any:
        secured = kwargs_from_env() if not self.address.startswith("unix:") else {}
        return docker.APIClient(
            base_url=self.address, version="auto", timeout=_ANSWER_SECONDS, tls=secured.get("tls", False)
        )

    def close(self) -> None:
        """Give up the connections."""
        if "_client" in self.__dict__:
            self._client.close()
            del self.__dict__["_client"]

    @cached_property
    def nature(self) -> Nature:
        """What this daemon is."""
        version = self._ask(lambda client: client.version())
        info = self._ask(lambda client: client.info())
        podman = any(part.get("Name") == _PODMAN for part in version.get("Components") or ())
        security = tuple(info.get("SecurityOptions") or ())
        rootless = "name=rootless" in security or bool(info.get("Rootless"))
        # What podman says here is true of the host, not of what it may do without root.
        controllers = self._controllers() if podman else None
        return Nature(
            podman=podman,
            rootless=rootless,
            version=str(version.get("Version", "")),
            cores=int(info.get("NCPU") or 0),
            memory_bytes=int(info.get("MemTotal") or 0),
            limits_memory=bool(info.get("MemoryLimit")) if controllers is None else "memory" in controllers,
            limits_swap=bool(info.get("SwapLimit", True)),
            limits_cpus=bool(info.get("CpuCfsQuota")) if controllers is None else "cpu" in controllers,
            cgroup=str(info.get("CgroupVersion") or "1"),
            root=str(info.get("DockerRootDir") or ""),
            security=security,
        )

    def _controllers(self) -> Sequence[str]:
        """Return the control groups that podman may use; only its own interface tells."""
        answer = self._ask(lambda client: client.get(f"{client.base_url}/v4.0.0/libpod/info"))
        try:
            return tuple(answer.json()["host"]["cgroupControllers"] or ())
        except (ValueError, KeyError, TypeError) as error:
            raise SiteError(f"podman at {self.address}: what it says of itself cannot be understood") from error

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._ask(lambda client: client.ping())

    def has_image(self, image: str) -> bool:
        """Tell whether the image is there."""
        return self._find(lambda client: client.inspect_image(image)) is not None

    def pull(self, image: str) -> None:
        """Fetch an image from its registry and wait for it."""
        name, _, digest = image.partition("@")
        repository, colon, tag = name.rpartition(":")
        if not colon or "/" in tag:
            repository, tag = name, "latest"
        client = docker.APIClient(base_url=self.address, version="auto", timeout=_PULL_SECONDS)
        try:
            for line in client.pull(repository, tag=digest or tag, stream=True, decode=True):
                if "error" in line:
                    raise SiteError(f"image {image}: cannot be pulled: {shorten(str(line['error']), 300)}")
        except (APIError, DockerException, *_CUT) as error:
            raise self._translated(error) from error
        finally:
            client.close()

    def create(self, name: str, body: Mapping[str, Any]) -> None:
        """Create a container; refused if there is one of that name."""
        self._ask(lambda client: client.create_container_from_config(body, name))

    def start(self, name: str) -> None:
        """Start a container; one that runs is left alone."""
        self._ask(lambda client: client.start(name))

    def inspect(self, name: str) -> dict[str, Any] | None:
        """Return what there is to know of a container; None if there is none of that name."""
        return self._find(lambda client: client.inspect_container(name))

    def containers(self, label: str, *, ended: bool = False) -> list[dict[str, Any]]:
        """Return summaries of the containers with a label, in one request: those that live, or all."""
        found: list[dict[str, Any]] = self._ask(lambda client: client.containers(all=ended, filters={"label": [label]}))
        return found

    def kill(self, name: str, signal: str) -> None:
        """Send a signal to a container; one that is over, or gone, is left alone."""
        try:
            self._ask(lambda client: client.kill(name, signal))
        except SiteError:
            found = self.inspect(name)
            if found is not None and found["State"].get("Running"):
                raise

    def logs(self, name: str) -> Iterator[bytes]:
        """Yield what a container printed so far, piece by piece; nothing if there is none of that name."""
        stream = self._find(lambda client: client.logs(name, stream=True, follow=False))
        try:
            yield from stream or ()
        except (APIError, *_CUT) as error:
            raise self._translated(error) from error

    def remove(self, name: str) -> None:
        """Remove a container that is over; one that is gone, or that somebody else is removing, is no error."""
        try:
            self._find(lambda client: client.remove_container(name, v=True))
        except SiteError:
            found = self.inspect(name)
            if found is not None and found["State"].get("Status") != "removing":
                raise

    def _find(self, request: Callable[[Any], T]) -> T | None:
        """Make a request; None if what it is about is not there."""
        try:
            return self._ask(request)
        except SiteError as error:
            if isinstance(error.__cause__, NotFound):
                return None
            raise

    def _ask(self, request: Callable[[Any], T]) -> T:
        try:
            return request(self._client)
        except (APIError, DockerException, *_CUT) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> SiteError | NetworkError:
        if isinstance(error, APIError) and error.status_code != _UNAVAILABLE:
            return SiteError(str(error.explanation or error))
        return NetworkError(f"the daemon at {self.address} does not answer: {shorten(str(error), 200)}", START_HINT)
