"""The context of campaigns whose runs a solver solves."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from configs.local import Directory
from simcampaign.errors import ConfigError, Problem
from simcampaign.fields import STRICT, Count, Text
from simcampaign.sites.registry import open_site
from simcampaign.web.site import SolverOptions, SolverSite, Writer

BACKEND = "solver"
RESULTS = ["hdf5"]


@dataclass
class SolverContextConfig:
    """Where files are, which solver solves the simulations, and what makes them."""

    __pydantic_config__ = STRICT

    kind: Literal["solver"] = field(default="solver", kw_only=True)
    """Where runs are solved: by a solver in the cloud, or by that of this machine."""

    working_location: Directory
    """Directory that holds the series' files, a directory per series."""

    manifest_location: Text
    """Directory or s3:// address that holds the manifest."""

    template_location: Text
    """Directory or s3:// address that holds the templates."""

    site: Text | None = None
    """Name of a site of the backend solver in sites.toml; null: the solver at SIMCAMPAIGN_SOLVER_URL, or without that
    this machine's own, which is started when it is needed."""

    writer: Annotated[str, Field(pattern=r"^$|^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] = ""
    """MODULE:FUNCTION that makes a simulation of a rendered text: it returns the bytes of its file, or an object with
    to_file. Empty: the text is the simulation, in JSON."""

    attempts: Count = 1
    """How often a run is tried before it is given up; one whose simulation is wrong is not tried again."""

    def solver_site(self) -> SolverSite:
        """Return the site. Raises ``ConfigError`` if there is none of this name, or the writer cannot be had."""
        site = SolverSite.configure(BACKEND, SolverOptions()) if self.site is None else self._configured(self.site)
        return site.writing(self._function()) if self.writer else site

    def _configured(self, name: str) -> SolverSite:
        configured = open_site(name)
        if not isinstance(configured.site, SolverSite):
            reason = f"is a site of the backend {configured.backend}, which solves no simulations"
            raise ConfigError([Problem("context.site", name, reason)], "simcampaign sites")
        return configured.site

    def _function(self) -> Writer:
        module, _, name = self.writer.partition(":")
        try:
            function = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            problem = Problem("context.writer", self.writer, f"cannot be imported: {error}")
            raise ConfigError([problem], f"python -c 'from {module} import {name}'") from error
        if not callable(function):
            raise ConfigError([Problem("context.writer", self.writer, "is no function")])
        writer: Writer = function
        return writer


def check_runs(extensions: list[str], seeds_per_job: int, image: str) -> None:
    """Raise ``ConfigError`` for what a solver cannot do with a series."""
    problems = []
    if list(extensions) != RESULTS:
        reason = "a solver leaves one file per run, its result"
        problems.append(Problem("series.extensions", extensions, reason, "write [hdf5]"))
    if seeds_per_job != 1:
        problems.append(Problem("parameters.seeds_per_job", seeds_per_job, "a simulation is one run", "write 1"))
    if image:
        problems.append(Problem("parameters.image", image, "a solver runs no images", "leave it out"))
    if problems:
        raise ConfigError(problems)
