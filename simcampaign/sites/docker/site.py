"""The docker site: each array under a detached runner of containers, which outlives whoever submitted it."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import ValidationError

from simcampaign.errors import ConfigError, NetworkError, SiteError
from simcampaign.fields import reader
from simcampaign.jobs import ArrayReport, ArraySpec
from simcampaign.mistakes import explain
from simcampaign.places import data_folder
from simcampaign.sites.arraydir import directory_of
from simcampaign.sites.base import Finding
from simcampaign.sites.detached import DeskHere, DetachedSite, split_remote_id
from simcampaign.sites.docker.container import ARRAY_LABEL, SITE_LABEL, name_of, site_label
from simcampaign.sites.docker.doctor import examine
from simcampaign.sites.docker.inside import check_resources, container_of, seen_inside, working_directory
from simcampaign.sites.docker.options import DockerOptions
from simcampaign.sites.hosts.here import ThisHost

if TYPE_CHECKING:
    from simcampaign.sites.docker.daemon import Daemon

logger = logging.getLogger("simcampaign")

_MODULE = "simcampaign.sites.docker.runner"
_FILE_FINDINGS = ("root", "scratch", "disk of root", "disk of scratch")


class DockerSite(DetachedSite):
    """Runs jobs in containers of docker or podman; the daemon must see the files of this host."""

    options: ClassVar[type[Any]] = DockerOptions

    def __init__(self, *, root: Path, name: str = "docker", options: DockerOptions | None = None) -> None:
        """Describe the site; nothing is created and no daemon is asked before the first array.

        ``root`` is the directory of the site's own files; it comes before that of the options.
        """
        self.settings = options or DockerOptions()
        self.root = root.absolute()
        self.host = ThisHost()
        self.scratch = str(self.root / "scratch")
        super().__init__(
            DeskHere(self.root),
            name=name,
            slots=self.settings.slots,
            grace_seconds=self.settings.grace_seconds,
            price_per_core_hour=self.settings.price_per_core_hour,
        )

    @classmethod
    def configure(cls, name: str, options: DockerOptions) -> Self:
        """Make a site of what a person wrote."""
        root = Path(options.root).expanduser() if options.root else data_folder() / "docker"
        return cls(root=root, name=name, options=options)

    def refuse(self, array: ArraySpec) -> None:
        """Raise ``SiteError`` if its image is not there, or its jobs need more than there is; ``NetworkError``."""
        options = self._options_of(array)
        if array.working_url:
            working_directory(array)
        image = self._image_of(array, options)
        check_resources(array.resources, self._daemon.nature)
        if self._daemon.has_image(image):
            return
        if not options.pull:
            program = "podman" if self._daemon.nature.podman else "docker"
            raise SiteError(f"image {image} is not there; nothing was submitted", f"{program} pull {image}")
        self._daemon.pull(image)

    def describe(self, array: ArraySpec) -> dict[str, Any]:
        """Return what the runner needs to know, with paths as containers see them."""
        options = self._options_of(array)
        image = self._image_of(array, options)
        description = super().describe(dataclasses.replace(seen_inside(array), image=image))
        nature = self._daemon.nature
        return {
            **description,
            "slots": options.slots,
            "grace_seconds": options.grace_seconds,
            "docker": {
                "address": self._daemon.address,
                "podman": nature.podman,
                "remove": options.remove,
                "container": container_of(array, image, options, nature),
            },
        }

    def resolution(self, array: ArraySpec) -> dict[str, Any]:
        """Return nothing: programs are looked for inside containers."""
        del array
        return {}

    def runner_command(self) -> list[str]:
        """Return the program that runs an array of containers; modules of the folder it is started in are not its."""
        return [sys.executable, "-P", "-m", _MODULE]

    def check(self, array: ArraySpec) -> None:
        """Raise ``SiteError`` if the array could not run here; ``NetworkError`` if there is no daemon."""
        self.refuse(array)
        self.desk.ask({"do": "check", "description": super().describe(array)})

    def submit(self, array: ArraySpec) -> str:
        """Hand an array over and return its remote id; an array of the same name that is there already is adopted."""
        return super().submit(dataclasses.replace(array, jobs=seen_inside(array).jobs))

    def find(self, name: str) -> str | None:
        """Return the remote id of the array with this name, or None: then this name is refused from now on."""
        self._daemon.ping()
        return super().find(name)

    def status(self, cursors: Mapping[str, str]) -> Mapping[str, ArrayReport]:
        """Return what changed since the cursors, and give arrays whose runner died a new one.

        Raises ``NetworkError`` while the daemon does not answer, as nobody knows then how containers are.
        """
        if cursors:
            self._daemon.ping()
        return super().status(cursors)

    def read_logs(self, remote_id: str, indices: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Yield what jobs printed so far: as saved when they ended, and as the daemon has it of those that run."""
        directory = self._directory(remote_id)
        saved = [index for index in indices if (directory / "out" / f"{index}.log").exists()]
        yield from super().read_logs(remote_id, saved)
        left = set(indices) - set(saved)
        if not left or not directory.is_dir():  # it may have been cleaned
            return
        token = json.loads((directory / "array.json").read_bytes())["token"]
        for index in (index for index in self.running(remote_id, len(left) + len(saved)) if index in left):
            data = b"".join(self._daemon.logs(name_of(directory.name, token, index)))
            if data:
                yield index, data

    def cancel(self, remote_id: str, indices: Sequence[int] | None = None) -> None:
        """End what has not finished: pending jobs are never started, running ones get TERM and, later, KILL."""
        self._daemon.ping()
        super().cancel(remote_id, indices)

    def clean(self, remote_id: str) -> None:
        """Remove the site's own files of an array that is over, and its containers if that was asked for."""
        super().clean(remote_id)
        name = split_remote_id(remote_id)[1]
        if self.settings.remove:
            for container in self._containers(name):
                self._daemon.remove(container)
            return
        with contextlib.suppress(SiteError, NetworkError):
            kept = len(self._containers(name))
            if kept:
                what = f"{kept} container{'s' if kept > 1 else ''} of array {name}"
                logger.info("%s kept; to remove: docker container prune --filter label=%s=%s", what, ARRAY_LABEL, name)

    def _containers(self, name: str) -> list[str]:
        """Return the ids of an array's containers."""
        found = self._daemon.containers(f"{ARRAY_LABEL}={name}", ended=True)
        mine = site_label(self.root)
        return [each["Id"] for each in found if (each.get("Labels") or {}).get(SITE_LABEL) == mine]

    def doctor(self) -> Iterator[Finding]:
        """Look whether containers can run here: the daemon, what it can keep to, and the disks."""
        yield from examine(lambda: self._daemon, self.settings.image)
        for finding in super().doctor():
            if finding.subject in _FILE_FINDINGS:
                yield finding

    def _options_of(self, array: ArraySpec) -> DockerOptions:
        """Return the site's options with what the array alone asks for."""
        if not array.options:
            return self.settings
        asked = {**dataclasses.asdict(self.settings), **array.options}
        try:
            options: DockerOptions = reader(DockerOptions).validate_python(asked)
        except ValidationError as error:
            raise ConfigError(explain(error, "options", DockerOptions, asked)) from error
        return options

    def _image_of(self, array: ArraySpec, options: DockerOptions) -> str:
        image = array.image or options.image
        if not image:
            raise SiteError(
                f"image: jobs at site {self.name} run in containers, and none is named",
                "give parameters.image, or `image` for the site in sites.toml, e.g. model:1.0",
            )
        return image

    def _directory(self, remote_id: str) -> Path:
        return directory_of(self.root, split_remote_id(remote_id)[1])

    @cached_property
    def _daemon(self) -> Daemon:
        if importlib.util.find_spec("docker") is None:
            raise SiteError(
                f"site {self.name} needs docker's SDK, which is not installed", "pip install 'simcampaign[docker]'"
            )
        from simcampaign.sites.docker.address import find_address  # noqa: PLC0415 - needs docker's SDK
        from simcampaign.sites.docker.daemon import Daemon  # noqa: PLC0415 - takes 0.3 s to import

        return Daemon(find_address(self.settings.base_url))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the client, which cannot be carried to another process and is made again there."""
        return {key: value for key, value in self.__dict__.items() if key != "_daemon"}
