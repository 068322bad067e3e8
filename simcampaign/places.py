"""Where files of ours live on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def data_folder() -> Path:
    """Return the folder of the ledger and of sites' own state: ``SIMCAMPAIGN_HOME`` or the user's data folder."""
    home = os.environ.get("SIMCAMPAIGN_HOME")
    return Path(home).expanduser().absolute() if home else platformdirs.user_data_path("simcampaign")


def cache_folder() -> Path:
    """Return the folder of what can be made again: below ``SIMCAMPAIGN_HOME``, or the user's cache folder."""
    home = os.environ.get("SIMCAMPAIGN_HOME")
    return Path(home).expanduser().absolute() / "cache" if home else platformdirs.user_cache_path("simcampaign")
