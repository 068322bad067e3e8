"""The command line, as ``python -m simcampaign``."""

from __future__ import annotations

import sys

from simcampaign.cli import main

if __name__ == "__main__":
    sys.exit(main())
