"""A test server of AWS for the whole session, and campaigns on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.campaigns import Played
from tests.integration.proxy import Proxy
from tests.integration.services.aws import ACCOUNT, REGION, Aws, aws_server
from tests.integration.services.dockerd import NoDocker, docker_host
from tests.integration.services.image import build_image

IMAGE = "colony:latest"
USER = "tester"
_BUCKETS = itertools.count()


@pytest.fixture(scope="session")
def played_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A server that plays its containers."""
    with aws_server(tmp_path_factory.mktemp("aws"), {"BATCH_SLOTS": "16"}) as aws:
        yield aws


@pytest.fixture(scope="session")
def docker_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A server whose jobs are containers, with the image of the colony model in its registry."""
    with ExitStack() as stack:
        try:
            host = stack.enter_context(docker_host())
        except NoDocker as error:
            pytest.skip(f"containers cannot be run here: {error}")
        build_image(host, f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{USER}/{IMAGE}")
        folder = tmp_path_factory.mktemp("docker-aws")
        yield stack.enter_context(aws_server(folder, {"DOCKER_HOST": host, "BATCH_SLOTS": "2"}))


@pytest.fixture
def proxy(played_aws: Aws) -> Iterator[Proxy]:
    with Proxy(played_aws.port) as proxy:
        yield proxy


@pytest.fixture
def played(played_aws: Aws, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    """Campaigns of played jobs, with the proxy between them and Batch."""
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN", "SIMCAMPAIGN_LEDGER_URL"):
        monkeypatch.delenv(name, raising=False)
    environment = {**played_aws.environment, "AWS_ENDPOINT_URL_BATCH": proxy.endpoint}
    environment["AWS_ENDPOINT_URL_LOGS"] = environment["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] = proxy.endpoint
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    bucket = f"campaign-{next(_BUCKETS)}"
    played_aws.client("s3").create_bucket(Bucket=bucket)
    return Played(played_aws, proxy, bucket, f"sqlite:///{tmp_path / 'ledger.sqlite'}", tmp_path)
