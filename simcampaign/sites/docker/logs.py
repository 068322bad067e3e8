"""What a container printed, saved so that it outlives the container."""

from __future__ import annotations

from pathlib import Path

from simcampaign.errors import SiteError
from simcampaign.sites.docker.daemon import Daemon


def save_log(daemon: Daemon, name: str, path: Path) -> None:
    """Save what the container ``name`` printed, whole or not at all; one that was saved already is left alone.

    Some log drivers give nothing back: then the file says so. Raises ``NetworkError``.
    """
    if path.exists():
        return
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        try:
            for piece in daemon.logs(name):
                file.write(piece)
        except SiteError as error:
            file.write(f"The daemon does not give the log: {error}\n".encode())
    part.replace(path)
