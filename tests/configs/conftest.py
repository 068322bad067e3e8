from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import configs
from configs.local import LocalContextConfig
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig
from simcampaign.errors import ConfigError

CAMPAIGN = """\
context:
  working_location: out
  manifest_location: out
  template_location: templates
  command: python -m model {input}
series:
  name: demo
  template_key: demo.xml
  seeds: 0-3
  extensions: [csv]
  conditions:
    - {key: a, x: 1}
    - {key: b, x: 2}
parameters:
  model: MODEL
"""

Load = Callable[..., configs.Loaded[LocalContextConfig, SeriesConfig, ParametersConfig]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory that holds the valid ``campaign.yaml`` and nothing else."""
    (tmp_path / "campaign.yaml").write_text(CAMPAIGN)
    return tmp_path


@pytest.fixture
def load(directory: Path) -> Load:
    """``configs.load`` of a local campaign, from that directory."""

    def load_there(*arguments: str) -> Any:
        return configs.load(arguments, LocalContextConfig, SeriesConfig, ParametersConfig, directory=directory)

    return load_there


@pytest.fixture
def mistakes(load: Load) -> Callable[..., dict[str, str]]:
    """What is wrong with a config: the text after each problem's path, by path."""

    def load_badly(*arguments: str) -> dict[str, str]:
        with pytest.raises(ConfigError) as caught:
            load(*arguments)
        return {
            problem.path: f"{problem.value!r}: {problem.reason}; {problem.remedy}" for problem in caught.value.problems
        }

    return load_badly
