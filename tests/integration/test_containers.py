"""The public command on AWS Batch with real containers: the colony model in the example image, no registry."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import configs
from configs.batch import BatchContextConfig
from configs.campaign import make_campaign
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig
from models.colony.inits import SOURCE, disc
from simcampaign.jobs import Resources
from simcampaign.layout import Layout
from tests.integration.campaigns import DRIVER
from tests.integration.services.aws import ACCOUNT, QUEUE, REGION, Aws

PROJECT = Path(__file__).parents[2]
BUCKET = "colonies"
COMMAND_SECONDS = 240


@dataclass
class Person:
    """Somebody with a config in a folder."""

    aws: Aws
    folder: Path
    environment: dict[str, str]

    def configure(self, name: str, **changes: dict[str, Any]) -> None:
        """Write ``NAME.yaml``."""
        config: dict[str, dict[str, Any]] = {
            "context": {
                "working_location": f"s3://{BUCKET}/campaigns",
                "manifest_location": f"s3://{BUCKET}/campaigns",
                "template_location": str(PROJECT / "templates"),
                "account": ACCOUNT,
                "region": REGION,
                "user": "tester",
                "vcpus": 1,
                "memory": 512,
                "queue": QUEUE,
            },
            "series": {
                "name": name,
                "template_key": "colony.xml",
                "seeds": "0-3",
                "extensions": ["csv", "h5"],
                "groups": {"_": ""},
                "conditions": [
                    {"key": "rich", "nutrient": 1.0, "steps": 200},
                    {"key": "poor", "nutrient": 0.3, "steps": 200},
                ],
                "inits": [{"name": "founders", "key": "disc", "group": "_", "seeds": "0-3", "extensions": ["csv"]}],
            },
            "parameters": {
                "model": "COLONY",
                "image": "colony:latest",
                "seeds_per_job": 2,
                "retries": 120,
                "retry_delay": 2,
            },
        }
        merged = {part: {**fields, **changes.get(part, {})} for part, fields in config.items()}
        (self.folder / f"{name}.yaml").write_text(json.dumps(merged))  # JSON is YAML

    def runs(self, name: str, **changes: dict[str, Any]) -> Any:
        """Run a campaign without Prefect; returns what was published."""
        self.configure(name, **changes)
        config = [str(self.folder / f"{name}.yaml")]
        loaded = configs.load(config, BatchContextConfig, SeriesConfig, ParametersConfig)
        context = loaded.context
        resources = Resources(context.vcpus, context.memory, context.timeout)
        with patch.dict(os.environ, self.environment):
            campaign = make_campaign(
                context, loaded.series, loaded.parameters, site=context.site(), resources=resources
            )
            return runpy.run_path(str(DRIVER))["run"](campaign)

    def types(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the flow's command."""
        return subprocess.run(
            [sys.executable, "-m", "flows.run_batch_simulations", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )

    def keys(self, name: str) -> set[str]:
        """The keys of a series' dated location, relative to it."""
        root = f"campaigns/{Layout.today(name).root}/"
        listed = self.aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=root).get("Contents", ())
        return {each["Key"].removeprefix(root) for each in listed}

    def text(self, name: str, key: str) -> str:
        """What an object of a series' dated location holds."""
        path = f"campaigns/{Layout.today(name).root}/{key}"
        return str(self.aws.client("s3").get_object(Bucket=BUCKET, Key=path)["Body"].read().decode())


@pytest.fixture(scope="module")
def person(docker_aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Person:
    folder = tmp_path_factory.mktemp("person")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "SIMCAMPAIGN", "AWS"))}
    environment = {
        **kept,
        **docker_aws.environment,
        "SIMCAMPAIGN_HOME": str(folder / "home"),
        "PREFECT_HOME": str(folder / "prefect"),
        "DO_NOT_TRACK": "1",
    }
    store = docker_aws.client("s3")
    store.create_bucket(Bucket=BUCKET)
    store.put_object(Bucket=BUCKET, Key=f"campaigns/{SOURCE}", Body=disc().encode())
    return Person(docker_aws, folder, environment)


def test_a_campaign_goes_from_series_to_summary_and_then_nothing_is_left_to_do(person: Person) -> None:
    person.configure("colony")
    done = person.types("colony.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = {f"colony_{key}_{seed:04d}" for key in ("rich", "poor") for seed in range(4)}
    keys = person.keys("colony")
    assert {key for key in keys if key.startswith("outputs/")} == {
        f"outputs/{run}.{extension}" for run in runs for extension in ("csv", "h5")
    }
    assert {"colony.PLAN.json", "colony.SUMMARY.txt", "colony.SUMMARY.html"} <= keys
    assert not {key for key in keys if key.startswith(("inputs/", "inits/"))}, "files of finished jobs are cleaned"
    logs = [person.text("colony", key) for key in keys if key.startswith("logs/")]
    assert len(logs) == 4
    assert {run for run in runs for log in logs if f"{run}: done" in log} == runs
    assert all("cells of colony_000" in log for log in logs), "each run starts from its init"
    table = person.text("colony", "colony.SUMMARY.txt")
    assert "4/4 (100.00 %)" in table
    (array,) = person.aws.submitted("tester_colony")
    assert array["status"] == "SUCCEEDED"
    again = person.types("colony.yaml")
    assert again.returncode == 0
    assert "Nothing is left to do" in again.stdout
    assert len(person.aws.submitted("tester_colony")) == 1


def test_a_container_that_fails_is_told_with_its_cause_its_exit_code_and_its_last_lines(person: Person) -> None:
    broken = {"key": "broken", "steps": 200, "fail_at": 2.0}
    published = person.runs("wrong", series={"conditions": [broken], "seeds": "0", "inits": []})
    assert published.plan.counts == {"failed": 1}
    assert "wrong_broken_0000" in published.failures
    assert "application" in published.failures
    assert "exit code 3" in published.failures
    assert "colony: wrong_broken_0000" in published.failures, "the last line of the log"
    assert "--only wrong_broken_0000" in published.failures, "how to run it alone"


def test_a_container_that_takes_too_much_memory_is_out_of_memory(person: Person) -> None:
    greedy = {"conditions": [{"key": "greedy", "steps": 10}], "seeds": "0", "inits": []}
    published = person.runs("greedy", context={"memory": 16}, series=greedy)
    assert published.plan.counts == {"failed": 1}
    assert "out_of_memory" in published.failures
