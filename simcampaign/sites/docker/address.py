"""Where the daemon of docker or podman listens, if nobody said it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from docker.context import ContextAPI
from docker.errors import DockerException

START_HINT = "start it (systemctl start docker, or systemctl --user start podman.socket), or set DOCKER_HOST"
"""What to do about a daemon that does not answer."""

_DEFAULT_CONTEXT = "default"


def find_address(given: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """Return the address of the daemon to use.

    That is the one given, else ``DOCKER_HOST``, else that of docker's current context, else the first socket that is
    there: docker's for all, docker's of this user, podman's of this user, podman's for all. If none is, docker's.
    """
    found = given or environment.get("DOCKER_HOST") or _of_context(environment)
    if found:
        return found
    sockets = list(_sockets(environment))
    return f"unix://{next((path for path in sockets if _is_usable(path)), sockets[0])}"


def _of_context(environment: Mapping[str, str]) -> str | None:
    """Return the address of the context that was chosen by ``docker context use``, or by ``DOCKER_CONTEXT``."""
    name = environment.get("DOCKER_CONTEXT")
    try:
        context = ContextAPI.get_context(name) if name else ContextAPI.get_current_context()
    except (DockerException, OSError, ValueError):
        return None
    return None if context is None or context.name == _DEFAULT_CONTEXT else str(context.Host)


def _sockets(environment: Mapping[str, str]) -> list[str]:
    own = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return [
        "/var/run/docker.sock",
        f"{own}/docker.sock",
        f"{own}/podman/podman.sock",
        "/run/podman/podman.sock",
    ]


def _is_usable(path: str) -> bool:
    return Path(path).is_socket() and os.access(path, os.R_OK | os.W_OK)
