"""The flow of containers: the image that is made for AWS Batch runs here as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.colony.inits import SOURCE, disc
from tests.integration.services.dockerd import NoDocker, docker_host
from tests.integration.services.image import build_image

ROOT = Path(__file__).parents[2]
FLOW = "flows.run_docker_simulations"
IMAGE = "simcampaign-test-colony:1"


@pytest.fixture(scope="module")
def daemon() -> Iterator[str]:
    try:
        with docker_host() as host:
            build_image(host, IMAGE)
            yield host
    except NoDocker as error:
        pytest.skip(f"containers cannot be run here: {error}")


def configure(place: Any, **context: Any) -> None:
    """Write ``colony.yaml``, a campaign of four runs."""
    where = {"working_location": "out", "manifest_location": "out", "template_location": str(ROOT / "templates")}
    config = {
        "context": {**where, "slots": 2, "cpus_per_job": 0.5, **context},
        "series": {
            "name": "colony",
            "template_key": "colony.xml",
            "seeds": "0-1",
            "extensions": ["csv", "h5"],
            "groups": {"_": ""},
            "conditions": [{"key": key, "nutrient": 1.0, "steps": 100} for key in ("rich", "poor")],
            "inits": [{"name": "founders", "key": "disc", "group": "_", "seeds": "0-1", "extensions": ["csv"]}],
        },
        "parameters": {"model": "COLONY", "image": IMAGE, "retry_delay": 1},
    }
    (place.root / "colony.yaml").write_text(json.dumps(config))  # JSON is YAML
    source = place.root / "out" / SOURCE
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(disc())


def test_a_campaign_runs_in_containers_with_the_images_own_command(place: Any, api: Any, daemon: str) -> None:
    configure(place, docker_host=daemon, memory_per_job=512, remove_containers=True)
    done = place.run("colony.yaml", flow=FLOW)
    assert done.status == 0, done.text
    assert "4 of 4 runs done" in done.out
    assert api.flow_run("colony")["state"]["type"] == "COMPLETED"
    names = {Path(name).name for name in place.files() if "/outputs/" in name}
    runs = [f"colony_{key}_000{seed}" for key in ("rich", "poor") for seed in range(2)]
    assert names == {f"{run}.{extension}" for run in runs for extension in ("csv", "h5")}
    logs = "".join((place.root / name).read_text() for name in place.files() if "/logs/" in name)
    assert all(f"{run}: done" in logs for run in runs)
    again = place.run("colony.yaml", flow=FLOW)
    assert again.out.startswith("Nothing is left to do"), again.text


def test_what_is_missing_is_said_at_once_and_nothing_is_created(place: Any, daemon: str) -> None:
    configure(place, docker_host=daemon)
    before = place.files()
    done = place.run("colony.yaml", "parameters.image=", "--dryrun", flow=FLOW)
    assert done.status == 2, done.text
    assert "parameters.image: is missing" in done.text
    done = place.run("colony.yaml", "parameters.image=no-such-image:1", flow=FLOW)
    assert done.status == 3, done.text
    assert "docker pull no-such-image:1" in done.text
    done = place.run("colony.yaml", f"context.docker_host=unix://{place.root}/none", flow=FLOW)
    assert done.status == 3, done.text
    assert "does not answer" in done.text
    assert place.files() == before
