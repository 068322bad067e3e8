"""The event loop of this program's dealings with solvers, in a thread of its own."""

from __future__ import annotations

import functools

from simcampaign.sites.hosts.loop import LoopThread


@functools.cache
def the_loop() -> LoopThread:
    """Return the loop; it is started when it is needed first."""
    return LoopThread("simcampaign web")
