"""A Docker daemon to run containers with: one that is there, or one of our own."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import requests
from docker.errors import DockerException


class NoDocker(Exception):  # noqa: N818 - not being there is no error of ours
    """There is no daemon, and none can be started."""


@contextmanager
def docker_host() -> Iterator[str]:
    """Give the address of a Docker daemon. Raises ``NoDocker`` with the reason."""
    there = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if answers_as_docker(there):
        yield there
        return
    program = shutil.which("dockerd")
    if program is None:
        raise NoDocker(
            f"no Docker daemon answers at {there}, and dockerd is not installed (Debian: apt-get install docker.io)"
        )
    if os.geteuid() != 0:
        raise NoDocker(f"no Docker daemon answers at {there}, and only root can start one")
    with _own_daemon(program) as host:
        yield host


def answers_as_docker(host: str) -> bool:
    """Tell whether somebody at this address answers as a Docker daemon does."""
    try:
        with closing(docker.DockerClient(base_url=host, timeout=5)) as client:
            return bool(client.ping())
    except (DockerException, requests.RequestException, OSError):
        return False


@contextmanager
def _own_daemon(program: str) -> Iterator[str]:
    """Start a daemon that touches nothing of the machine's network: containers share the host's.

    Its images are kept for the next time in the folder for temporary files, by one daemon at a time.
    """
    from tests.integration.services.processes import daemon  # noqa: PLC0415

    kept = Path(tempfile.gettempdir()) / "simcampaign-test-docker"
    kept.mkdir(mode=0o700, exist_ok=True)
    with (kept / "lock").open("w") as lock, tempfile.TemporaryDirectory(prefix="docker-", dir="/tmp") as state:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            root = kept / "root"
        except BlockingIOError:
            root = Path(state) / "root"
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        host = f"unix://{state}/docker.sock"
        command = [program, "-H", host, "--data-root", str(root), "--exec-root", f"{state}/exec", "-p", f"{state}/pid"]
        command += ["--iptables=false", "--bridge=none", "--default-ulimit", f"nofile={files}:{files}"]
        try:
            with daemon(command, Path(state) / "log", lambda: answers_as_docker(host)):
                yield host
        except RuntimeError as error:
            raise NoDocker(str(error)) from error
        finally:
            _unmount(state)


def _unmount(folder: str) -> None:
    """Undo the mounts that a daemon leaves below its folder: the namespace of the host's network."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in places:
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", place], check=False)
