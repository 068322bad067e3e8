"""The local site: jobs run on this host, each array under a detached runner that outlives whoever submitted it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import ConfigDict, Field

from simcampaign.fields import STRICT, Count, Price, Text
from simcampaign.jobs import ArraySpec
from simcampaign.places import data_folder
from simcampaign.sites.detached import DeskHere, DetachedSite
from simcampaign.sites.hosts.here import ThisHost

GRACE_SECONDS = 5.0

Grace = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""Seconds between asking a job to end and killing it."""


@dataclass(kw_only=True)
class LocalOptions:
    """What a person writes about a site on this host."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    root: Text | None = None
    """Directory of the site's own files; by default `local` in simcampaign's data folder."""

    slots: Count | None = None
    """Cores that jobs may take, over all arrays; a job takes one for each of its cores. By default all of this host."""

    grace_seconds: Grace = GRACE_SECONDS
    """Seconds between asking a job to end (TERM) and killing it."""

    price_per_core_hour: Price = 0.0
    """What a core costs for an hour, in your currency."""


class LocalSite(DetachedSite):
    """Runs jobs on this host, over all arrays that share ``root`` no more than take ``slots`` cores.

    The memory limit and the end of processes that leave their job's process group need ``/proc``, hence Linux.
    """

    options: ClassVar[type[Any]] = LocalOptions

    def __init__(
        self,
        *,
        root: Path,
        name: str = "local",
        slots: int | None = None,
        grace_seconds: float = GRACE_SECONDS,
        price_per_core_hour: float = 0.0,
    ) -> None:
        """Describe the site; nothing is created before the first array is submitted.

        ``root`` is the directory of the site's own files, the rest is as in ``LocalOptions``. Raises ``ConfigError``
        if a number is out of range.
        """
        self.root = root.absolute()
        self.host = ThisHost()
        self.scratch = str(self.root / "scratch")
        super().__init__(
            DeskHere(self.root),
            name=name,
            slots=max(1, os.cpu_count() or 1) if slots is None else slots,
            grace_seconds=grace_seconds,
            price_per_core_hour=price_per_core_hour,
        )

    @classmethod
    def configure(cls, name: str, options: LocalOptions) -> Self:
        """Make a site of what a person wrote."""
        return cls(
            root=Path(options.root).expanduser() if options.root else data_folder() / "local",
            name=name,
            slots=options.slots,
            grace_seconds=options.grace_seconds,
            price_per_core_hour=options.price_per_core_hour,
        )

    def describe(self, array: ArraySpec) -> dict[str, Any]:
        """Return what the runner needs to know; jobs start where the submitter is."""
        return {**super().describe(array), "cwd": str(Path.cwd())}
