"""What a daemon is: docker or podman, with root or without, and what it can keep to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Nature:
    """What a daemon is and what it can keep to."""

    podman: bool
    rootless: bool
    version: str
    cores: int
    memory_bytes: int
    limits_memory: bool
    """False where memory limits are accepted and then ignored."""

    limits_swap: bool
    limits_cpus: bool
    cgroup: str
    """Version of control groups, 1 or 2."""

    root: str
    """Folder in which it keeps images and containers."""

    security: Sequence[str]

    @property
    def title(self) -> str:
        """Name for messages, e.g. ``podman 4.3.1, rootless``."""
        return f"{'podman' if self.podman else 'docker'} {self.version}{', rootless' if self.rootless else ''}"
