"""``python -m simcampaign.solver``: solve a file, or say what that costs."""

from __future__ import annotations

import sys

from simcampaign.solver.worker import main

if __name__ == "__main__":
    sys.exit(main())
