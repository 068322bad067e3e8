"""The context of AWS Batch: what it takes, what it refuses and why, and the site that it describes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import configs
from configs.batch import BatchContextConfig
from configs.campaign import make_campaign
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig
from simcampaign.errors import ConfigError
from simcampaign.jobs import Resources

FIELD_STYLE = """\
context:
  working_location: s3://bucket/campaigns
  manifest_location: s3://bucket/campaigns
  template_location: templates
  account: "012345678901"
  region: us-east-1
  user: ada
  vcpus: 2
  memory: 4096
  queue: main
series:
  name: ARCADE
  template_key: arcade.xml
  manifest_key: manifest.csv
  seeds: [0, 1, 2, 3]
  extensions: [json]
  groups: {_: ""}
  conditions:
    - {key: A, heterogeneity: 0}
    - {key: B, heterogeneity: 50}
parameters:
  model: ARCADE
  image: arcade:3.0
  seeds_per_job: 2
"""

Load = Callable[..., Any]


@pytest.fixture
def load_batch(tmp_path: Path) -> Load:
    (tmp_path / "campaign.yaml").write_text(FIELD_STYLE)

    def load(*overrides: str) -> Any:
        arguments = ("campaign.yaml", *overrides)
        return configs.load(arguments, BatchContextConfig, SeriesConfig, ParametersConfig, directory=tmp_path)

    return load


def refused(load: Load, *overrides: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(*overrides)
    return {problem.path: f"{problem.reason}; {problem.remedy}" for problem in caught.value.problems}


def test_a_config_of_the_field_needs_nothing_new(load_batch: Load) -> None:
    loaded = load_batch()
    context = loaded.context
    places = (context, loaded.series, loaded.parameters)
    campaign = make_campaign(*places, site=context.site(), resources=context.resources())
    assert campaign.settings.resources == Resources(2, 4096, None)
    assert (campaign.settings.image, campaign.settings.seeds_per_job) == ("arcade:3.0", 2)
    assert campaign.settings.command == ()
    assert campaign.site.name == "batch"
    assert campaign.site.capabilities.max_array_size == 10_000
    assert campaign.site.price_per_hour(campaign.settings.resources) == 0
    assert str(campaign.working) == "s3://bucket/campaigns"


def test_every_field_reaches_the_site(load_batch: Load) -> None:
    loaded = load_batch(
        "context.job_role=Runner",
        "context.registry=ghcr.io/lab",
        "context.platform=FARGATE",
        "context.attempts=3",
        "context.timeout=600",
        "context.tags={project: colonies}",
        "context.fallback_queue=spare",
        "context.max_array_size=500",
        "context.price_per_vcpu_hour=0.04",
        "context.price_per_gb_hour=0.005",
    )
    site = loaded.context.site()
    account = site.account
    assert account.role_arn == "arn:aws:iam::012345678901:role/Runner"
    assert account.image("arcade:3.0") == "ghcr.io/lab/ada/arcade:3.0"
    assert (account.platform, account.attempts, account.tags) == ("FARGATE", 3, {"project": "colonies"})
    assert (site.queue, site.fallback_queue) == ("main", "spare")
    assert site.capabilities.max_array_size == 500
    assert site.price_per_hour(Resources(2, 4096)) == pytest.approx(0.1)
    assert loaded.context.resources().timeout_seconds == 600


@pytest.mark.parametrize("location", ["out", "/data/out", "gs://bucket/x"])
def test_a_working_location_that_is_not_s3_names_the_flow_to_use(load_batch: Load, location: str) -> None:
    found = refused(load_batch, f"context.working_location={location}")
    assert "use the flow run_local_simulations" in found["context.working_location"]


@pytest.mark.parametrize("account", ["'123456789012'", "123456789012"])
def test_an_account_may_be_written_with_or_without_quotes(load_batch: Load, account: str) -> None:
    assert load_batch(f"context.account={account}").context.account == "123456789012"


@pytest.mark.parametrize("account", ["012345678901", "1234", "'12345678901a'", "true"])
def test_an_account_that_lost_its_zero_or_is_none_is_refused(load_batch: Load, account: str) -> None:
    assert "quotes" in refused(load_batch, f"context.account={account}")["context.account"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("region=us-east", "region of AWS"),
        ("user=-ada", "start with a letter or digit"),
        ("user=ada/eve", "letters, digits"),
        ("vcpus=0", "greater than 0"),
        ("memory=0", "1 or more"),
        ("attempts=11", "10 or less"),
        ("timeout=59", "60 s or more"),
        ("max_array_size=1", "2 to 10000"),
        ("max_array_size=10001", "2 to 10000"),
        ("price_per_vcpu_hour=-1", "0 or more"),
        ("price_per_gb_hour=.nan", "finite number"),
        ("platform=LAMBDA", "FARGATE"),
        ("tags=[a]", ""),
        ("queue=''", ""),
        ("command=python", ""),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(load_batch: Load, override: str, said: str) -> None:
    path = f"context.{override.partition('=')[0]}"
    assert said in refused(load_batch, f"context.{override}")[path]


def test_everything_that_is_wrong_is_said_at_once(load_batch: Load) -> None:
    wrong = {"working_location": "out", "account": "1", "attempts": "99", "timeout": "1"}
    found = refused(load_batch, *(f"context.{name}={value}" for name, value in wrong.items()))
    assert set(found) == {f"context.{name}" for name in wrong}


def test_every_field_is_documented() -> None:
    text = configs.describe(BatchContextConfig, SeriesConfig, ParametersConfig, width=200)
    for line in (
        "context.account (text; required)",
        "context.job_role (text; default BatchJobRole)",
        "context.registry (text or null; default null)",
        "context.platform (EC2 or FARGATE; default EC2)",
        "context.tags (mapping of text to text; default {})",
        "context.max_array_size (integer (1 or more); default 10000)",
        "context.price_per_gb_hour (number (0 or more); default 0.0)",
    ):
        assert f"  {line}\n    " in text


def test_another_try_on_fargate_asks_for_no_more_memory_than_there_is(load_batch: Load) -> None:
    fargate = load_batch("context.platform=FARGATE", "context.vcpus=1", "context.memory=2048").context
    assert fargate.limits().max_memory_mb == 8192
    assert load_batch().context.limits().max_memory_mb is None
