"""Podman's service, which answers as docker's daemon does, with and without root. All that it keeps is its own."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import docker
import psutil

from tests.integration.services.dockerd import answers_as_docker
from tests.integration.services.processes import daemon

ROOTLESS_USER = 54321
"""Number of a user that is known only inside the service's own view of the host."""

_FIRST_SUBORDINATE = 600_000
_SUBORDINATES = 65_536
_NEEDED = ("podman", "runc", "conmon")
_MOST_PROCESSES = 32_768


class NoPodman(Exception):  # noqa: N818 - not being there is no error of ours
    """Podman's service cannot be started here."""


@contextmanager
def podman_host(*, rootless: bool = False) -> Iterator[str]:
    """Give the address of podman's service. Raises ``NoPodman`` with the reason."""
    needed = (*_NEEDED, "newuidmap", "unshare", "setpriv") if rootless else _NEEDED
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        raise NoPodman(f"{', '.join(missing)}: not installed (Debian: apt-get install podman runc uidmap)")
    if os.geteuid() != 0:
        raise NoPodman("only root can start it with files of its own")
    # A socket's path must be short, and a user that is not root must get there.
    with tempfile.TemporaryDirectory(prefix="pod-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        host = f"unix://{home}/podman.sock"
        environment = _configure(home)
        command = ["podman", "system", "service", "--time=0", host]
        if rootless:
            command = [*_as_user(home, environment), *command]
        try:
            # The monitor of a container that is killed for want of memory leaves a file where it was started.
            with daemon(command, home / "log", lambda: answers_as_docker(host), environment, home) as process:
                try:
                    yield host
                finally:
                    _remove_containers(host)
                    _end_others(process.pid, home)
        except RuntimeError as error:
            raise NoPodman(str(error)) from error
        finally:
            _clear(home)


def _configure(home: Path) -> dict[str, str]:
    """Write a configuration that keeps everything below ``home``; returns the environment that names it."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = min(resource.getrlimit(resource.RLIMIT_NPROC)[1] % 2**63, _MOST_PROCESSES)
    # Without CAP_SYS_RESOURCE no container can have higher limits than we; crun refuses mixed control groups.
    (home / "containers.conf").write_text(
        f"""[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
log_driver = "k8s-file"
[network]
network_backend = "netavark"
"""
    )
    (home / "storage.conf").write_text(
        f"""[storage]
driver = "overlay"
graphroot = "{home}/root"
runroot = "{home}/run"
rootless_storage_path = "{home}/root"
"""
    )
    (home / "xdg").mkdir(mode=0o700)
    return {
        "CONTAINERS_CONF": f"{home}/containers.conf",
        "CONTAINERS_STORAGE_CONF": f"{home}/storage.conf",
        "XDG_RUNTIME_DIR": f"{home}/xdg",
        "TMPDIR": str(home),
    }


def _as_user(home: Path, environment: dict[str, str]) -> list[str]:
    """Return what starts a program as the user without root, whom only a private view of ``/etc`` knows."""
    number = ROOTLESS_USER
    subordinates = f"tester:{_FIRST_SUBORDINATE}:{_SUBORDINATES}\n"
    files = {
        "passwd": f"{Path('/etc/passwd').read_text()}tester:x:{number}:{number}::{home}:/bin/sh\n",
        "group": f"{Path('/etc/group').read_text()}tester:x:{number}:\n",
        "subuid": subordinates,
        "subgid": subordinates,
    }
    for name, text in files.items():
        (home / name).write_text(text)
        Path("/etc", name).touch()  # something that the other can be mounted over
    for path in (home, *home.iterdir()):
        os.chown(path, number, number)
    environment |= {"HOME": str(home), "USER": "tester"}
    mounts = 'for name in passwd group subuid subgid; do mount --bind "$0/$name" "/etc/$name" || exit; done; exec "$@"'
    user = ["setpriv", "--reuid", str(number), "--regid", str(number), "--clear-groups"]
    return ["unshare", "--mount", "sh", "-c", mounts, str(home), *user]


def _remove_containers(host: str) -> None:
    with closing(docker.APIClient(base_url=host, version="auto", timeout=60)) as client:
        for each in client.containers(all=True):
            client.remove_container(each["Id"], force=True)


def _end_others(pid: int, home: Path) -> None:
    """End what a service without root leaves: itself in its own view of users, and what keeps that view alive."""
    others = psutil.Process(pid).children(recursive=True)
    pause = home / "xdg" / "libpod" / "tmp" / "pause.pid"
    if pause.exists():
        others.append(psutil.Process(int(pause.read_text())))
    for each in others:
        with suppress(psutil.NoSuchProcess):
            each.kill()


def _clear(home: Path) -> None:
    """Undo the mounts of containers, which would keep the folder from being removed."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in sorted((place for place in places if place.startswith(f"{home}/")), reverse=True):
        subprocess.run(["umount", "-l", place], check=False)
