"""Kinds of campaigns for whoever keeps campaigns as documents, as the job manager does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.batch import BatchContextConfig
from configs.cluster import ClusterContextConfig
from configs.contexts import AnyContextConfig, open_campaign
from configs.docker import DockerContextConfig
from configs.loaded import read_part, read_parts
from configs.local import LocalContextConfig
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig
from configs.solver import SolverContextConfig
from simcampaign.engine.campaign import Campaign
from simcampaign.errors import ConfigError, Problem


@dataclass(frozen=True)
class Kind:
    """A kind of context, whose campaigns are described by documents."""

    context: type[AnyContextConfig]

    def context_problems(self, context: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with a context."""
        return read_part("context", context, self.context)[1]

    def open(self, document: Mapping[str, Any]) -> Campaign:
        """Put the campaign together that a document with ``context``, ``series`` and ``parameters`` describes.

        Raises ``ConfigError`` with every mistake.
        """
        parts, _, problems = read_parts(document, (self.context, SeriesConfig, ParametersConfig), Path.cwd())
        if problems:
            raise ConfigError(problems)
        return open_campaign(parts["context"], parts["series"], parts["parameters"])


LOCAL = Kind(LocalContextConfig)
DOCKER = Kind(DockerContextConfig)
CLUSTER = Kind(ClusterContextConfig)
BATCH = Kind(BatchContextConfig)
SOLVER = Kind(SolverContextConfig)
