"""The job manager, as ``python -m simcampaign.service``: the same as ``simcampaign serve``."""

from __future__ import annotations

import sys

from simcampaign.cli import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
