"""A program of a user: it has simulations solved, by a call that it can be killed in.

python -m tests.simcampaign.web.program FOLDER SOLVER_FOLDER
"""

from __future__ import annotations

import sys
import zlib

from simcampaign import web
from tests.simcampaign.web.things import waveguide


def main() -> None:
    web.cache.enabled = False
    # The solver knows what it has solved: each folder has simulations of its own.
    more = zlib.crc32(sys.argv[2].encode()) % 10_000 * 1e-6
    shape = {"wide": [waveguide(0.6 + more)], "narrow": waveguide(0.4 + more), "same": (waveguide(0.6 + more),)}
    data = web.run(shape, "killed", sys.argv[1], sys.argv[2], verbose=False)
    assert data["wide"][0] == data["same"][0]
    assert data["wide"][0] != data["narrow"]


if __name__ == "__main__":
    main()
