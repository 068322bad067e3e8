"""How flow runs end, as data, as words and as an exit status."""

from __future__ import annotations

from dataclasses import dataclass

from simcampaign.engine.overview import Overview

COMPLETE, INCOMPLETE, STOPPED = 0, 1, 130


@dataclass(frozen=True)
class Outcome:
    """How a campaign run ended."""

    complete: bool
    """True if every run of the series is done."""

    counts: dict[str, int]
    """Runs per state."""

    submitted: int
    """Jobs that this campaign run submitted."""

    active: int
    """Jobs still in flight."""

    end: str
    """Why the watch ended."""

    stopped: bool
    """True if the person stopped the watch with Ctrl-C."""

    cancelled: bool
    """True if the flow run was cancelled in Prefect."""

    summary: str
    """Where the summary page is."""

    failures: str
    """What failed and why, in words; empty if nothing did."""

    settled: bool = False
    """True if there was nothing to submit, to watch or to collect; ``end`` is then the whole story."""

    @property
    def exit_status(self) -> int:
        """The exit status of the command line."""
        if self.stopped:
            return STOPPED
        return COMPLETE if self.complete else INCOMPLETE

    @property
    def counted(self) -> str:
        """The counts in words: ``7 of 10 runs done; 3 failed``."""
        done = self.counts.get("done", 0) + self.counts.get("stale", 0)
        total = sum(self.counts.values())
        rest = ", ".join(f"{count:,} {label}" for label, count in self.counts.items() if label not in ("done", "stale"))
        return f"{done:,} of {total:,} runs done" + (f"; {rest}" if rest else "")

    def __str__(self) -> str:
        lines = [self.failures, self.end if self.settled else self.counted]
        lines.append(f"Summary: {self.summary}" if self.summary else "")
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True)
class Listed:
    """What a flow run that only lists and counts found."""

    overview: Overview

    @property
    def exit_status(self) -> int:
        """The exit status of the command line: to have listed is to be complete."""
        return COMPLETE

    def __str__(self) -> str:
        found = self.overview
        counts = ", ".join(f"{count:,} {label}" for label, count in found.counts.items())
        return f"{found.table}\n{found.files:,} files listed; runs: {counts}\nSummary: {found.summary}"
