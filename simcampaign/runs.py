"""The state of a run, as a plan, a summary and a page show it."""

from __future__ import annotations

from enum import IntEnum


class RunState(IntEnum):
    """Where a run is; small integers, so that a million of them fit in a byte array."""

    MISSING = 0
    """None of its files exists."""

    INCOMPLETE = 1
    """Some of its files exist."""

    DONE = 2
    """Every extension is there."""

    IN_FLIGHT = 3
    """A job that has not ended holds it."""

    FAILED = 4
    """Missing or incomplete, and its last job failed."""

    STALE = 5
    """Done, but from another input than the template and the condition now give."""

    UNLISTED = 6
    """Finished according to the ledger, but the manifest, which was not refreshed or lacks what is still to be fetched
    from a host, has not its files."""

    WAITING = 7
    """To be run once the files of other series that it takes are there."""

    @property
    def label(self) -> str:
        """The name in messages and documents."""
        return self.name.lower().replace("_", " ")


TO_DO = (RunState.MISSING, RunState.INCOMPLETE, RunState.FAILED)
"""The states of runs that a plan submits."""
