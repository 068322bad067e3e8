"""Kinds of campaigns: what makes a campaign of a document, found by name among what is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, Protocol, cast

from simcampaign.errors import ConfigError, Problem
from simcampaign.mistakes import did_you_mean
from simcampaign.plugins import Broken, Plugins

if TYPE_CHECKING:  # looking for kinds needs nothing of the engine
    from simcampaign.engine.campaign import Campaign

GROUP = "simcampaign.campaigns"
"""Entry-point group of the kinds; another package may add some."""


class CampaignKind(Protocol):
    """Reads documents: mappings with ``context``, ``series`` and ``parameters``."""

    def context_problems(self, context: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with a context; paths begin with ``context``."""
        ...

    def open(self, document: Mapping[str, Any]) -> Campaign:
        """Return the campaign that a document describes. Raises ``ConfigError`` with every mistake."""
        ...


def find_kind(name: str, path: str = "kind") -> CampaignKind:
    """Return the kind of this name. Raises ``ConfigError`` that names ``path`` if there is none, or it is broken."""
    kinds = Plugins(GROUP, _accept)
    if name not in kinds:
        raise ConfigError([Problem(path, name, "there is no such kind of campaign", did_you_mean(name, kinds))])
    found = kinds[name]
    if isinstance(found, Broken):
        raise ConfigError([Problem(path, name, f"cannot be used: {found.reason}")])
    return found


def _accept(loaded: object, entry: EntryPoint) -> CampaignKind | Broken:
    if callable(getattr(loaded, "open", None)) and callable(getattr(loaded, "context_problems", None)):
        return cast("CampaignKind", loaded)
    return Broken(f"{entry.value}: is no kind of campaign: it lacks open or context_problems")
