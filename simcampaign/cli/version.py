"""Which version this is."""

from __future__ import annotations

import argparse
import sys

from simcampaign import __version__


def show(_options: argparse.Namespace) -> int:
    """Print the version."""
    sys.stdout.write(f"simcampaign {__version__}\n")
    return 0
