"""The server in containers: the files say what Docker Compose, the job manager and Prefect take."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from simcampaign.errors import ConfigError
from simcampaign.service.settings import Settings, read_settings
from tests.deployments.commands import unknown_options

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = ROOT / "deployments"
COMPOSE = DEPLOYMENTS / "compose.yaml"
IMAGE = DEPLOYMENTS / "image"


def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def settings(tmp_path: Path, digest: str) -> Settings:
    """Return the settings of the example, with the folder that is there in the container only."""
    text = (DEPLOYMENTS / "compose" / "service.example.toml").read_text(encoding="utf-8")
    file = tmp_path / "service.toml"
    file.write_text(text.replace("TOKEN_SHA256", digest).replace("/campaigns", str(tmp_path)))
    return read_settings(file)


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_docker_compose_takes_the_file_and_asks_for_the_password() -> None:
    command = ["docker-compose", "-f", str(COMPOSE), "config"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode != 0
    assert "write it into .env" in done.stderr
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**environment, "DATABASE_PASSWORD": "s3cret"}
    )
    assert set(yaml.safe_load(done.stdout)["services"]) == set(services())


def test_ports_are_open_to_this_host_only() -> None:
    ports = [port for each in services().values() for port in each.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_commands_are_those_that_the_programs_have() -> None:
    commands = {name: each["command"] for name, each in services().items() if "command" in each}
    assert set(commands) == {"prefect", "worker", "manager"}
    assert {name: unknown for name, each in commands.items() if (unknown := unknown_options(each))} == {}


def test_mounted_files_are_there_or_are_made_by_hand_from_an_example() -> None:
    mounts = [mount.split(":")[0] for each in services().values() for mount in each.get("volumes", [])]
    for mount in (each for each in mounts if each.startswith("./")):
        file = DEPLOYMENTS / mount
        assert file.exists() or file.with_suffix(f".example{file.suffix}").exists(), mount


def test_the_job_managers_settings_are_refused_until_they_have_a_token(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"users\.admin\.token_sha256"):
        settings(tmp_path, "TOKEN_SHA256")
    ready = settings(tmp_path, "0" * 64)
    assert (ready.guarded, ready.port) == (True, 8080)
    assert "manager" in ready.allowed_hosts


def test_the_image_holds_what_it_copies_and_nothing_secret() -> None:
    copied = re.findall(r"^COPY ((?:\S+ )+)\S+$", (IMAGE / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    sources = {source for each in copied for source in each.split()}
    allowed = (IMAGE / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert allowed[0] == "*"
    assert {line.removeprefix("!") for line in allowed if line.startswith("!")} == sources
    assert all((ROOT / source).exists() for source in sources)
