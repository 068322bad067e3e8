"""Who called the flow: the command line tells the flow what it was typed as, and which plan was reviewed."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.planning import Prepared


def _accept(_campaign: Campaign, _prepared: Prepared) -> None:
    """Take any plan."""


@dataclass(frozen=True)
class Caller:
    """The caller of a flow in this process."""

    command: str = ""
    """What the person typed; empty if the flow was not started from a command line."""

    follow: bool = False
    """True to print what running jobs print."""

    until_complete: bool = False
    """True to do one tick after another until nothing is left to do."""

    check: Callable[[Campaign, Prepared], None] = _accept
    """Called with each plan before it is claimed; raises to stop."""


_NOBODY = Caller()
CALLER: ContextVar[Caller] = ContextVar("simcampaign-caller", default=_NOBODY)
