"""The context of containers: what it takes, what it refuses and why, and the site that it makes."""

from __future__ import annotations

import os
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from configs.docker import DockerContextConfig, check_image
from simcampaign.errors import ConfigError
from simcampaign.jobs import Resources

PLACES = {"working_location": "out", "manifest_location": "out", "template_location": "t"}


def context(**changes: Any) -> DockerContextConfig:
    return TypeAdapter(DockerContextConfig).validate_python({**PLACES, **changes})


def test_places_are_enough_and_the_image_runs_its_own_command() -> None:
    plain = context()
    assert plain.arguments() == ()
    assert plain.resources() == Resources(1.0, None, None)
    assert plain.slot_count() == (os.cpu_count() or 1)
    options = plain.site().settings
    assert (options.base_url, options.user, options.network) == (None, None, "none")
    assert (options.remove, options.pull) == (False, False)


def test_every_field_reaches_the_site() -> None:
    site = context(
        slots=3,
        cpus_per_job=1.5,
        docker_host="unix:///run/podman/podman.sock",
        user="1000:1000",
        network="bridge",
        mounts={"/data": "/srv/data"},
        pull_image=True,
        remove_containers=True,
        price_per_core_hour=0.1,
    ).site()
    options = site.settings
    assert options.slots == 6, "three jobs at a time, each of which takes two cores"
    assert options.base_url == "unix:///run/podman/podman.sock"
    assert (options.user, options.network, options.mounts) == ("1000:1000", "bridge", {"/data": "/srv/data"})
    assert (options.remove, options.pull) == (True, True)
    assert site.price_per_hour(Resources(2.0)) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("working_location", "s3://bucket/x", "use the flow run_batch_simulations"),
        ("command", "{python} -m model {input}", "write python"),
        ("command", "model {inputt}", "did you mean {input}"),
        ("command", "model 'x", "cannot be split"),
        ("docker_host", "/var/run/docker.sock", "unix:///var/run/docker.sock"),
        ("user", "me:", "USER or USER:GROUP"),
        ("mounts", {"data": "/srv"}, "must be an absolute path"),
        ("mounts", {"/mnt": "/srv"}, "other than / and /mnt"),
        ("mounts", {"/data": "srv"}, "absolute path of this host"),
        ("slots", 0, "greater than or equal to 1"),
        ("network", "", "at least 1 character"),
        ("images", "x", "Unexpected"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(field: str, value: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        context(**{field: value})
    assert said in str(caught.value)


def test_an_image_is_asked_for_by_name() -> None:
    with pytest.raises(ConfigError, match=r"parameters\.image: is missing"):
        check_image("")
    check_image("model:1.0")
